/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file latency.h
 * A histogram of durations for percentiles, with buckets as in Gil Tene's HdrHistogram: every power of two is
 * cut into LATENCY_STEPS equal ones, so any duration is known to 1 / LATENCY_STEPS (0.8 %) of itself.
 * Recording is a few instructions and one increment; histograms of threads and processes add up. One writer
 * at a time.
 */
#ifndef BELAY_TOOL_LATENCY_H
#define BELAY_TOOL_LATENCY_H

#include <stdint.h>

enum {
    LATENCY_STEP_BITS = 7,
    LATENCY_STEPS = 1 << LATENCY_STEP_BITS,
    LATENCY_LONGEST_BITS = 42, /* of a duration in nanoseconds: 73 minutes; longer ones count as that */
    LATENCY_BUCKETS = (LATENCY_LONGEST_BITS - LATENCY_STEP_BITS + 1) * LATENCY_STEPS
};

struct latency {
    uint64_t count, longest;
    uint64_t buckets[LATENCY_BUCKETS];
};

static inline unsigned latency_bucket(uint64_t nanoseconds)
{
    if (nanoseconds < LATENCY_STEPS)
        return (unsigned)nanoseconds;
    if (nanoseconds >> LATENCY_LONGEST_BITS)
        return LATENCY_BUCKETS - 1;
    unsigned shift = 63u - (unsigned)__builtin_clzll(nanoseconds) - LATENCY_STEP_BITS;
    return (shift << LATENCY_STEP_BITS) + (unsigned)(nanoseconds >> shift);
}

static inline void latency_record(struct latency *l, uint64_t nanoseconds)
{
    ++l->buckets[latency_bucket(nanoseconds)];
    ++l->count;
    if (nanoseconds > l->longest)
        l->longest = nanoseconds;
}

void latency_add(struct latency *sum, const struct latency *part);

/* The duration that @p percent (0 to 100) of all recorded ones do not exceed: the upper end of its bucket. 0
 * if there are none. */
uint64_t latency_percentile(const struct latency *l, double percent);

#endif
