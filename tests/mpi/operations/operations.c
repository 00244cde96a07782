/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every call of the interface with every result the contract names, in caches of all settings.
 *
 * operations [short|brief] [clients] [hosts]
 *   short:   some of the caches only
 *   brief:   one of them only, "one full", and few of the overrides of its mode
 *   clients: the last rank is a client
 *   hosts:   every two ranks pretend to be a host of their own (needs BELAY_TRANSPORT=verbs)
 */
#include "operations.h"

#include "../../support/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

void own_key(const struct subject *s, int rank, unsigned n, struct key *key)
{
    key_make(1000000 + (uint64_t)n * ((uint64_t)s->job->ranks + 1) + (uint64_t)rank, key);
}

belay_sync effective_sync(const struct subject *s, const belay_write_options *options)
{
    if (options && options->sync)
        return options->sync;
    return s->config.write_synchronization_mode ? s->config.write_synchronization_mode : BELAY_FULL_ASYNC;
}

void expect_value(const struct subject *s, const struct key *key, const void *value, size_t length)
{
    unsigned char buffer[4096];
    size_t read = 4711;
    uint64_t version = 0;
    CHECK_OK(belay_contains(s->cache, key->bytes, key->length));
    if (CHECK_OK(belay_get(s->cache, key->bytes, key->length, buffer, sizeof buffer, &read)))
        CHECK(read == length && (length == 0 || memcmp(buffer, value, length) == 0), "read %zu bytes: %.*s",
              read, (int)(read < 40 ? read : 40), (const char *)buffer);
    CHECK_OK(belay_get_versioned(s->cache, key->bytes, key->length, buffer, sizeof buffer, &read, &version));
    CHECK(read == length && version != 0, "get_versioned tells %zu bytes, version %llu", read,
          (unsigned long long)version);
}

void expect_absent(const struct subject *s, const struct key *key)
{
    char buffer[8];
    size_t length;
    CHECK_RESULT(belay_contains(s->cache, key->bytes, key->length), BELAY_ERR_NOT_FOUND);
    CHECK_RESULT(belay_get(s->cache, key->bytes, key->length, buffer, sizeof buffer, &length),
                 BELAY_ERR_NOT_FOUND);
}

void settle(const struct subject *s)
{
    CHECK_OK(belay_flush(s->node));
    job_barrier();
}

/* ---- The caches ---- */

static const belay_cache_config configs[] = {
    {.name = "default"},
    {.name = "alone full", .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = 1},
    {.name = "alone primary", .write_synchronization_mode = BELAY_PRIMARY_SYNC, .partitions = 16},
    {.name = "one async", .backups = 1, .write_synchronization_mode = BELAY_FULL_ASYNC, .partitions = 4},
    {.name = "one full", .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC},
    {.name = "one primary", .backups = 1, .write_synchronization_mode = BELAY_PRIMARY_SYNC, .partitions = 64},
    {.name = "two async", .backups = 2, .partitions = 32},
    {.name = "two full", .backups = 2, .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = 8},
    {.name = "two primary", .backups = 2, .write_synchronization_mode = BELAY_PRIMARY_SYNC, .partitions = 2},
    {.name = "as many as there are",
     .backups = BELAY_BACKUPS_MAX,
     .write_synchronization_mode = BELAY_FULL_SYNC,
     .partitions = 1024},
    {.name = "replicated async", .cache_mode = BELAY_CACHE_REPLICATED, .partitions = 16},
    {.name = "replicated full",
     .cache_mode = BELAY_CACHE_REPLICATED,
     .write_synchronization_mode = BELAY_FULL_SYNC},
    {.name = "replicated primary",
     .cache_mode = BELAY_CACHE_REPLICATED,
     .backups = 1,
     .write_synchronization_mode = BELAY_PRIMARY_SYNC,
     .partitions = 16,
     .partition_loss_policy = BELAY_LOSS_READ_WRITE_SAFE,
     .atomicity_mode = BELAY_ATOMIC},
};

static struct subject subject_of(const struct job *job, belay_node *node, const belay_cache_config *config,
                                 int servers)
{
    struct subject s = {.job = job, .node = node, .config = *config, .servers = servers};
    s.backups = config->backups;
    if (config->cache_mode == BELAY_CACHE_REPLICATED || s.backups > (unsigned)servers - 1)
        s.backups = (unsigned)servers - 1;
    s.cache = job_cache(node, config);
    return s;
}

static void test_overrides(const struct subject *s, bool brief)
{
    static const belay_write_options options[] = {{.sync = BELAY_SYNC_DEFAULT},
                                                  {.sync = BELAY_FULL_SYNC},
                                                  {.sync = BELAY_PRIMARY_SYNC},
                                                  {.sync = BELAY_FULL_ASYNC}};
    test_one_key(s, NULL);
    test_many_keys(s, NULL);
    test_requests(s, NULL);
    if (brief) {
        test_requests(s, &options[3]);
        return;
    }
    for (size_t i = 0; i < COUNT(options); ++i) {
        test_one_key(s, &options[i]);
        test_requests(s, &options[i]);
    }
    test_many_keys(s, &options[1]);
}

/* The tests that look at a whole cache come while nothing else is in it. */
static void test_cache(const struct subject *s, bool brief)
{
    uint64_t size = 1;
    test_placement(s);
    test_iteration(s);
    test_clear(s);
    test_stats(s);
    test_clear(s);
    test_overrides(s, brief);
    test_loading(s);
    test_functions(s);
    test_sharing(s);
    test_arguments(s);
    settle(s);
    CHECK_OK(belay_size(s->cache, &size));
    CHECK(size == 0, "%llu entries are left, all was removed", (unsigned long long)size);
    job_verify(s->node, s->cache, s->config.name);
}

/* Values in one cache are not those of the same key in another. */
static void test_caches_apart(const struct subject *subjects, size_t first, size_t step)
{
    struct key key;
    at("several caches");
    for (size_t i = first; i < COUNT(configs); i += step) {
        own_key(&subjects[i], subjects[i].job->rank, 6000, &key);
        expect_absent(&subjects[i], &key);
        CHECK_OK(belay_put(subjects[i].cache, key.bytes, key.length, subjects[i].config.name,
                           strlen(subjects[i].config.name), NULL));
    }
    settle(&subjects[first]); /* flushes all caches of the node */
    for (size_t i = first; i < COUNT(configs); i += step) {
        own_key(&subjects[i], (subjects[i].job->rank + 1) % subjects[i].job->ranks, 6000, &key);
        expect_value(&subjects[i], &key, subjects[i].config.name, strlen(subjects[i].config.name));
        job_verify(subjects[i].node, subjects[i].cache, subjects[i].config.name);
    }
}

static bool has_argument(int argc, char **argv, const char *wanted)
{
    for (int i = 1; i < argc; ++i)
        if (strcmp(argv[i], wanted) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    static struct subject subjects[COUNT(configs)];
    struct job job;
    job_begin(&argc, &argv, "operations", 0, &job);
    bool clients = has_argument(argc, argv, "clients"), hosts = has_argument(argc, argv, "hosts");
    bool brief = has_argument(argc, argv, "brief");
    size_t first = brief ? 4 : 0; /* in the list of caches */
    size_t step = brief ? COUNT(configs) : has_argument(argc, argv, "short") ? 4 : 1;
    int servers = clients && job.ranks > 1 ? job.ranks - 1 : job.ranks;
    int *host_of = calloc((size_t)job.ranks, sizeof *host_of);
    if (!host_of)
        job_abort("no memory");
    for (int rank = 0; rank < job.ranks; ++rank)
        host_of[rank] = rank / 2;
    if (hosts) {
        char name[32];
        snprintf(name, sizeof name, "host%d", host_of[job.rank]);
        setenv("BELAY_TEST_HOST", name, 1);
    }
    test_texts();
    belay_node *node = job_open(&(belay_config){
        .arena_size = 256ull << 20, .role = job.rank < servers ? BELAY_ROLE_SERVER : BELAY_ROLE_CLIENT});
    register_functions(node, &job);
    test_cache_configurations(node);
    for (size_t i = first; i < COUNT(configs); i += step) {
        subjects[i] = subject_of(&job, node, &configs[i], servers);
        test_cache(&subjects[i], brief);
        if (i % 4 == 0)
            test_sizes(&subjects[i], i == 4 && !brief ? 5u << 20 : 70u << 10);
        if (hosts)
            test_hosts(&subjects[i], host_of);
    }
    for (size_t i = first; i < COUNT(configs); i += step) {
        job_barrier();
        if (job.rank == 0)
            CHECK_OK(belay_clear(subjects[i].cache));
        job_barrier();
    }
    test_caches_apart(subjects, first, step);
    for (size_t i = first; i < COUNT(configs); i += step)
        CHECK_OK(belay_cache_close(subjects[i].cache));
    job_barrier();
    free(host_of);
    job_close(node);
    return job_end(&job);
}
