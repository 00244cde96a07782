/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On several hosts: no two copies of a partition are on one host while there are hosts without, keys are read from all hosts
 * alike, and all copies agree.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 40, NODES = 64, HOSTS = 64, VALUE_LONGEST = 100 * 1000 };

/* Numbers hosts by the lowest rank on them. @return how many there are. */
static int number_hosts(const struct job *job, int *host_of)
{
    char own[MPI_MAX_PROCESSOR_NAME] = "", all[NODES][MPI_MAX_PROCESSOR_NAME];
    int length, hosts = 0;
    MPI_Get_processor_name(own, &length);
    MPI_Allgather(own, sizeof own, MPI_CHAR, all, sizeof own, MPI_CHAR, MPI_COMM_WORLD);
    for (int rank = 0; rank < job->ranks; ++rank) {
        int first = 0;
        while (strcmp(all[first], all[rank]) != 0)
            ++first;
        host_of[rank] = first == rank ? hosts++ : host_of[first];
    }
    return hosts;
}

static void check_places(belay_cache *cache, unsigned backups, const int *host_of, int hosts)
{
    unsigned wanted = 1 + backups < (unsigned)hosts ? 1 + backups : (unsigned)hosts;
    for (int partition = 0; partition < belay_partition_count(cache); ++partition) {
        bool used[HOSTS] = {false};
        int nodes[NODES] = {belay_primary_of(cache, partition)};
        unsigned found = 0;
        int count = 1 + belay_backups_of(cache, partition, nodes + 1, NODES - 1);
        for (int i = 0; i < count; ++i) {
            found += !used[host_of[nodes[i]]];
            used[host_of[nodes[i]]] = true;
        }
        CHECK(count == 1 + (int)backups && found == wanted, "the %d copies of partition %d are on %u hosts",
              count, partition, found);
    }
}

static size_t value_length(int rank, unsigned key)
{
    return key % 8 == 0 ? VALUE_LONGEST - (size_t)rank : VALUE_DESCRIBED + key;
}

static void check_keys(const struct job *job, belay_node *node, belay_cache *cache, unsigned char *value)
{
    struct key key;
    for (unsigned i = 0; i < KEYS; ++i) {
        uint64_t number = 1000 + (uint64_t)job->rank * KEYS + i;
        key_make(number, &key);
        value_make(number, (struct value_origin){.writer = (uint32_t)job->rank}, value,
                   value_length(job->rank, i));
        CHECK_OK(belay_put(cache, key.bytes, key.length, value, value_length(job->rank, i), NULL));
    }
    CHECK_OK(belay_flush(node));
    job_barrier();
    for (int rank = 0; rank < job->ranks; ++rank)
        for (unsigned i = 0; i < KEYS; ++i) {
            uint64_t number = 1000 + (uint64_t)rank * KEYS + i;
            size_t length = 0;
            key_make(number, &key);
            if (CHECK_OK(belay_get(cache, key.bytes, key.length, value, VALUE_LONGEST, &length)))
                CHECK(length == value_length(rank, i) && !value_fault(number, value, length, NULL),
                      "key %u of rank %d: %s", i, rank, value_fault(number, value, length, NULL));
        }
}

int main(int argc, char **argv)
{
    static const belay_cache_config configs[] = {
        {.name = "full", .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC},
        {.name = "primary", .backups = 2, .write_synchronization_mode = BELAY_PRIMARY_SYNC, .partitions = 16},
        {.name = "async", .backups = 1, .partitions = 16},
    };
    struct job job;
    int host_of[NODES] = {0};
    job_begin(&argc, &argv, "apart", 0, &job);
    if (job.ranks > NODES)
        job_abort("more than %d ranks", NODES);
    int hosts = number_hosts(&job, host_of);
    if (hosts < 2)
        return job_skip(&job, "all ranks are on one host");
    unsigned char *value = malloc(VALUE_LONGEST);
    belay_node *node = job_open(&(belay_config){.arena_size = 64ull << 20});
    for (size_t i = 0; value && i < sizeof configs / sizeof *configs; ++i) {
        belay_cache *cache = job_cache(node, &configs[i]);
        at("cache %s", configs[i].name);
        check_places(cache, configs[i].backups, host_of, hosts);
        check_keys(&job, node, cache, value);
        job_verify(node, cache, configs[i].name);
    }
    free(value);
    if (job.rank == 0)
        report_note("%d ranks on %d hosts", job.ranks, hosts);
    job_close(node);
    return job_end(&job);
}
