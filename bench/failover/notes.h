/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file notes.h
 * What the ranks of a job that loses some of them write down, in a file that all map: what was acknowledged, and when what happened.
 * All times are of one clock, in ns.
 */
#ifndef BENCH_NOTES_H
#define BENCH_NOTES_H

#include <belay.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { NOTES_RANKS = 8, NOTES_KEYS = 64, NOTES_KILLS = NOTES_RANKS };

/* One kill, by the number of the view it brings, less 2. The earliest that any rank saw; 0: nobody yet. */
struct kill_notes {
    _Atomic uint64_t suspected, agreed, promoted; /* promoted: the partition of the probing write */
    _Atomic uint64_t restored;                    /* the last copy */
    atomic_int probed;                            /* that partition */
};

struct rank_notes {
    _Atomic pid_t pid;
    atomic_bool finished;                 /* writes no more */
    _Atomic uint64_t written[NOTES_KEYS]; /* sequence of the last acknowledged write of each of its keys */
    _Atomic uint64_t held;                /* bytes of its copies */
};

struct notes {
    atomic_bool stop;
    struct rank_notes ranks[NOTES_RANKS];
    struct kill_notes kills[NOTES_KILLS];
};

/* Collective, with MPI. The file is that of BELAY_BENCH_NOTES. */
struct notes *notes_open(int rank);

/* The handler of belay_on_event(); the context is the notes. */
void notes_take_event(belay_node *node, const belay_event *event, void *context);

#define PROBE_CACHE "probe"
#define BULK_CACHE  "bulk"

/* ---- restore.c ---- */

/* Bytes per second of a plain copy of so many bytes into fresh shared memory, as a new copy of a partition is. */
double bare_copy(size_t bytes);

#endif
