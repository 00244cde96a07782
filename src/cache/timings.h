/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file timings.h
 * How long calls take: histograms of one call in TIMED_OF, so that the clock costs next to nothing. Each thread counts in the
 * shard of its own that it has for the counters.
 *
 * Every power of two of nanoseconds is cut into eight equal buckets, as belay_latencies tells.
 */
#ifndef BELAY_TIMINGS_H
#define BELAY_TIMINGS_H

#include "base/clock.h"
#include "belay.h"
#include "cache/counters.h"

enum { TIMED_OF = 64, TIMED_KINDS = BELAY_TIMED_WRITES, TIMED_STEP_BITS = 3 };

struct timing {
    _Atomic uint64_t sum_ns, longest_ns, buckets[BELAY_LATENCY_BUCKETS];
};

struct timings {
    struct {
        _Alignas(64) struct timing kinds[TIMED_KINDS];
    } shards[COUNTER_SHARDS];
};

/* @p calls: how many this thread has made. @return 0: this one is not timed. */
static inline uint64_t timing_begin(uint64_t calls)
{
    return __builtin_expect(calls % TIMED_OF == 0, 0) ? clock_now() : 0;
}

void timing_end(struct timings *timings, unsigned shard, belay_timed calls, uint64_t began);

/* Of all threads. */
void timings_sum(const struct timings *timings, belay_timed calls, belay_latencies *sum);

uint64_t timing_bucket_end(unsigned bucket); /* its longest duration, in nanoseconds */

#endif
