/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Caches whose oldest entries give way when arenas are full, beside one whose entries stay: several times the memory is written by all
 * ranks at once, in every mode, and every write succeeds. Then the last rank dies, and it goes on.
 */
#include "../support/key.h"
#include "../support/value.h"
#include "board.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTITIONS = 8, KEPT_KEYS = 150, KEPT_LENGTH = 1000, LAST = 10, LENGTH_LONGEST = 150000 };
#define ARENA_SIZE (12ull << 20)

enum { FULL_SYNC, FULL_ASYNC, TRANSACTIONAL, EVICTING, KEPT = EVICTING, CACHES };

static const belay_cache_config configs[CACHES] = {
    [FULL_SYNC] = {.name = "full_sync",
                   .write_synchronization_mode = BELAY_FULL_SYNC,
                   .eviction_policy = BELAY_EVICTION_FIFO},
    [FULL_ASYNC] = {.name = "full_async", .eviction_policy = BELAY_EVICTION_FIFO},
    [TRANSACTIONAL] = {.name = "transactional",
                       .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                       .atomicity_mode = BELAY_TRANSACTIONAL,
                       .eviction_policy = BELAY_EVICTION_FIFO},
    [KEPT] = {.name = "kept", .write_synchronization_mode = BELAY_FULL_SYNC},
};

struct scene {
    struct job job;
    struct board *board;
    belay_node *node;
    belay_cache *caches[CACHES];
    struct random_source random;
    unsigned char *buffer;
    uint64_t written[EVICTING];
};

static void key_of(unsigned rank, uint64_t number, struct key *key)
{
    key_make((uint64_t)rank * 10000000 + number, key);
}

static int put(struct scene *s, unsigned c, uint64_t number, size_t length)
{
    struct key key;
    key_of((unsigned)s->job.rank, number, &key);
    value_make(number, (struct value_origin){.sequence = number + 1}, s->buffer, length);
    return belay_put(s->caches[c], key.bytes, key.length, s->buffer, length, NULL);
}

/* Whatever is found is what was written. */
static bool is_there(struct scene *s, unsigned c, unsigned rank, uint64_t number)
{
    struct key key;
    struct value_origin origin;
    size_t length = 0;
    key_of(rank, number, &key);
    int result = belay_get(s->caches[c], key.bytes, key.length, s->buffer, LENGTH_LONGEST, &length);
    if (result == BELAY_ERR_NOT_FOUND)
        return false;
    if (CHECK_OK(result)) {
        const char *fault = value_fault(number, s->buffer, length, &origin);
        CHECK(!fault, "cache %s, key %llu: %s", configs[c].name, (unsigned long long)number, fault);
    }
    return true;
}

static void write_one(struct scene *s, unsigned c)
{
    size_t length = random_percent(&s->random, 2) ? random_between(&s->random, 5000, LENGTH_LONGEST)
                                                  : random_between(&s->random, VALUE_DESCRIBED, 3000);
    CHECK_OK(put(s, c, s->written[c]++, length));
}

/* In transactions of two keys. */
static void write_transaction(struct scene *s)
{
    belay_tx *tx;
    CHECK_OK(belay_tx_begin(s->node, BELAY_PESSIMISTIC, BELAY_REPEATABLE_READ, 0, &tx));
    for (int i = 0; i < 2; ++i) {
        struct key key;
        uint64_t number = s->written[TRANSACTIONAL]++;
        key_of((unsigned)s->job.rank, number, &key);
        value_make(number, (struct value_origin){.sequence = number + 1}, s->buffer, 500);
        CHECK_OK(belay_tx_put(tx, s->caches[TRANSACTIONAL], key.bytes, key.length, s->buffer, 500));
    }
    CHECK_OK(belay_tx_commit(tx));
    CHECK_OK(belay_tx_close(tx));
}

/* @p lossy: a rank dies meanwhile, and asynchronous writes with it. */
static void write_bytes(struct scene *s, uint64_t bytes, bool lossy)
{
    enum { MEAN = 3000 };
    for (uint64_t i = 0; i < bytes / MEAN; ++i)
        if (i % 8 == 7)
            write_transaction(s);
        else
            write_one(s, (unsigned)(i % EVICTING));
    int flushed = belay_flush(s->node);
    CHECK(flushed == BELAY_OK || (lossy && flushed == BELAY_ERR_NODE_FAILED), "flush: %s",
          belay_strerror(flushed));
}

/* Written by all when nobody has more to write. */
static void check_last(struct scene *s)
{
    job_barrier();
    for (unsigned i = 0; i < EVICTING * LAST; ++i)
        write_one(s, i % EVICTING);
    CHECK_OK(belay_flush(s->node));
    job_barrier();
    for (unsigned c = 0; c < EVICTING; ++c)
        for (uint64_t back = 1; back <= LAST; ++back)
            CHECK(is_there(s, c, (unsigned)s->job.rank, s->written[c] - back),
                  "cache %s: key %llu is gone, of %llu", configs[c].name,
                  (unsigned long long)(s->written[c] - back), (unsigned long long)s->written[c]);
}

static void check_kept(struct scene *s)
{
    for (int rank = 0; rank < s->job.ranks; ++rank)
        for (uint64_t i = 0; i < KEPT_KEYS; ++i)
            CHECK(is_there(s, KEPT, (unsigned)rank, i), "a key of rank %d that must stay is gone", rank);
}

static uint64_t count_evicted(const struct scene *s, unsigned c)
{
    belay_cache_stats stats = {0};
    CHECK_OK(belay_stats(s->caches[c], &stats));
    return job_sum(stats.evicted);
}

/* The oldest have gone, as many as say so. */
static void check_gone(struct scene *s)
{
    for (unsigned c = 0; c < EVICTING; ++c) {
        uint64_t evicted = count_evicted(s, c), written = job_sum(s->written[c]), there = 0, entries = 0;
        at("%s: what is left", configs[c].name);
        for (uint64_t i = 0; i < s->written[c]; ++i)
            there += is_there(s, c, (unsigned)s->job.rank, i);
        there = job_sum(there);
        CHECK_OK(belay_size(s->caches[c], &entries));
        if (s->job.rank == 0)
            report_note("%s: %llu of %llu evicted", configs[c].name, (unsigned long long)evicted,
                        (unsigned long long)written);
        CHECK(evicted > written / 4 && there + evicted == written && there == entries,
              "cache %s: %llu written, %llu evicted, %llu found, %llu counted", configs[c].name,
              (unsigned long long)written, (unsigned long long)evicted, (unsigned long long)there,
              (unsigned long long)entries);
        job_verify(s->node, s->caches[c], "after eviction");
    }
    CHECK(count_evicted(s, KEPT) == 0, "entries of a cache without eviction were evicted");
}

/* A cache evicts nothing for another one, nor for what can never fit. */
static void test_no_space(struct scene *s)
{
    uint64_t before = count_evicted(s, FULL_SYNC), i = KEPT_KEYS;
    int result;
    at("no space");
    unsigned char *huge = calloc(1, ARENA_SIZE);
    if (!huge)
        job_abort("no memory");
    if (s->job.rank == 0) {
        CHECK_RESULT(belay_put(s->caches[FULL_SYNC], "huge", 4, huge, ARENA_SIZE, NULL), BELAY_ERR_NO_SPACE);
        while ((result = put(s, KEPT, i++, 20000)) == BELAY_OK)
            ;
        CHECK_RESULT(result, BELAY_ERR_NO_SPACE);
    }
    free(huge);
    job_barrier();
    CHECK(count_evicted(s, FULL_SYNC) == before, "entries were evicted in vain");
    at("no space: remove what took it");
    if (s->job.rank == 0)
        for (uint64_t n = KEPT_KEYS; n < i - 1; ++n) {
            struct key key;
            key_of(0, n, &key);
            CHECK_OK(belay_remove(s->caches[KEPT], key.bytes, key.length, NULL));
        }
    job_barrier();
}

static void after_death(struct scene *s)
{
    at("after the death of a rank");
    write_bytes(s, ARENA_SIZE, true);
    check_kept(s);
    for (unsigned c = 0; c < CACHES; ++c)
        CHECK_OK(belay_await_copies(s->caches[c], 20000));
    CHECK_OK(belay_flush(s->node));
    board_barrier(s->board, &s->job);
    for (unsigned c = 0; c < CACHES && s->job.rank == 0; ++c) {
        belay_verify_report report;
        CHECK_OK(belay_verify(s->caches[c], &report));
        report_note("%s: %llu entries in the end", configs[c].name, (unsigned long long)report.entries);
        CHECK(c == KEPT || report.entries > KEPT_KEYS, "cache %s: everything was evicted", configs[c].name);
    }
    for (unsigned c = 0; c < EVICTING; ++c)
        for (uint64_t i = 0; i < s->written[c]; ++i)
            is_there(s, c, (unsigned)s->job.rank, i);
    board_barrier(s->board, &s->job);
}

int main(int argc, char **argv)
{
    static struct scene s;
    job_begin(&argc, &argv, "eviction", 1, &s.job);
    s.board = board_open(&s.job);
    s.node = job_open(&(belay_config){.arena_size = ARENA_SIZE, .segment_size = 32 << 10});
    s.buffer = malloc(LENGTH_LONGEST);
    s.random = random_stream(s.job.seed, (uint64_t)s.job.rank, 0);
    for (unsigned c = 0; c < CACHES; ++c) {
        belay_cache_config config = configs[c];
        config.partitions = PARTITIONS;
        config.backups = 1;
        s.caches[c] = job_cache(s.node, &config);
    }
    for (uint64_t i = 0; i < KEPT_KEYS; ++i)
        CHECK_OK(put(&s, KEPT, i, KEPT_LENGTH));
    job_barrier();
    at("writing");
    write_bytes(&s, 2 * ARENA_SIZE, false);
    check_last(&s);
    check_kept(&s);
    check_gone(&s);
    test_no_space(&s);
    job_barrier(); /* the last use of MPI */
    if (s.job.rank == s.job.ranks - 1)
        kill(getpid(), SIGKILL);
    after_death(&s);
    free(s.buffer);
    CHECK_OK(belay_close(s.node));
    board_verdict(&s.job);
}
