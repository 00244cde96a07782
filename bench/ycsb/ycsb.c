/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file ycsb.c
 * The core workloads A, B, C, D and F of the Yahoo! Cloud Serving Benchmark (Cooper et al., SoCC 2010), each process being
 * one client: records of 10 fields of 100 bytes under keys "user...", requests Zipfian with 0.99 and scattered (D: the
 * latest). A field is updated by writing the whole record, as in stores without fields. E scans, which Belay has not.
 *
 * Usage: ycsb MODE BACKUPS RECORDS MILLISECONDS WORKLOADS [NAME]: figures as lines of JSON; names end in NAME.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/figure.h"
#include "support/pair.h"
#include "support/random.h"
#include "support/zipf.h"

#include <belay.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD = 1000, FIELD = 100, KEY_MAX = 32, CHUNK = 256, RUNS = 5 };

struct workload {
    char letter;
    unsigned read, update, insert, modify; /* percent; modify: read, then update */
    bool latest;
};

static const struct workload workloads[] = {{'A', 50, 50, 0, 0, false},
                                            {'B', 95, 5, 0, 0, false},
                                            {'C', 100, 0, 0, 0, false},
                                            {'D', 95, 0, 5, 0, true},
                                            {'F', 50, 0, 0, 50, false}};

struct client {
    int rank, ranks;
    belay_cache *cache;
    uint64_t random, loaded, inserted; /* records of all, and what this client has inserted */
    struct zipf zipf, latest;
    unsigned char record[RECORD];
    uint64_t reads, misses;
};

static size_t key_make(uint64_t number, char key[KEY_MAX])
{
    return (size_t)snprintf(key, KEY_MAX, "user%020llu", (unsigned long long)random_mix(number));
}

/* Numbers behind the loaded ones belong to the client that inserts them, each in its turn. */
static uint64_t inserted_number(const struct client *c, uint64_t index)
{
    return c->loaded + index * (uint64_t)c->ranks + (uint64_t)c->rank;
}

static uint64_t choose(struct client *c, const struct workload *w)
{
    if (!w->latest)
        return zipf_scattered(&c->zipf, &c->random);
    uint64_t count = c->loaded + c->inserted, back = zipf_next(&c->latest, &c->random);
    uint64_t index = back < count ? count - 1 - back : 0;
    return index < c->loaded ? index : inserted_number(c, index - c->loaded);
}

static void put(struct client *c, uint64_t number)
{
    char key[KEY_MAX];
    size_t length = key_make(number, key);
    int result = belay_put(c->cache, key, length, c->record, RECORD, NULL);
    CHECK(result == BELAY_OK, "put: %s (%s)", belay_strerror(result), belay_last_error());
}

static void read_record(struct client *c, uint64_t number)
{
    char key[KEY_MAX];
    size_t length = key_make(number, key), found;
    int result = belay_get(c->cache, key, length, c->record, RECORD, &found);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "get: %s", belay_strerror(result));
    c->reads++;
    c->misses += result != BELAY_OK;
}

static void change_field(struct client *c)
{
    memset(c->record + random_below(&c->random, RECORD / FIELD) * FIELD, (int)(c->random & 255), FIELD);
}

static void operate(struct client *c, const struct workload *w)
{
    unsigned percent = (unsigned)random_below(&c->random, 100);
    if (percent < w->insert) {
        put(c, inserted_number(c, c->inserted++));
        return;
    }
    uint64_t number = choose(c, w);
    if (percent < w->insert + w->read + w->modify)
        read_record(c, number);
    if (percent < w->insert + w->read)
        return;
    change_field(c);
    put(c, number);
}

/* For so long, all clients at once. @return operations of all per second. */
static double run(struct client *c, const struct workload *w, uint64_t nanoseconds, struct latency *latency)
{
    uint64_t done = 0, total = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    uint64_t begun = clock_ns(), now = begun;
    while (now - begun < nanoseconds) {
        operate(c, w);
        uint64_t ended = clock_ns();
        latency_record(latency, ended - now);
        now = ended;
        ++done;
        if (w->latest && c->inserted % CHUNK == 0 && c->latest.count < c->loaded + c->inserted)
            zipf_grow(&c->latest, c->loaded + c->inserted);
    }
    double rate = (double)done / ((double)(now - begun) * 1e-9), sum = 0;
    sleeping_barrier();
    MPI_Reduce(&rate, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(&done, &total, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    return sum;
}

static void add_latencies(const struct client *c, struct latency *latency)
{
    struct latency *all = calloc(1, sizeof *all);
    CHECK(all, "no memory");
    MPI_Reduce(&latency->count, &all->count, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(&latency->longest, &all->longest, 1, MPI_UINT64_T, MPI_MAX, 0, MPI_COMM_WORLD);
    MPI_Reduce(latency->buckets, all->buckets, LATENCY_BUCKETS, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (c->rank == 0)
        *latency = *all;
    free(all);
}

static void measure(struct client *c, const struct workload *w, uint64_t nanoseconds, const char *suffix)
{
    static struct latency latency;
    char name[64];
    snprintf(name, sizeof name, "ycsb_%c%s", tolower(w->letter), suffix);
    struct figure figure = {.name = name, .unit = "ops/s", .latency = &latency};
    memset(&latency, 0, sizeof latency);
    for (int i = 0; i < RUNS; ++i)
        figure_add(&figure, run(c, w, nanoseconds / RUNS, &latency));
    add_latencies(c, &latency);
    if (c->rank == 0)
        figure_print("host", &figure, NULL);
    fflush(stdout);
}

static belay_sync mode_of(const char *name)
{
    if (strcmp(name, "full_sync") == 0)
        return BELAY_FULL_SYNC;
    if (strcmp(name, "primary_sync") == 0)
        return BELAY_PRIMARY_SYNC;
    CHECK(strcmp(name, "full_async") == 0, "%s: no such mode", name);
    return BELAY_FULL_ASYNC;
}

static void load(struct client *c, belay_node *node)
{
    memset(c->record, 'v', RECORD);
    for (uint64_t i = (uint64_t)c->rank; i < c->loaded; i += (uint64_t)c->ranks)
        put(c, i);
    CHECK(belay_flush(node) == BELAY_OK, "flush: %s", belay_last_error());
    sleeping_barrier();
}

int main(int argc, char **argv)
{
    static struct client c;
    belay_node *node;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &c.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &c.ranks);
    CHECK(argc >= 6, "Usage: ycsb MODE BACKUPS RECORDS MILLISECONDS WORKLOADS [NAME]");
    pair_pin(c.rank);
    c.loaded = strtoull(argv[3], NULL, 10);
    c.random = (uint64_t)c.rank + 1;
    zipf_init(&c.zipf, c.loaded);
    c.latest = c.zipf;
    belay_cache_config config = {.name = "ycsb",
                                 .backups = (unsigned)strtoul(argv[2], NULL, 10),
                                 .write_synchronization_mode = mode_of(argv[1])};
    CHECK(belay_open(MPI_COMM_WORLD, NULL, &node) == BELAY_OK, "belay_open: %s", belay_last_error());
    CHECK(belay_cache_open(node, &config, &c.cache) == BELAY_OK, "cache: %s", belay_last_error());
    load(&c, node);
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; ++i)
        if (strchr(argv[5], workloads[i].letter))
            measure(&c, &workloads[i], strtoull(argv[4], NULL, 10) * 1000000, argc > 6 ? argv[6] : "");
    CHECK(belay_flush(node) == BELAY_OK, "flush: %s", belay_last_error());
    belay_cache_close(c.cache);
    belay_close(node);
    MPI_Finalize();
    return 0;
}
