/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The figures of a list of cases, in its order. */
struct results {
    const struct measured *cases;
    size_t count;
    struct figure *figures;
};

static struct results results_make(const struct measured *cases)
{
    struct results results = {.cases = cases};
    while (cases[results.count].name)
        ++results.count;
    results.figures = calloc(results.count, sizeof *results.figures);
    CHECK(results.figures, "no memory");
    for (size_t i = 0; i < results.count; ++i) {
        results.figures[i] = (struct figure){.name = cases[i].name, .unit = cases[i].unit};
        if (cases[i].singles && !(results.figures[i].latency = calloc(1, sizeof(struct latency))))
            CHECK(false, "no memory");
    }
    return results;
}

static const struct figure *figure_named(const struct results *results, const char *name)
{
    for (size_t i = 0; name && i < results->count; ++i)
        if (strcmp(results->cases[i].name, name) == 0)
            return &results->figures[i];
    return NULL;
}

static void prepare(struct bench *bench, const struct measured *measured, unsigned operations)
{
    bench->store = measured->store ? (const struct store *)(const void *)((char *)bench + measured->store)
                                   : NULL;
    bench->sync = measured->sync;
    if (measured->prepare)
        measured->prepare(bench, measured->scale > 1 ? operations * (unsigned)measured->scale : operations);
}

/* A case must end on a busy machine too. */
enum { BUDGET_NS = 200 * 1000 * 1000, BATCHES_MAX = 512 };

static double nanoseconds(const struct timeval *time)
{
    return (double)time->tv_sec * 1e9 + (double)time->tv_usec * 1e3;
}

/* Add what the processor time was since @p before. */
static void add_processor_time(struct figure *figure, const struct rusage *before, double operations)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    figure->user_ns += nanoseconds(&now.ru_utime) - nanoseconds(&before->ru_utime);
    figure->system_ns += nanoseconds(&now.ru_stime) - nanoseconds(&before->ru_stime);
    figure->timed += operations;
}

/* The median over batches: one that was interrupted does not count. */
static void run_batches(struct bench *bench, const struct measured *measured, struct figure *figure)
{
    double times[BATCHES_MAX];
    double scale = measured->scale > 0 ? measured->scale : 1;
    unsigned done = 0;
    struct rusage before;
    getrusage(RUSAGE_SELF, &before);
    for (uint64_t end = clock_ns() + BUDGET_NS;
         done < measured->batches && (done == 0 || clock_ns() < end);) {
        prepare(bench, measured, measured->batch);
        uint64_t begun = clock_ns();
        measured->run(bench, measured->batch);
        if (measured->finish)
            measured->finish(bench);
        times[done++] = (double)(clock_ns() - begun) / measured->batch / scale;
        if (measured->conclude)
            measured->conclude(bench);
    }
    add_processor_time(figure, &before, (double)done * measured->batch * scale);
    figure_add(figure, median(times, done));
}

static void run_singles(struct bench *bench, const struct measured *measured, struct latency *latency)
{
    uint64_t end = clock_ns() + BUDGET_NS;
    for (unsigned done = 0; done < measured->singles && clock_ns() < end;) {
        prepare(bench, measured, measured->batch);
        for (unsigned i = 0; i < measured->batch; ++i, ++done) {
            uint64_t begun = clock_ns();
            measured->run(bench, 1);
            latency_record(latency, clock_ns() - begun);
        }
        if (measured->finish)
            measured->finish(bench);
        if (measured->conclude)
            measured->conclude(bench);
    }
}

static void run_all(struct bench *bench, struct results *results, unsigned runs, const char *only)
{
    for (unsigned run = 0; run <= runs; ++run) /* the first warms up */
        for (size_t i = 0; i < results->count; ++i) {
            struct figure warm_up = {0};
            const struct measured *measured = &results->cases[i];
            struct figure *figure = &results->figures[i];
            if (only && !strstr(only, measured->name))
                continue;
            run_batches(bench, measured, run ? figure : &warm_up);
            if (run && figure->latency)
                run_singles(bench, measured, figure->latency);
        }
    for (size_t i = 0; i < results->count; ++i)
        figure_print(bench->suite, &results->figures[i], figure_named(results, results->cases[i].limit));
}

static void lead(struct bench *bench, unsigned runs, const char *only)
{
    struct results results = results_make(bench->remote ? verbs_cases : host_cases);
    bench->random = 1;
    if (!only && !bench->remote)
        print_memory(bench);
    run_all(bench, &results, runs, only);
    for (size_t i = 0; i < results.count; ++i)
        free(results.figures[i].latency);
    free(results.figures);
    pair_end(&bench->pair);
}

/* Usage: host [--quick] [--verbs] [--runs N] [--entries N] [--only NAME,...]: the figures as lines of JSON. */
static void parse(int argc, char **argv, struct bench *bench, unsigned *runs, const char **only)
{
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--quick") == 0)
            bench->quick = true;
        else if (strcmp(argv[i], "--verbs") == 0)
            bench->remote = true;
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            *runs = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--entries") == 0 && i + 1 < argc)
            bench->entries = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            *only = argv[++i];
        else
            CHECK(false, "%s: not understood", argv[i]);
    }
    CHECK(*runs > 0 && *runs <= FIGURE_SAMPLES && bench->entries >= 1000, "--runs or --entries out of range");
}

int main(int argc, char **argv)
{
    static struct bench bench;
    unsigned runs = 15;
    const char *only = NULL;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &bench.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &bench.ranks);
    bench.entries = 1000000;
    parse(argc, argv, &bench, &runs, &only);
    CHECK(bench.ranks == (bench.remote ? 3 : 2), "needs 2 processes, with --verbs 3");
    bench.suite = bench.remote ? "softroce" : "host";
    pair_pin(bench.rank);
    int result = belay_open(MPI_COMM_WORLD, NULL, &bench.node);
    CHECK(result == BELAY_OK, "belay_open: %s", belay_last_error());
    pair_begin(&bench.pair, bench.rank);
    stores_open(&bench);
    if (!bench.remote) {
        limits_open(&bench);
        mpi_open(&bench);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (bench.rank == 0)
        lead(&bench, runs, only);
    else if (bench.rank == 1)
        pair_follow(&bench.pair, &bench);
    sleeping_barrier();
    if (!bench.remote)
        mpi_close(&bench);
    stores_close(&bench);
    belay_close(bench.node);
    MPI_Finalize();
    return 0;
}
