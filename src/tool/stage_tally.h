/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_tally.h
 * What one pass over the tree counted and measured: by one worker, then summed per rank, then over all ranks.
 * Plain data without pointers: ranks read each other's from the board.
 */
#ifndef BELAY_TOOL_STAGE_TALLY_H
#define BELAY_TOOL_STAGE_TALLY_H

#include "tool/latency.h"

#include <stdint.h>

struct stage_timing {
    uint64_t files, bytes; /* contents put or got; a file in parts counts once */
    uint64_t
        elapsed; /* nanoseconds of the step, of the slowest rank; reading and checksumming files included */
    uint64_t in_cache; /* nanoseconds in calls of Belay, of all workers together */
    uint64_t workers;
    struct latency latency; /* of the content of one piece */
};

struct stage_tally {
    struct stage_timing put, get;
    /* Pieces, by what became of them: */
    uint64_t unreadable; /* could not be read when their turn came: not staged */
    uint64_t intact;     /* cache and disk agree */
    uint64_t changed;    /* the disk has changed since; the cache has what was staged */
    uint64_t differing;  /* the cache has something else */
    uint64_t lost;       /* the cache has nothing */
};

void tally_add(struct stage_tally *sum, const struct stage_tally *part);

/* Bytes per second: of the whole step, and as if there were nothing to do but call Belay. 0 for nothing. */
double timing_rate(const struct stage_timing *timing);
double timing_cache_rate(const struct stage_timing *timing);

#endif
