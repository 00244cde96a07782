/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of partitions whose last copy is gone, under each policy: the last of four ranks dies, and the caches have no backups. Then
 * all lost partitions are begun anew.
 */
#include "../support/key.h"
#include "board.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CACHES = 4, PARTITIONS = 16, KEYS = 400, FIRST_KEY = 500, WITHIN_MS = 10000 };

static const belay_cache_config configs[CACHES] = {
    {.name = "ignore", .partition_loss_policy = BELAY_LOSS_IGNORE},
    {.name = "read_only", .partition_loss_policy = BELAY_LOSS_READ_ONLY_SAFE},
    {.name = "read_write", .partition_loss_policy = BELAY_LOSS_READ_WRITE_SAFE},
    {.name = "backed", .backups = 1, .partition_loss_policy = BELAY_LOSS_READ_WRITE_SAFE},
};

struct scene {
    struct job job;
    struct board *board;
    belay_node *node;
    belay_cache *caches[CACHES];
    bool was_lost[CACHES][PARTITIONS]; /* its primary was at the rank that dies */
    int victim;
    atomic_uint told[CACHES]; /* PARTITION_LOST events */
};

static void take_event(belay_node *node, const belay_event *event, void *context)
{
    struct scene *s = context;
    (void)node;
    for (unsigned c = 0; c < CACHES; ++c)
        if (event->kind == BELAY_EVENT_PARTITION_LOST && strcmp(event->cache, configs[c].name) == 0)
            atomic_fetch_add(&s->told[c], 1);
}

static void note_victims_partitions(struct scene *s)
{
    for (unsigned c = 0; c < CACHES; ++c)
        for (int p = 0; p < PARTITIONS; ++p)
            s->was_lost[c][p] = belay_primary_of(s->caches[c], p) == s->victim && configs[c].backups == 0;
}

static unsigned count_lost(const struct scene *s, unsigned c)
{
    unsigned count = 0;
    for (int p = 0; p < PARTITIONS; ++p)
        count += s->was_lost[c][p];
    return count;
}

static bool key_is_lost(const struct scene *s, unsigned c, const struct key *key)
{
    return s->was_lost[c][belay_partition_of(s->caches[c], key->bytes, key->length)];
}

static void write_all(const struct scene *s)
{
    const belay_write_options options = {.sync = BELAY_FULL_SYNC};
    for (unsigned c = 0; c < CACHES; ++c)
        for (uint64_t i = 0; i < KEYS; ++i) {
            struct key key;
            key_make(FIRST_KEY + i, &key);
            CHECK_OK(belay_put(s->caches[c], key.bytes, key.length, &i, sizeof i, &options));
        }
}

/* A key of every kind: what was lost, and what was not. */
static void check_reads(const struct scene *s, unsigned c, int of_lost)
{
    for (uint64_t i = 0; i < KEYS; ++i) {
        struct key key;
        uint64_t value = 0;
        size_t length = 0;
        key_make(FIRST_KEY + i, &key);
        at("cache %s, key %llu", configs[c].name, (unsigned long long)i);
        int result = belay_get(s->caches[c], key.bytes, key.length, &value, sizeof value, &length);
        int expected = key_is_lost(s, c, &key) ? of_lost : BELAY_OK;
        CHECK(result == expected, "cache %s: get gave %s, expected %s", configs[c].name,
              belay_strerror(result), belay_strerror(expected));
        CHECK(result != BELAY_OK || value == i, "cache %s: another value", configs[c].name);
    }
}

static void check_writes(const struct scene *s, unsigned c, int of_lost, int of_others)
{
    const belay_write_options options = {.sync = BELAY_PRIMARY_SYNC};
    for (uint64_t i = 0; i < KEYS; ++i) {
        struct key key;
        key_make(FIRST_KEY + i, &key);
        int expected = key_is_lost(s, c, &key) ? of_lost : of_others;
        int result = belay_put(s->caches[c], key.bytes, key.length, &i, sizeof i, &options);
        CHECK(result == expected, "cache %s: put gave %s, expected %s", configs[c].name,
              belay_strerror(result), belay_strerror(expected));
    }
}

static void check_listed(const struct scene *s, unsigned c, bool expected)
{
    int listed[PARTITIONS], count = belay_lost_partitions(s->caches[c], listed, PARTITIONS);
    CHECK(count == (expected ? (int)count_lost(s, c) : 0), "cache %s: %d partitions are lost",
          configs[c].name, count);
    for (int i = 0; i < count && i < PARTITIONS; ++i)
        CHECK(s->was_lost[c][listed[i]], "cache %s: partition %d is not lost", configs[c].name, listed[i]);
    for (int p = 0; p < PARTITIONS; ++p) {
        belay_partition_state state = {0};
        if (CHECK_OK(belay_partition_state_of(s->caches[c], p, &state)))
            CHECK(state.lost == (expected && s->was_lost[c][p]), "cache %s: partition %d: lost is %d",
                  configs[c].name, p, state.lost);
    }
}

static void check_after_death(struct scene *s)
{
    const int lost = BELAY_ERR_PARTITION_LOST;
    check_reads(s, 0, BELAY_ERR_NOT_FOUND);
    check_listed(s, 0, false);
    check_reads(s, 1, lost);
    check_writes(s, 1, lost, lost);
    check_listed(s, 1, true);
    check_reads(s, 2, lost);
    check_writes(s, 2, lost, BELAY_OK);
    check_listed(s, 2, true);
    check_reads(s, 3, lost);
    check_listed(s, 3, false);
    for (unsigned c = 0; c < CACHES; ++c)
        CHECK(atomic_load(&s->told[c]) == count_lost(s, c), "cache %s: %u events of lost partitions, not %u",
              configs[c].name, atomic_load(&s->told[c]), count_lost(s, c));
}

/* One survivor begins the lost partitions anew. */
static void reset(struct scene *s)
{
    board_barrier(s->board, &s->job);
    for (unsigned c = 0; c < CACHES && s->job.rank == 0; ++c) {
        at("reset of cache %s", configs[c].name);
        CHECK_OK(belay_reset_lost_partitions(s->caches[c]));
        check_listed(s, c, false);
        check_reads(s, c, BELAY_ERR_NOT_FOUND);
    }
    board_barrier(s->board, &s->job);
    for (unsigned c = 0; c < CACHES; ++c) {
        at("reading cache %s behind its reset", configs[c].name);
        check_reads(s, c, BELAY_ERR_NOT_FOUND);
    }
    board_barrier(s->board, &s->job);
    for (unsigned c = 0; c < CACHES; ++c)
        check_writes(s, c, BELAY_OK, BELAY_OK);
    CHECK_OK(belay_flush(s->node));
    board_barrier(s->board, &s->job);
    for (unsigned c = 0; c < CACHES && s->job.rank == 0; ++c) {
        belay_verify_report report = {0};
        memset(s->was_lost[c], 0, sizeof s->was_lost[c]);
        check_reads(s, c, BELAY_OK);
        CHECK_OK(belay_await_copies(s->caches[c], WITHIN_MS));
        CHECK_OK(belay_verify(s->caches[c], &report));
    }
    board_barrier(s->board, &s->job);
}

static void wait_for_death(const struct scene *s)
{
    uint64_t ends = job_clock() + WITHIN_MS * 1000000ull;
    while (belay_node_count(s->node) == s->job.ranks && job_clock() < ends)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    CHECK(belay_node_count(s->node) == s->job.ranks - 1, "%d nodes are in the view",
          belay_node_count(s->node));
}

int main(int argc, char **argv)
{
    static struct scene s;
    job_begin(&argc, &argv, "loss", 1, &s.job);
    s.board = board_open(&s.job);
    s.victim = s.job.ranks - 1;
    s.node = job_open(&(belay_config){.arena_size = 32ull << 20});
    for (unsigned c = 0; c < CACHES; ++c) {
        belay_cache_config config = configs[c];
        config.partitions = PARTITIONS;
        s.caches[c] = job_cache(s.node, &config);
    }
    note_victims_partitions(&s);
    if (s.job.rank == 0)
        write_all(&s);
    CHECK_OK(belay_on_event(s.node, take_event, &s));
    job_barrier(); /* the last use of MPI */
    if (s.job.rank == s.victim)
        kill(getpid(), SIGKILL);
    wait_for_death(&s);
    check_after_death(&s);
    reset(&s);
    at("belay_close");
    CHECK_OK(belay_close(s.node));
    board_verdict(&s.job);
}
