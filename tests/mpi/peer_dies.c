/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One rank is killed in the middle of its work. The others go on calling: each call succeeds or gives an
 * error within the operation timeout, calls that need no dead node still succeed, values read are whole,
 * and belay_close() returns.
 *
 * MPI is of no use once a rank is dead, so each survivor leaves its verdict in a file of its own in
 * $TMPDIR, which tests/mpi/peer_dies_job counts; and ends without MPI_Finalize().
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CACHES = 3,
    THREADS = 3,
    KEYS = 200,
    FIRST_KEY = 800,
    LONGEST = 20000,
    TIMEOUT_MS = 2000,
    SLACK_MS = 20000 /* of a machine with other things to do */
};

static const belay_cache_config cache_configs[CACHES] = {
    {.name = "full", .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = 16},
    {.name = "primary", .backups = 1, .write_synchronization_mode = BELAY_PRIMARY_SYNC, .partitions = 16},
    {.name = "async", .partitions = 16},
};

struct worker {
    const struct job *job;
    belay_node *node;
    belay_cache *const *caches;
    struct random_source random;
    unsigned thread;
    uint64_t ends, calls, failed;
    unsigned char *value, *buffer;
};

static atomic_ullong longest; /* call so far, nanoseconds */

/* What a call may give when a node is gone. */
static void check_result(struct worker *w, const char *what, int result, uint64_t start)
{
    uint64_t took = job_clock() - start, before = atomic_load(&longest);
    bool known = result == BELAY_OK || result == BELAY_ERR_NOT_FOUND || result == BELAY_ERR_NODE_FAILED ||
                 result == BELAY_ERR_TIMEOUT || result == BELAY_ERR_PARTITION_LOST;
    CHECK(known, "%s gave %s: %s", what, belay_strerror(result), belay_last_error());
    CHECK(took < (uint64_t)(TIMEOUT_MS + SLACK_MS) * 1000000, "%s took %.1f s", what, (double)took / 1e9);
    w->failed += result != BELAY_OK && result != BELAY_ERR_NOT_FOUND;
    ++w->calls;
    while (took > before && !atomic_compare_exchange_weak(&longest, &before, took))
        ;
}

static void call_something(struct worker *w)
{
    unsigned c = (unsigned)random_below(&w->random, CACHES), dice = (unsigned)random_below(&w->random, 100);
    uint64_t number = FIRST_KEY + random_below(&w->random, KEYS);
    size_t length = random_between(&w->random, VALUE_DESCRIBED,
                                   random_percent(&w->random, 5) ? LONGEST : 500);
    struct key key;
    key_make(number, &key);
    at("thread %u: call %llu in cache %s", w->thread, (unsigned long long)w->calls, cache_configs[c].name);
    uint64_t start = job_clock();
    if (dice < 50) {
        int result = belay_get(w->caches[c], key.bytes, key.length, w->buffer, LONGEST, &length);
        check_result(w, "get", result, start);
        const char *fault = result == BELAY_OK ? value_fault(number, w->buffer, length, NULL) : NULL;
        CHECK(!fault, "key %llu: %s", (unsigned long long)number, fault);
    } else if (dice < 90) {
        value_make(number, (struct value_origin){.sequence = w->calls, .writer = w->thread}, w->value,
                   length);
        check_result(w, "put", belay_put(w->caches[c], key.bytes, key.length, w->value, length, NULL), start);
    } else if (dice < 97) {
        check_result(w, "remove", belay_remove(w->caches[c], key.bytes, key.length, NULL), start);
    } else if (dice < 98) {
        check_result(w, "flush", belay_flush(w->node), start);
    } else {
        uint64_t size;
        check_result(w, "size", belay_size(w->caches[c], &size), start);
    }
}

static void *run_worker(void *context)
{
    struct worker *w = context;
    while (job_clock() < w->ends)
        call_something(w);
    at("thread %u: done", w->thread);
    return NULL;
}

/* Without backups, keys whose primary is this node need nobody else. */
static void expect_own_keys_to_work(const struct job *job, belay_cache *cache)
{
    for (uint64_t number = FIRST_KEY; number < FIRST_KEY + KEYS; ++number) {
        static const belay_write_options primary = {.sync = BELAY_PRIMARY_SYNC};
        struct key key;
        size_t length = 0;
        char buffer[8];
        key_make(number, &key);
        if (belay_is_primary(cache, key.bytes, key.length) != 1)
            continue;
        CHECK_OK(belay_put(cache, key.bytes, key.length, "alive", 5, &primary));
        CHECK_OK(belay_get(cache, key.bytes, key.length, buffer, sizeof buffer, &length));
    }
    (void)job;
}

static void *kill_later(void *context)
{
    const struct worker *w = context;
    nanosleep(&(struct timespec){0, (long)random_below(&(struct random_source){w->job->seed}, 400) * 1000000 +
                                        300000000},
              NULL);
    kill(getpid(), SIGKILL);
    return NULL;
}

static void leave_verdict(const struct job *job)
{
    char path[512];
    snprintf(path, sizeof path, "%s/verdict.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", job->rank);
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(report_failures() == 0 ? "passed\n" : "failed\n", file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS];
    belay_cache *caches[CACHES];
    struct job job;
    pthread_t killer;
    setenv("BELAY_LOG", "off", 0);
    job_begin(&argc, &argv, "peer_dies", 4, &job);
    belay_node *node = job_open(
        &(belay_config){.arena_size = 32ull << 20, .operation_timeout_ms = TIMEOUT_MS});
    for (unsigned c = 0; c < CACHES; ++c)
        caches[c] = job_cache(node, &cache_configs[c]);
    uint64_t ends = job_clock() + (uint64_t)(job.seconds * 1e9), calls = 0, failed = 0;
    for (unsigned i = 0; i < THREADS; ++i) {
        struct worker *w = &workers[i];
        *w = (struct worker){.job = &job, .node = node, .caches = caches, .thread = i, .ends = ends};
        w->random = random_stream(job.seed, (uint64_t)job.rank, i);
        w->value = malloc(LONGEST);
        w->buffer = malloc(LONGEST);
        if (!w->value || !w->buffer)
            job_abort("no memory");
    }
    job_barrier(); /* the last use of MPI */
    bool dies = job.rank == (int)(job.seed % (uint64_t)job.ranks);
    if (dies && pthread_create(&killer, NULL, kill_later, workers) != 0)
        job_abort("cannot start a thread");
    job_threads(THREADS, run_worker, workers, sizeof *workers);
    expect_own_keys_to_work(&job, caches[CACHES - 1]);
    for (unsigned i = 0; i < THREADS; ++i) {
        calls += workers[i].calls;
        failed += workers[i].failed;
        free(workers[i].value);
        free(workers[i].buffer);
    }
    uint64_t start = job_clock();
    at("belay_close");
    int result = belay_close(node); /* may report lost asynchronous writes */
    report_note("%llu calls, %llu failed, the longest took %.3f s; belay_close gave %s after %.3f s",
                (unsigned long long)calls, (unsigned long long)failed, (double)atomic_load(&longest) / 1e9,
                belay_strerror(result), (double)(job_clock() - start) / 1e9);
    leave_verdict(&job);
    _exit(report_failures() == 0 ? JOB_PASSED : JOB_FAILED);
}
