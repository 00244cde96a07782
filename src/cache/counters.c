/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/counters.h"

static atomic_uint shards_given;
static _Thread_local unsigned own_shard = COUNTER_SHARDS;

unsigned counter_shard(void)
{
    if (own_shard == COUNTER_SHARDS)
        own_shard = atomic_fetch_add_explicit(&shards_given, 1, memory_order_relaxed) % COUNTER_SHARDS;
    return own_shard;
}

uint64_t counter_sum(const struct counters *counters, enum counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < COUNTER_SHARDS; ++i)
        sum += atomic_load_explicit(&counters->shards[i].values[which], memory_order_relaxed);
    return sum;
}
