/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/counters.h"

_Thread_local __attribute__((tls_model("initial-exec"))) unsigned counter_own_shard = COUNTER_SHARDS;

void counter_choose_shard(void)
{
    static atomic_uint given;
    counter_own_shard = atomic_fetch_add_explicit(&given, 1, memory_order_relaxed) % COUNTER_SHARDS;
}

uint64_t counter_sum(const struct counters *counters, enum counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < COUNTER_SHARDS; ++i)
        sum += atomic_load_explicit(&counters->shards[i].values[which], memory_order_relaxed);
    return sum;
}
