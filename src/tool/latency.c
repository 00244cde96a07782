/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/latency.h"

#include <math.h>

void latency_add(struct latency *sum, const struct latency *part)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; ++i)
        sum->buckets[i] += part->buckets[i];
    sum->count += part->count;
    if (part->longest > sum->longest)
        sum->longest = part->longest;
}

static uint64_t bucket_end(unsigned bucket)
{
    unsigned shift = bucket >> LATENCY_STEP_BITS;
    if (shift <= 1)
        return bucket; /* one nanosecond wide */
    --shift;
    uint64_t step = bucket - (shift << LATENCY_STEP_BITS);
    return ((step + 1) << shift) - 1;
}

uint64_t latency_percentile(const struct latency *l, double percent)
{
    uint64_t wanted = (uint64_t)ceil(percent / 100 * (double)l->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; ++i) {
        seen += l->buckets[i];
        if (seen > 0 && seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < l->longest ? end : l->longest;
        }
    }
    return 0;
}
