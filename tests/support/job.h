/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file job.h
 * A test program as an MPI job: its settings, waiting for each other, and one verdict.
 *
 * Settings, from the environment of rank 0:
 *   BELAY_TEST_SEED      of all random numbers; printed, and chosen by the clock unless set
 *   BELAY_TEST_SECONDS   how long the loops of the test run in all, for those that run by time
 *   BELAY_TEST_WATCHDOG  seconds after which a hung job is ended (see watchdog.h)
 */
#ifndef TESTS_JOB_H
#define TESTS_JOB_H

#include "random.h"
#include "report.h"
#include "watchdog.h"

#include <belay.h>
#include <stddef.h>
#include <stdint.h>

enum { JOB_PASSED = 0, JOB_FAILED = 1, JOB_SKIPPED = 77 };

struct job {
    int rank, ranks;
    uint64_t seed;
    double seconds;
    const char *program;
};

/* Start MPI and agree on the settings. @p seconds: the default of BELAY_TEST_SECONDS. */
void job_begin(int *argc, char ***argv, const char *program, double seconds, struct job *job);

/* The verdict of all ranks, MPI ended: the exit status of main(). */
int job_end(const struct job *job);

/* As job_end() for a test that cannot run here; collective, rank 0 prints why. */
int job_skip(const struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All ranks come here. Sleeps while waiting: the cores belong to the ranks that still work. With
 * BELAY_PROGRESS=manual the node of job_open() answers its peers meanwhile. */
void job_barrier(void);

/* End the whole job at once, after a failure that leaves nothing to go on with. */
void job_abort(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Sums and agreements over all ranks; collective. */
uint64_t job_sum(uint64_t own);
uint64_t job_max(uint64_t own);
uint64_t job_min(uint64_t own);

/* The number in an environment variable, or @p otherwise. */
double job_setting(const char *name, double otherwise);

/* True when the ranks share this host's memory (and its clock). Collective. */
bool job_is_on_one_host(void);

/* As belay_open() and belay_cache_open(), ending the job when they fail. One node at a time. */
belay_node *job_open(const belay_config *config);
void job_close(belay_node *node);
belay_cache *job_cache(belay_node *node, const belay_cache_config *config);

/* Verify that all copies are identical and none is damaged; collective, with a flush by every rank before.
 * @p what is for the message. Leaves the entries found by all. */
uint64_t job_verify(belay_node *node, belay_cache *cache, const char *what);

/* Monotonic nanoseconds, the same clock for all processes of a host. */
uint64_t job_clock(void);

/* Start @p count threads of body(contexts + i * size) and wait for all. */
void job_threads(unsigned count, void *(*body)(void *), void *contexts, size_t size);

/* As job_threads(), while the calling thread runs first(contexts): it alone may use MPI. @p first: may be
 * NULL. */
void job_threads_beside(unsigned count, void *(*body)(void *), void *contexts, size_t size,
                        void (*first)(void *));

#endif
