/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rank dies (BELAY_TEST_KILL) while copies grow: an index page is split, or segments are attached on all copies. All ranks put new keys
 * all the time; what was acknowledged is there afterwards, and nothing else.
 */
#include "../support/key.h"
#include "board.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 12000, WITHIN_MS = 10000, VALUE = 120 };

struct scene {
    struct job job;
    struct board *board;
    belay_node *node;
    belay_cache *cache;
};

static struct extent *extent_of(const struct scene *s, int rank)
{
    return &s->board->ranks[rank].writers[0].adds;
}

static void make_key(int rank, uint64_t number, struct key *key)
{
    key_make((uint64_t)rank * KEYS + number, key);
}

static void put_keys(const struct scene *s)
{
    unsigned char value[VALUE];
    struct extent *mine = extent_of(s, s->job.rank);
    for (uint64_t number = 0; number < KEYS; ++number) {
        struct key key;
        make_key(s->job.rank, number, &key);
        memset(value, (int)number, sizeof value);
        at("key %llu", (unsigned long long)number);
        atomic_store(&mine->begun, number + 1);
        if (!CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, sizeof value, NULL)))
            break;
        atomic_store(&mine->done, number + 1);
    }
}

static void await_death(const struct scene *s)
{
    uint64_t ends = job_clock() + WITHIN_MS * 1000000ull;
    at("waiting for the view");
    while (belay_node_count(s->node) == s->job.ranks && job_clock() < ends)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    CHECK(belay_node_count(s->node) == s->job.ranks - 1, "%d nodes are in the view: nobody died",
          belay_node_count(s->node));
    board_barrier(s->board, &s->job);
}

/* @return how many of a rank's keys there are. */
static uint64_t check_keys(const struct scene *s, int rank)
{
    uint64_t begun = atomic_load(&extent_of(s, rank)->begun), done = atomic_load(&extent_of(s, rank)->done),
             found = 0;
    for (uint64_t number = 0; number < begun; ++number) {
        unsigned char value[VALUE];
        struct key key;
        size_t length;
        make_key(rank, number, &key);
        int result = belay_get(s->cache, key.bytes, key.length, value, sizeof value, &length);
        found += result == BELAY_OK;
        CHECK(result == BELAY_OK || (result == BELAY_ERR_NOT_FOUND && number >= done),
              "key %llu of rank %d: %s", (unsigned long long)number, rank, belay_strerror(result));
        CHECK(result != BELAY_OK || (length == VALUE && value[0] == (unsigned char)number), "another value");
    }
    return found;
}

static void check(const struct scene *s)
{
    belay_verify_report report;
    uint64_t found = 0, size = 0;
    at("waiting for copies");
    CHECK_OK(belay_await_copies(s->cache, WITHIN_MS));
    at("reading");
    for (int rank = 0; rank < s->job.ranks; ++rank)
        found += check_keys(s, rank);
    CHECK_OK(belay_size(s->cache, &size));
    CHECK(size == found, "%llu keys were found, but there are %llu", (unsigned long long)found,
          (unsigned long long)size);
    CHECK_OK(belay_verify(s->cache, &report));
    CHECK(report.entries == found, "verify finds %llu entries", (unsigned long long)report.entries);
}

int main(int argc, char **argv)
{
    static struct scene s;
    job_begin(&argc, &argv, "growing", 1, &s.job);
    s.board = board_open(&s.job);
    s.node = job_open(&(belay_config){.arena_size = 64ull << 20, .segment_size = 16 << 10});
    s.cache = job_cache(s.node, &(belay_cache_config){.name = "growing",
                                                      .backups = argc > 1 ? (unsigned)atoi(argv[1]) : 1,
                                                      .partitions = 8,
                                                      .write_synchronization_mode = BELAY_FULL_SYNC});
    job_barrier(); /* the last use of MPI */
    put_keys(&s);
    await_death(&s);
    if (board_first(s.board, &s.job) == s.job.rank)
        check(&s);
    board_barrier(s.board, &s.job);
    at("belay_close");
    CHECK_OK(belay_close(s.node));
    board_verdict(&s.job);
}
