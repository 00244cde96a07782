/* SPDX-License-Identifier: BSD-3-Clause */
#include "job.h"

#include "base/fence.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

static const char *job_program = "test";
static int job_rank;
static belay_node *serving; /* to be progressed while waiting for other ranks */

/* Stores wait in a core until it owns their lines: behind a full fence, what was done before this time is there for all. */
uint64_t job_clock(void)
{
    struct timespec now;
    fence_full();
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

double job_setting(const char *name, double otherwise)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return otherwise;
    char *end;
    double number = strtod(text, &end);
    if (*end)
        job_abort("%s=%s is not a number", name, text);
    return number;
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("BELAY_TEST_SEED");
    if (!text || !*text)
        return random_mix(job_clock()) >> 32;
    char *end;
    errno = 0;
    uint64_t seed = strtoull(text, &end, 0);
    if (*end || errno)
        job_abort("BELAY_TEST_SEED=%s is not a number", text);
    return seed;
}

/* What it leaves behind for ever is its own. */
static void start_mpi(int *argc, char ***argv, int *level)
{
#ifdef __SANITIZE_ADDRESS__
    __lsan_disable();
#endif
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, level);
#ifdef __SANITIZE_ADDRESS__
    __lsan_enable();
#endif
}

void job_begin(int *argc, char ***argv, const char *program, double seconds, struct job *job)
{
    int level;
    start_mpi(argc, argv, &level);
    *job = (struct job){.program = program};
    MPI_Comm_rank(MPI_COMM_WORLD, &job->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job->ranks);
    job_program = program;
    job_rank = job->rank;
    report_init(program, job->rank);
    if (level < MPI_THREAD_FUNNELED)
        job_abort("MPI gives thread level %d only", level);
    if (job->rank == 0) {
        job->seed = choose_seed();
        job->seconds = job_setting("BELAY_TEST_SECONDS", seconds);
        printf("%s: BELAY_TEST_SEED=%llu BELAY_TEST_SECONDS=%g on %d ranks\n", program,
               (unsigned long long)job->seed, job->seconds, job->ranks);
        fflush(stdout);
    }
    MPI_Bcast(&job->seed, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    MPI_Bcast(&job->seconds, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    watchdog_start(program, job->rank, (unsigned)job_setting("BELAY_TEST_WATCHDOG", 120 + 4 * job->seconds));
    at("started");
}

/* Open MPI unloads its modules in the end, and then nobody knows any more whose leaks those are: so it is looked for leaks
 * before. */
static void check_leaks(void)
{
#ifdef __SANITIZE_ADDRESS__
    at("looking for leaks");
    CHECK(__lsan_do_recoverable_leak_check() == 0, "memory is leaked");
#endif
}

int job_end(const struct job *job)
{
    check_leaks();
    at("ending");
    uint64_t failures = job_sum(report_failures());
    if (job->rank == 0 && failures > 0)
        printf("%s: %llu failures with BELAY_TEST_SEED=%llu\n", job->program, (unsigned long long)failures,
               (unsigned long long)job->seed);
    MPI_Finalize();
    return failures == 0 ? JOB_PASSED : JOB_FAILED;
}

int job_skip(const struct job *job, const char *format, ...)
{
    if (job->rank == 0) {
        va_list arguments;
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        putchar('\n');
        fflush(stdout);
    }
    int status = job_end(job);
    return status == JOB_PASSED ? JOB_SKIPPED : status;
}

static void finish(MPI_Request *request)
{
    int done = 0;
    struct timespec pause = {0, 200000};
    MPI_Test(request, &done, MPI_STATUS_IGNORE);
    while (!done) {
        if (!serving || belay_progress(serving) == 0)
            nanosleep(&pause, NULL);
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
    }
}

void job_barrier(void)
{
    MPI_Request request;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    finish(&request);
}

static uint64_t reduce(uint64_t own, MPI_Op operation)
{
    uint64_t all = 0;
    MPI_Request request;
    MPI_Iallreduce(&own, &all, 1, MPI_UINT64_T, operation, MPI_COMM_WORLD, &request);
    finish(&request);
    return all;
}

uint64_t job_sum(uint64_t own)
{
    return reduce(own, MPI_SUM);
}

uint64_t job_max(uint64_t own)
{
    return reduce(own, MPI_MAX);
}

uint64_t job_min(uint64_t own)
{
    return reduce(own, MPI_MIN);
}

void job_abort(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s[%d]: cannot go on: %s\n", job_program, job_rank, text);
    watchdog_report();
    MPI_Abort(MPI_COMM_WORLD, JOB_FAILED);
    _exit(JOB_FAILED);
}

bool job_is_on_one_host(void)
{
    MPI_Comm host;
    int on_host, all;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &on_host);
    MPI_Comm_size(MPI_COMM_WORLD, &all);
    MPI_Comm_free(&host);
    return job_min(on_host == all) == 1;
}

belay_node *job_open(const belay_config *config)
{
    belay_node *node = NULL;
    at("belay_open");
    int result = belay_open(MPI_COMM_WORLD, config, &node);
    if (result != BELAY_OK)
        job_abort("belay_open gave %s: %s", belay_strerror(result), belay_last_error());
    const char *progress = getenv("BELAY_PROGRESS");
    if (progress && strcmp(progress, "manual") == 0)
        serving = node;
    return node;
}

void job_close(belay_node *node)
{
    at("belay_close");
    serving = NULL;
    CHECK_OK(belay_close(node));
}

belay_cache *job_cache(belay_node *node, const belay_cache_config *config)
{
    belay_cache *cache = NULL;
    at("belay_cache_open %s", config->name);
    int result = belay_cache_open(node, config, &cache);
    if (result != BELAY_OK)
        job_abort("belay_cache_open %s gave %s: %s", config->name, belay_strerror(result),
                  belay_last_error());
    return cache;
}

uint64_t job_verify(belay_node *node, belay_cache *cache, const char *what)
{
    at("flush before verify, %s", what);
    CHECK_OK(belay_flush(node));
    job_barrier();
    at("verify, %s", what);
    belay_verify_report report = {0};
    if (!CHECK_OK(belay_verify(cache, &report)))
        for (size_t i = 0; i < report.listed; ++i)
            report_note("%s: partition %d at node %d differs in segment %u: %016llx, primary %016llx", what,
                        report.list[i].partition, report.list[i].node, report.list[i].segment,
                        (unsigned long long)report.list[i].backup_digest,
                        (unsigned long long)report.list[i].primary_digest);
    CHECK(report.partitions == (uint64_t)belay_partition_count(cache), "%s: %llu partitions compared of %d",
          what, (unsigned long long)report.partitions, belay_partition_count(cache));
    CHECK(report.damaged == 0, "%s: %llu damaged entries or slots", what, (unsigned long long)report.damaged);
    CHECK(report.differences == 0, "%s: %llu differences", what, (unsigned long long)report.differences);
    job_barrier(); /* nobody writes again while somebody compares */
    return report.entries;
}

void job_threads(unsigned count, void *(*body)(void *), void *contexts, size_t size)
{
    job_threads_beside(count, body, contexts, size, NULL);
}

void job_threads_beside(unsigned count, void *(*body)(void *), void *contexts, size_t size,
                        void (*first)(void *))
{
    pthread_t *threads = calloc(count, sizeof *threads);
    if (!threads)
        job_abort("no memory for %u threads", count);
    for (unsigned i = 0; i < count; ++i)
        if (pthread_create(&threads[i], NULL, body, (char *)contexts + i * size) != 0)
            job_abort("cannot start thread %u of %u", i, count);
    if (first)
        first(contexts);
    for (unsigned i = 0; i < count; ++i)
        pthread_join(threads[i], NULL);
    free(threads);
}
