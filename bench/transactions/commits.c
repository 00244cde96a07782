/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file commits.c
 * What a transaction costs that nobody disturbs, by write synchronization mode, concurrency and isolation: two keys of 8 bytes are
 * read and written, of two partitions or of one. The primary is always the other process. Then one that only reads.
 *
 * The limit is the sum of the bare round trips that it needs: of a cache line here; over verbs bench/suites/softroce.bash puts it in.
 *
 * Usage: commits SUITE RUNS: rank 0 prints figures as lines of JSON. Rank 2, if there is one, holds the backups.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/figure.h"
#include "support/pair.h"
#include "support/random.h"

#include <belay.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOLLOWER = 1,
    PARTITIONS = 64,
    KEYS_EACH = 32,
    BATCH = 50,
    PINGS = 200,
    PING_BATCHES = 64,
    BUDGET_NS = 60 * 1000 * 1000
};

static const struct mode {
    const char *name;
    belay_sync sync;
} modes[] = {
    {"full_sync", BELAY_FULL_SYNC}, {"primary_sync", BELAY_PRIMARY_SYNC}, {"full_async", BELAY_FULL_ASYNC}};

static const char *const concurrencies[] = {
    [BELAY_PESSIMISTIC] = "pessimistic", [BELAY_OPTIMISTIC] = "optimistic"};
static const char *const isolations[] = {[BELAY_READ_COMMITTED] = "read_committed",
                                         [BELAY_REPEATABLE_READ] = "repeatable_read",
                                         [BELAY_SERIALIZABLE] = "serializable"};

enum { MODES = sizeof modes / sizeof modes[0], TRIPS_MAX = 6 };

struct bench {
    const char *suite;
    int rank;
    unsigned runs;
    struct pair pair;
    belay_node *node;
    belay_cache *caches[MODES];
    uint64_t keys[PARTITIONS][KEYS_EACH]; /* of the follower's partitions */
    int partitions;
    uint64_t random;
    struct figure trips[TRIPS_MAX + 1]; /* limits: so many round trips */
    char trip_names[TRIPS_MAX + 1][32];
};

/* What is measured. */
struct work {
    belay_cache *cache;
    belay_concurrency concurrency;
    belay_isolation isolation;
    bool one_partition, writes;
};

/* ---- Keys ---- */

static void choose_keys(struct bench *b)
{
    int counts[PARTITIONS] = {0}, places[PARTITIONS], missing = 0;
    for (int partition = 0; partition < PARTITIONS; ++partition) {
        bool followers = belay_primary_of(b->caches[0], partition) == FOLLOWER;
        places[partition] = followers ? b->partitions++ : -1;
        missing += followers ? KEYS_EACH : 0;
    }
    CHECK(b->partitions >= 2, "the follower has no two partitions");
    for (uint64_t key = 0; missing > 0; ++key) {
        int partition = belay_partition_of(b->caches[0], &key, sizeof key);
        if (places[partition] < 0 || counts[partition] == KEYS_EACH)
            continue;
        b->keys[places[partition]][counts[partition]++] = key;
        --missing;
    }
}

static void fill(struct bench *b)
{
    int64_t value = 1;
    for (int mode = 0; mode < MODES && b->rank == FOLLOWER; ++mode)
        for (int i = 0; i < b->partitions * KEYS_EACH; ++i) {
            uint64_t key = b->keys[i / KEYS_EACH][i % KEYS_EACH];
            int result = belay_put(b->caches[mode], &key, sizeof key, &value, sizeof value, NULL);
            CHECK(result == BELAY_OK, "put: %s", belay_last_error());
        }
    CHECK(belay_flush(b->node) == BELAY_OK, "flush: %s", belay_last_error());
    sleeping_barrier();
}

static void draw(struct bench *b, bool one_partition, uint64_t *keys)
{
    uint64_t first = random_below(&b->random, (uint64_t)b->partitions), second = first;
    uint64_t at = random_below(&b->random, KEYS_EACH);
    if (!one_partition)
        second = (first + 1 + random_below(&b->random, (uint64_t)b->partitions - 1)) %
                 (uint64_t)b->partitions;
    keys[0] = b->keys[first][at];
    keys[1] = b->keys[second][(at + 1) % KEYS_EACH];
}

/* ---- A transaction ---- */

static int attempt(struct bench *b, const struct work *work, const uint64_t *keys)
{
    int64_t value;
    size_t length;
    belay_tx *tx;
    int result = belay_tx_begin(b->node, work->concurrency, work->isolation, 0, &tx);
    CHECK(result == BELAY_OK, "begin: %s", belay_last_error());
    for (int i = 0; i < 2; ++i) {
        result = belay_tx_get(tx, work->cache, &keys[i], sizeof keys[i], &value, sizeof value, &length);
        CHECK(result == BELAY_OK, "get: %s", belay_last_error());
        ++value;
        if (work->writes)
            result = belay_tx_put(tx, work->cache, &keys[i], sizeof keys[i], &value, sizeof value);
        CHECK(result == BELAY_OK, "put: %s", belay_last_error());
    }
    result = belay_tx_commit(tx);
    CHECK(result == BELAY_OK || result == BELAY_ERR_CONFLICT, "commit: %s: %s", belay_strerror(result),
          belay_last_error());
    belay_tx_close(tx);
    return result;
}

/* A commit that does not wait for all may still be under way where the next one reads: that one begins anew, as a user's would. */
static void transact(struct bench *b, const struct work *work)
{
    enum { ATTEMPTS_MAX = 1000 };
    uint64_t keys[2];
    int result = BELAY_ERR_CONFLICT;
    draw(b, work->one_partition, keys);
    for (int i = 0; i < ATTEMPTS_MAX && result == BELAY_ERR_CONFLICT; ++i)
        result = attempt(b, work, keys);
    CHECK(result == BELAY_OK, "a transaction nobody else disturbs finds no end");
}

/* The median over batches: one that was interrupted does not count. */
static void run(struct bench *b, const struct work *work, struct figure *figure)
{
    enum { BATCHES_MAX = 512 };
    double times[BATCHES_MAX];
    size_t done = 0;
    for (uint64_t end = clock_ns() + BUDGET_NS; done < BATCHES_MAX && (done == 0 || clock_ns() < end);
         ++done) {
        uint64_t begun = clock_ns(), now = begun;
        for (int i = 0; i < BATCH; ++i) {
            transact(b, work);
            uint64_t ended = clock_ns();
            latency_record(figure->latency, ended - now);
            now = ended;
        }
        times[done] = (double)(now - begun) / BATCH;
        CHECK(belay_flush(b->node) == BELAY_OK, "flush: %s", belay_last_error());
    }
    figure_add(figure, median(times, done));
}

static void measure(struct bench *b, const struct work *work, const char *name, const struct figure *limit)
{
    static struct latency latency, warm_up_latency;
    struct figure warm_up = {.latency = &warm_up_latency};
    struct figure figure = {.name = name, .unit = "ns", .latency = &latency};
    memset(&latency, 0, sizeof latency);
    run(b, work, &warm_up);
    for (unsigned i = 0; i < b->runs; ++i)
        run(b, work, &figure);
    figure_print(b->suite, &figure, limit);
    fflush(stdout);
}

/* ---- Limits ---- */

static void answer_pings(void *context, uint64_t count)
{
    struct pair_shared *shared = ((struct bench *)context)->pair.shared;
    for (uint64_t i = 1; i <= count; ++i) {
        while (atomic_load_explicit(&shared->ping, memory_order_acquire) != i)
            ;
        atomic_store_explicit(&shared->pong, i, memory_order_release);
    }
}

/* The median over batches, as of transactions. */
static double round_trip(struct bench *b)
{
    struct pair_shared *shared = b->pair.shared;
    double times[PING_BATCHES];
    uint64_t ping = 0;
    atomic_store(&shared->ping, 0);
    atomic_store(&shared->pong, 0);
    pair_call(&b->pair, answer_pings, PING_BATCHES * PINGS);
    for (int i = 0; i < PING_BATCHES; ++i) {
        uint64_t begun = clock_ns(), end = ping + PINGS;
        while (ping < end) {
            atomic_store_explicit(&shared->ping, ++ping, memory_order_release);
            while (atomic_load_explicit(&shared->pong, memory_order_acquire) != ping)
                ;
        }
        times[i] = (double)(clock_ns() - begun) / PINGS;
    }
    pair_wait(&b->pair);
    return median(times, PING_BATCHES);
}

static void measure_round_trips(struct bench *b)
{
    for (unsigned i = 0; i < b->runs; ++i) {
        double each = round_trip(b);
        for (int trips = 1; trips <= TRIPS_MAX; ++trips)
            figure_add(&b->trips[trips], trips * each);
    }
    for (int trips = 1; trips <= TRIPS_MAX; ++trips) {
        snprintf(b->trip_names[trips], sizeof b->trip_names[trips], "%d x ping_pong", trips);
        b->trips[trips].name = b->trip_names[trips];
    }
}

/* Locks are asked for one after the other, for reading and then for writing; the participants of a phase all at once. */
static int trips_of(const struct work *work)
{
    bool locks = work->concurrency == BELAY_PESSIMISTIC, read_locks = work->isolation != BELAY_READ_COMMITTED;
    int phases = work->writes ? (work->one_partition ? 1 : 2) : 0;
    return phases + (locks && read_locks ? 2 : 0) + (locks && work->writes ? 2 : 0);
}

/* ---- All of them ---- */

static void measure_kind(struct bench *b, struct work work, const char *what)
{
    char name[96];
    int trips = trips_of(&work);
    snprintf(name, sizeof name, "tx_%s_%s_%s", what, concurrencies[work.concurrency],
             isolations[work.isolation]);
    measure(b, &work, name, trips > 0 ? &b->trips[trips] : NULL);
}

static void lead(struct bench *b)
{
    char what[48];
    if (strcmp(b->suite, "host") == 0)
        measure_round_trips(b);
    for (int c = BELAY_PESSIMISTIC; c <= BELAY_OPTIMISTIC; ++c)
        for (int i = BELAY_READ_COMMITTED; i <= BELAY_SERIALIZABLE; ++i) {
            struct work work = {
                .cache = b->caches[0], .concurrency = (belay_concurrency)c, .isolation = (belay_isolation)i};
            measure_kind(b, work, "read");
            work.writes = true;
            for (int mode = 0; mode < MODES; ++mode) {
                work.cache = b->caches[mode];
                for (int one = 0; one <= 1; ++one) {
                    work.one_partition = one;
                    snprintf(what, sizeof what, "%s_%s", one ? "one" : "two", modes[mode].name);
                    measure_kind(b, work, what);
                }
            }
        }
    pair_end(&b->pair);
}

int main(int argc, char **argv)
{
    static struct bench b;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &b.rank);
    CHECK(argc == 3 && atoi(argv[2]) > 0, "Usage: commits SUITE RUNS");
    b.suite = argv[1];
    b.runs = (unsigned)atoi(argv[2]);
    b.random = 1;
    pair_pin(b.rank);
    CHECK(belay_open(MPI_COMM_WORLD, NULL, &b.node) == BELAY_OK, "belay_open: %s", belay_last_error());
    pair_begin(&b.pair, b.rank);
    for (int mode = 0; mode < MODES; ++mode) {
        belay_cache_config config = {.name = modes[mode].name,
                                     .backups = 1,
                                     .write_synchronization_mode = modes[mode].sync,
                                     .atomicity_mode = BELAY_TRANSACTIONAL,
                                     .partitions = PARTITIONS};
        CHECK(belay_cache_open(b.node, &config, &b.caches[mode]) == BELAY_OK, "%s", belay_last_error());
    }
    choose_keys(&b);
    fill(&b);
    MPI_Barrier(MPI_COMM_WORLD);
    if (b.rank == 0)
        lead(&b);
    else if (b.rank == FOLLOWER)
        pair_follow(&b.pair, &b);
    sleeping_barrier();
    for (int mode = 0; mode < MODES; ++mode)
        belay_cache_close(b.caches[mode]);
    belay_close(b.node);
    MPI_Finalize();
    return 0;
}
