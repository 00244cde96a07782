/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every rank loads entries; one dies in the middle. What the survivors load arrives as a whole, and what the dead one has flushed
 * before stays. Then an arena is filled: the loader tells what failed, and goes on when there is room.
 */
#include "../support/key.h"
#include "../support/value.h"
#include "board.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { VICTIM = 1, FLUSHED = 500, DIES_AT = 4000, KEYS = 12000, LONGEST = 300, BIG = 60000, TOO_MANY = 2000 };

static const belay_cache_config config = {.name = "loaded", .backups = 1, .partitions = 32};

static uint64_t number_of(int rank, unsigned i)
{
    return (uint64_t)rank << 32 | i;
}

static size_t make(int rank, unsigned i, struct key *key, unsigned char *value)
{
    size_t length = VALUE_DESCRIBED + i % (LONGEST - VALUE_DESCRIBED);
    key_make(number_of(rank, i), key);
    value_make(number_of(rank, i), (struct value_origin){1, (uint32_t)rank}, value, length);
    return length;
}

static void load(const struct job *job, belay_loader *loader)
{
    belay_load_progress progress;
    unsigned char value[LONGEST];
    struct key key;
    for (unsigned i = 0; i < KEYS; ++i) {
        size_t length = make(job->rank, i, &key, value);
        if (i == FLUSHED)
            CHECK_OK(belay_loader_flush(loader));
        if (job->rank == VICTIM && i == DIES_AT)
            kill(getpid(), SIGKILL);
        CHECK_OK(belay_loader_add(loader, key.bytes, key.length, value, length));
    }
    CHECK_OK(belay_loader_flush(loader));
    CHECK_OK(belay_loader_progress(loader, &progress));
    CHECK(progress.added == KEYS && progress.done == KEYS && progress.failed == 0,
          "%d added, %d done, %d failed", (int)progress.added, (int)progress.done, (int)progress.failed);
}

static void check_rank(belay_cache *cache, int rank, unsigned count)
{
    unsigned char value[LONGEST];
    struct key key;
    for (unsigned i = 0; i < count; ++i) {
        size_t length = 0;
        key_make(number_of(rank, i), &key);
        if (!CHECK_OK(belay_get(cache, key.bytes, key.length, value, sizeof value, &length)))
            continue;
        const char *fault = value_fault(number_of(rank, i), value, length, NULL);
        CHECK(!fault, "key %u of rank %d: %s", i, rank, fault);
    }
}

/* One rank, for the arenas are everybody's. */
static void overfill(belay_cache *cache, belay_loader *loader)
{
    static unsigned char value[BIG];
    belay_load_progress progress;
    unsigned i = 0;
    int result = BELAY_OK;
    for (; i < TOO_MANY && result == BELAY_OK; ++i)
        result = belay_loader_add(loader, &i, sizeof i, value, sizeof value);
    CHECK(result == BELAY_ERR_NO_SPACE, "a full arena gives %s", belay_strerror(result));
    CHECK_RESULT(belay_loader_add(loader, "more", 4, value, 1), BELAY_ERR_NO_SPACE);
    CHECK_RESULT(belay_loader_flush(loader), BELAY_ERR_NO_SPACE);
    CHECK_OK(belay_loader_flush(loader));
    CHECK_OK(belay_loader_progress(loader, &progress));
    CHECK(progress.failed > 0 && progress.done + progress.failed == progress.added,
          "%d added, %d done, %d failed", (int)progress.added, (int)progress.done, (int)progress.failed);
    for (unsigned j = 0; j < i; ++j) {
        result = belay_remove(cache, &j, sizeof j, NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "remove gives %s", belay_strerror(result));
    }
    CHECK_OK(belay_loader_add(loader, "more", 4, value, 1));
    CHECK_OK(belay_loader_flush(loader));
}

int main(int argc, char **argv)
{
    struct job job;
    belay_node *node;
    belay_cache *cache;
    belay_loader *loader;
    belay_verify_report report;
    job_begin(&argc, &argv, "loading", 0, &job);
    struct board *board = board_open(&job);
    node = job_open(&(belay_config){.arena_size = 48u << 20});
    cache = job_cache(node, &config);
    CHECK_OK(belay_loader_open(cache, &loader));
    board_barrier(board, &job);
    load(&job, loader);
    board_barrier(board, &job);
    CHECK_OK(belay_await_copies(cache, 20000));
    for (int rank = 0; rank < job.ranks; ++rank)
        check_rank(cache, rank, rank == VICTIM ? FLUSHED : KEYS);
    board_barrier(board, &job);
    if (job.rank == board_first(board, &job))
        overfill(cache, loader);
    CHECK_OK(belay_loader_close(loader));
    CHECK_OK(belay_flush(node));
    board_barrier(board, &job);
    CHECK_OK(belay_verify(cache, &report));
    board_barrier(board, &job);
    CHECK_OK(belay_close(node));
    board_verdict(&job);
}
