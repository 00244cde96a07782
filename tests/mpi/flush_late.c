/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A primary that does not answer for a while: no flush may say that all is on every copy, neither one beside a flush that still
 * waits, nor one after a flush that has waited in vain.
 */
#include "../support/job.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SILENT = 1, FLUSHES = 3, OPERATION_TIMEOUT_MS = 500, FAILURE_TIMEOUT_MS = 20000 };

/* Flushes one after the other into the time that the first of them waits. */
struct flusher {
    belay_node *node;
    int after_ms;
    int result;
};

static void *flush_later(void *context)
{
    struct flusher *flusher = context;
    nanosleep(&(struct timespec){0, flusher->after_ms * 1000000L}, NULL);
    flusher->result = belay_flush(flusher->node);
    return NULL;
}

static void write_and_flush(belay_node *node, belay_cache *cache, const char *key)
{
    struct flusher flushers[FLUSHES];
    CHECK_OK(belay_put(cache, key, strlen(key), key, strlen(key), NULL));
    at("flushes beside each other");
    for (int i = 0; i < FLUSHES; ++i)
        flushers[i] = (struct flusher){.node = node, .after_ms = 100 * i};
    job_threads(FLUSHES, flush_later, flushers, sizeof flushers[0]);
    for (int i = 0; i < FLUSHES; ++i)
        CHECK_RESULT(flushers[i].result, BELAY_ERR_TIMEOUT);
    at("a flush after one in vain");
    CHECK_RESULT(belay_flush(node), BELAY_ERR_TIMEOUT);
}

static void key_at(const belay_cache *cache, int primary, char *key, size_t size)
{
    int number = 0;
    do
        snprintf(key, size, "key %d", number++);
    while (belay_primary_of(cache, belay_partition_of(cache, key, strlen(key))) != primary);
}

int main(int argc, char **argv)
{
    struct job job;
    char key[32], value[32];
    size_t length = 0;
    job_begin(&argc, &argv, "flush_late", 0, &job);
    belay_node *node = job_open(
        &(belay_config){.arena_size = 16ull << 20,
                        .progress = job.rank == SILENT ? BELAY_PROGRESS_MANUAL : BELAY_PROGRESS_THREAD,
                        .operation_timeout_ms = OPERATION_TIMEOUT_MS,
                        .failure_timeout_ms = FAILURE_TIMEOUT_MS});
    belay_cache *cache = job_cache(node, &(belay_cache_config){.name = "late", .backups = 1});
    key_at(cache, SILENT, key, sizeof key);
    job_barrier();
    if (job.rank != SILENT)
        write_and_flush(node, cache, key);
    MPI_Barrier(MPI_COMM_WORLD); /* nothing is answered in there */
    if (job.rank == SILENT)
        for (uint64_t end = job_clock() + 1000000000ull; job_clock() < end;)
            belay_progress(node);
    else
        CHECK_OK(belay_flush(node));
    CHECK_OK(belay_get(cache, key, strlen(key), value, sizeof value, &length));
    CHECK(length == strlen(key), "%zu bytes", length);
    job_close(node);
    return job_end(&job);
}
