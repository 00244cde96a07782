/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_tally.h
 * What one pass over the tree counted and measured. Plain data without pointers: ranks read each other's from the board.
 */
#ifndef BELAY_TOOL_STAGE_TALLY_H
#define BELAY_TOOL_STAGE_TALLY_H

#include "tool/latency.h"

#include <stdint.h>

/* What was found of some pieces while they were put, or while they were read back. */
struct stage_found {
    uint64_t files, bytes; /* contents put or got; a file in parts counts once */
    /* Pieces, by what became of them: */
    uint64_t unreadable; /* could not be read when their turn came: not staged */
    uint64_t intact;     /* cache and disk agree */
    uint64_t changed;    /* the disk has changed since; the cache has what was staged */
    uint64_t differing;  /* the cache has something else */
    uint64_t lost;       /* the cache has nothing */
};

void found_add(struct stage_found *sum, const struct stage_found *part);

/* How long it took: of one worker, then summed per rank, then over the ranks that lived to tell. */
struct stage_timing {
    uint64_t
        elapsed; /* nanoseconds of the step, of the slowest rank; reading and checksumming files included */
    uint64_t in_cache; /* nanoseconds in calls of Belay, of all workers together */
    uint64_t bytes;    /* of contents, moved by these calls */
    uint64_t workers;
    struct latency latency; /* of the content of one piece */
};

struct stage_tally {
    struct stage_timing put, get;
    /* When a rank is lost: nanoseconds of the longest put or get that was in progress, or was the next, when its worker saw
     * the view without that rank, or was begun in the second after. */
    uint64_t pause;
};

void tally_add(struct stage_tally *sum, const struct stage_tally *part);

/* Bytes per second: of the whole step, and as if there were nothing to do but call Belay. 0 for nothing. */
double timing_rate(const struct stage_timing *timing, const struct stage_found *found);
double timing_cache_rate(const struct stage_timing *timing);

#endif
