/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file board.h
 * Memory of a file in $TMPDIR (or $BELAY_TEST_BOARD) that all ranks of a host share, and that outlives them: there every thread writes down what
 * it is about to do and what came of it, so that the survivors know what a killed rank had begun.
 */
#ifndef TESTS_BOARD_H
#define TESTS_BOARD_H

#include "../support/history.h"
#include "../support/job.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
    RANKS_MAX = 8,
    WRITERS = 2,     /* threads of each rank that work with FULL_SYNC */
    RECORDS = 16000, /* operations on hot keys, of each of them */
    OWN_KEYS = 24    /* of each thread */
};

/* A number that only grows: how far something was begun, and how far it is known to be done. */
struct extent {
    _Atomic uint64_t begun, done;
};

/* What a thread with FULL_SYNC does. */
struct writer_notes {
    struct extent adds, sets,
        applied; /* of its own counters, by fetch_add, by compare_and_set and by a function */
    struct extent values[OWN_KEYS]; /* sequence of the values of its own keys */
    _Atomic size_t count;
    struct history_operation records[RECORDS];
};

/* What a thread with the weaker modes does; `done` is what a flush has vouched for. */
struct relaxed_notes {
    struct extent primary_sync[OWN_KEYS], full_async[OWN_KEYS];
};

struct board_rank {
    _Atomic pid_t pid;
    _Atomic uint32_t phase; /* barriers passed */
    atomic_uint failures;
    struct writer_notes writers[WRITERS];
    struct relaxed_notes relaxed;
};

struct board {
    struct board_rank ranks[RANKS_MAX];
};

/* Collective, with MPI: so before the first death. */
struct board *board_open(const struct job *job);

/* Is the rank on this host? */
bool board_has(const struct board *board, int rank);

/* Has the rank's process ended? Not to be asked of another host's. */
bool board_ended(const struct board *board, int rank);

/* All ranks that live come here. Those that die meanwhile are not waited for. */
void board_barrier(struct board *board, const struct job *job);

/* Leave this survivor's verdict in a file of its own in $TMPDIR, which tests/failover/job counts, and end without MPI. */
void board_verdict(const struct job *job) __attribute__((noreturn));

/* The lowest rank that lives. */
int board_first(const struct board *board, const struct job *job);

#endif
