/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/timings.h"

/* BELAY_LATENCY_BUCKETS are enough for what is shorter than this; the last one takes the rest. */
enum { LONGEST_BITS = 34 };

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 1u << TIMED_STEP_BITS)
        return (unsigned)ns;
    if (ns >> LONGEST_BITS)
        return BELAY_LATENCY_BUCKETS - 1;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - TIMED_STEP_BITS;
    return (shift << TIMED_STEP_BITS) + (unsigned)(ns >> shift);
}
_Static_assert(((LONGEST_BITS - 1 - TIMED_STEP_BITS) << TIMED_STEP_BITS) + (2 << TIMED_STEP_BITS) ==
                   BELAY_LATENCY_BUCKETS,
               "the last bucket is that of the longest");

uint64_t timing_bucket_end(unsigned bucket)
{
    unsigned shift = bucket >> TIMED_STEP_BITS;
    if (shift <= 1)
        return bucket; /* one nanosecond wide */
    --shift;
    return ((bucket - ((uint64_t)shift << TIMED_STEP_BITS) + 1) << shift) - 1;
}

static void add(_Atomic uint64_t *value, uint64_t amount)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

void timing_end(struct timings *timings, unsigned shard, belay_timed calls, uint64_t began)
{
    struct timing *timing = &timings->shards[shard].kinds[calls - 1];
    uint64_t took = clock_now() - began;
    add(&timing->buckets[bucket_of(took)], 1);
    add(&timing->sum_ns, took);
    if (took > atomic_load_explicit(&timing->longest_ns, memory_order_relaxed))
        atomic_store_explicit(&timing->longest_ns, took, memory_order_relaxed);
}

void timings_sum(const struct timings *timings, belay_timed calls, belay_latencies *sum)
{
    *sum = (belay_latencies){0};
    for (unsigned shard = 0; shard < COUNTER_SHARDS; ++shard) {
        const struct timing *timing = &timings->shards[shard].kinds[calls - 1];
        uint64_t longest = atomic_load_explicit(&timing->longest_ns, memory_order_relaxed);
        if (longest == 0)
            continue; /* not looked at, its pages stay unused */
        sum->longest_ns = longest > sum->longest_ns ? longest : sum->longest_ns;
        sum->sum_ns += atomic_load_explicit(&timing->sum_ns, memory_order_relaxed);
        for (unsigned i = 0; i < BELAY_LATENCY_BUCKETS; ++i) {
            uint64_t count = atomic_load_explicit(&timing->buckets[i], memory_order_relaxed);
            sum->buckets[i] += count;
            sum->count += count;
        }
    }
}
