/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hydrogen and air ignite at hot spots and burn: a reaction-diffusion code on MPI ranks, with Belay for three things.
 *
 *  - Neighbours read each other's rows from a cache, where each row has a backup on another node (rows.h).
 *  - Chemistry that any rank has computed before is not computed again (chemistry.h).
 *  - When a rank dies, another reads its strip from the cache and goes on with it (crew.h, strip.h).
 *
 * README.md tells how to build and run it.
 */
#include "report.h"
#include "strip.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 120 /* s */, NAP = 50000 /* ns */ };

struct simulation {
    struct problem problem;
    struct rows rows;
    struct chemistry chemistry;
    struct crew crew;
    struct strip strips[CREW_MAX];
};

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static bool dies_now(const struct simulation *simulation, int step)
{
    const struct problem *problem = &simulation->problem;
    for (int i = 0; i < problem->deaths; ++i)
        if (problem->death[i].rank == simulation->crew.rank && problem->death[i].step == step)
            return true;
    return false;
}

/* One step of every strip of this rank that can make one. */
static enum rows_result advance(struct simulation *simulation, bool reuse)
{
    enum rows_result all = ROWS_NOT_YET;
    for (int number = 0; number < simulation->crew.ranks; ++number) {
        struct strip *strip = &simulation->strips[number];
        if (crew_owner(&simulation->crew, number) != simulation->crew.rank)
            continue;
        if (!strip_is_open(strip)) {
            if (!strip_open(strip, &simulation->problem, number, simulation->crew.ranks, &simulation->rows))
                return ROWS_FAILED;
            if (number != simulation->crew.rank)
                printf("rank %d takes over strip %d at step %d\n", simulation->crew.rank, number,
                       strip->step);
        }
        if (strip->step == simulation->problem.steps)
            continue;
        bool dies = number == simulation->crew.rank && dies_now(simulation, strip->step);
        enum rows_result result = strip_advance(strip, &simulation->rows, &simulation->chemistry, reuse,
                                                dies);
        if (result == ROWS_FAILED)
            return result;
        if (result == ROWS_DONE)
            all = ROWS_DONE;
    }
    return all;
}

/* True when the last step of all strips is in the cache: until then a strip may still be taken over. */
static bool is_finished(struct simulation *simulation)
{
    for (int number = 0; number < simulation->crew.ranks; ++number) {
        int next = simulation->problem.cells * (number + 1) / simulation->crew.ranks, step;
        if (rows_last(&simulation->rows, next - 1, &step) != ROWS_DONE || step < simulation->problem.steps)
            return false;
    }
    return true;
}

static bool run(struct simulation *simulation, int number, bool reuse)
{
    double last = now(), computed = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    simulation->rows.run = number;
    simulation->chemistry.integrations = simulation->chemistry.hits = 0;
    for (;;) {
        enum rows_result result = advance(simulation, reuse);
        if (result == ROWS_FAILED)
            return false;
        if (result == ROWS_DONE)
            last = now();
        else if (is_finished(simulation))
            break;
        else if (now() - last > PATIENCE) {
            fprintf(stderr, "hydrogen: no step was possible for %d s\n", PATIENCE);
            return false;
        } else
            nanosleep(&(struct timespec){0, NAP}, NULL);
    }
    for (int i = 0; i < simulation->crew.ranks; ++i)
        strip_close(&simulation->strips[i]);
    computed = seconds_of(CLOCK_THREAD_CPUTIME_ID) - computed;
    return report_add(&simulation->rows, &simulation->chemistry, (int64_t)(1e6 * computed));
}

/* The rank that prints: the first that lives. */
static bool is_reporter(struct simulation *simulation)
{
    return crew_owner(&simulation->crew, 0) == simulation->crew.rank;
}

static void print_run(const struct tally *tally, double seconds, bool reuse)
{
    printf("%s reuse: %.2f s, %.2f s of computing, %ld integrations", reuse ? "with" : "without", seconds,
           1e-6 * (double)tally->computing, (long)tally->integrations);
    if (reuse)
        printf(", %ld hits (%.1f %%)", (long)tally->hits,
               100.0 * (double)tally->hits / (double)(tally->integrations + tally->hits));
    printf("\n");
}

/* All runs, reported. */
static bool simulate(struct simulation *simulation)
{
    const struct problem *problem = &simulation->problem;
    struct tally tallies[2] = {{0}};
    int last = problem->compare;
    for (int number = 0; number <= last; ++number) {
        bool reuse = number == last && problem->tolerance > 0;
        double start = now();
        if (!run(simulation, number, reuse))
            return false;
        double seconds = now() - start;
        if (!is_reporter(simulation))
            continue;
        if (!report_sum(&simulation->rows, &simulation->crew, &tallies[number]))
            return false;
        print_run(&tallies[number], seconds, reuse);
    }
    if (!is_reporter(simulation))
        return true;
    if (problem->compare)
        printf("saved by reuse: %.0f %% of the computing\n",
               100 * (1 - (double)tallies[1].computing / (double)tallies[0].computing));
    return (!problem->compare || report_differences(&simulation->rows, problem)) &&
           report_field(&simulation->rows, problem, last) &&
           (!problem->picture || report_pictures(&simulation->rows, problem));
}

static bool open_all(belay_node *node, struct simulation *simulation)
{
    if (!crew_open(node, &simulation->crew))
        return false;
    if (simulation->crew.ranks > simulation->problem.cells) {
        fprintf(stderr, "hydrogen: more ranks than rows\n");
        return false;
    }
    return rows_open(node, problem_row_size(&simulation->problem), &simulation->rows) &&
           chemistry_open(node, &simulation->problem, &simulation->chemistry);
}

int main(int argc, char **argv)
{
    static struct simulation simulation;
    belay_node *node;
    MPI_Init(&argc, &argv);
    if (!problem_read(argc, argv, &simulation.problem)) {
        MPI_Finalize();
        return 2;
    }
    int result = belay_open(MPI_COMM_WORLD, NULL, &node);
    if (result != BELAY_OK) {
        fprintf(stderr, "hydrogen: belay_open: %s (%s)\n", belay_strerror(result), belay_last_error());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    if (!open_all(node, &simulation) || !simulate(&simulation))
        _exit(1); /* the others go on, as if this rank had been killed */
    fflush(stdout);
    bool all_live = crew_living(&simulation.crew) == simulation.crew.ranks;
    chemistry_close(&simulation.chemistry);
    rows_close(&simulation.rows);
    result = belay_close(node);
    if (!all_live)
        _exit(
            0); /* MPI_Finalize() would wait for the dead; what belay_close() reports was the chemistry's loss */
    MPI_Finalize();
    return result != BELAY_OK;
}
