/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rank dies (BELAY_TEST_KILL) while all open three caches in a row. The survivors either all get a cache or all get the same
 * error, and soon; those they get work, and have all their copies.
 *
 *   opening fine     every cache can be opened
 *   opening differs  the last rank has another idea of the second cache
 *   opening full     the last rank has no room for the second cache
 *   opening close    nobody dies before they close
 */
#include "../support/key.h"
#include "board.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CACHES = 3, SECOND = 1, KEYS = 100, MANY = 2048, WITHIN_MS = 10000, SOON_MS = 8000 };

struct scene {
    struct job job;
    struct board *board;
    belay_node *node;
    belay_cache *caches[CACHES]; /* NULL: it could not be opened */
    int expected;                /* of opening the second one */
};

static int open_cache(struct scene *s, const char *what, int number)
{
    char name[24];
    bool last = s->job.rank == s->job.ranks - 1;
    belay_cache_config config = {
        .name = name, .backups = 1, .partitions = 16, .write_synchronization_mode = BELAY_FULL_SYNC};
    snprintf(name, sizeof name, "cache %d", number);
    if (number == SECOND && last && strcmp(what, "differs") == 0)
        config.backups = 2;
    if (number == SECOND && strcmp(what, "full") == 0)
        config.partitions = MANY;
    return belay_cache_open(s->node, &config, &s->caches[number]);
}

static void open_caches(struct scene *s, const char *what)
{
    for (int number = 0; number < CACHES; ++number) {
        uint64_t begun = job_clock();
        at("opening cache %d", number);
        int result = open_cache(s, what, number), expected = number == SECOND ? s->expected : BELAY_OK;
        CHECK(result == expected, "opening cache %d gave %s: %s", number, belay_strerror(result),
              belay_last_error());
        CHECK(job_clock() - begun < SOON_MS * 1000000ull, "opening cache %d took %.1f s", number,
              (double)(job_clock() - begun) / 1e9);
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

/* Each rank its own keys, then everybody everything. */
static void use(struct scene *s, belay_cache *cache)
{
    for (uint64_t i = 0; i < KEYS; ++i) {
        struct key key;
        key_make((uint64_t)s->job.rank * KEYS + i, &key);
        CHECK_OK(belay_put(cache, key.bytes, key.length, &i, sizeof i, NULL));
    }
    board_barrier(s->board, &s->job);
    for (int rank = 0; rank < s->job.ranks; ++rank) {
        for (uint64_t i = 0; i < KEYS && !board_ended(s->board, rank); ++i) {
            struct key key;
            uint64_t value = KEYS;
            size_t length;
            key_make((uint64_t)rank * KEYS + i, &key);
            CHECK_OK(belay_get(cache, key.bytes, key.length, &value, sizeof value, &length));
            CHECK(value == i, "a key of rank %d has another value", rank);
        }
    }
    board_barrier(s->board, &s->job);
}

static void check_copies(const struct scene *s, belay_cache *cache)
{
    belay_verify_report report;
    CHECK_OK(belay_await_copies(cache, WITHIN_MS));
    for (int p = 0; p < belay_partition_count(cache); ++p) {
        belay_partition_state state = {0};
        if (CHECK_OK(belay_partition_state_of(cache, p, &state)))
            CHECK(state.copies_complete == 2, "partition %d has %u copies", p, state.copies_complete);
    }
    CHECK_OK(belay_verify(cache, &report));
    board_barrier(s->board, &s->job);
}

int main(int argc, char **argv)
{
    static struct scene s;
    job_begin(&argc, &argv, "opening", 1, &s.job);
    const char *what = argc > 1 ? argv[1] : "fine";
    bool last = s.job.rank == s.job.ranks - 1;
    s.expected = strcmp(what, "differs") == 0 ? BELAY_ERR_MISMATCH
                 : strcmp(what, "full") == 0  ? BELAY_ERR_NO_SPACE
                                              : BELAY_OK;
    s.board = board_open(&s.job);
    s.node = job_open(
        &(belay_config){.arena_size = last ? 4ull << 20 : 32ull << 20, .segment_size = 16 << 10});
    job_barrier(); /* the last use of MPI */
    open_caches(&s, what);
    if (strcmp(what, "close") != 0)
        await_death(&s);
    for (int number = 0; number < CACHES; ++number) {
        if (!s.caches[number])
            continue;
        at("using cache %d", number);
        use(&s, s.caches[number]);
        at("the copies of cache %d", number);
        check_copies(&s, s.caches[number]);
    }
    at("belay_close");
    uint64_t begun = job_clock();
    CHECK_OK(belay_close(s.node));
    CHECK(job_clock() - begun < SOON_MS * 1000000ull, "belay_close took %.1f s",
          (double)(job_clock() - begun) / 1e9);
    board_verdict(&s.job);
}
