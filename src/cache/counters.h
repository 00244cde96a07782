/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file counters.h
 * Counters of one cache without shared cache lines: each thread adds in a shard of its own and readers sum them up.
 * (Should a job have more than COUNTER_SHARDS calling threads, some share a shard and may lose a count now and then.)
 */
#ifndef BELAY_COUNTERS_H
#define BELAY_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

enum { COUNTER_SHARDS = 64 };

enum counter {
    COUNT_GETS,
    COUNT_HITS,
    COUNT_GETS_LOCAL,
    COUNT_GETS_ONE_SIDED,
    COUNT_GETS_REQUESTED,
    COUNT_READ_RETRIES,
    COUNT_PUTS,
    COUNT_REMOVES,
    COUNT_GETS_NEAR,
    COUNT_GETS_FROM_BACKUP,
    COUNT_EXPIRIES_ASKED, /* a read found something whose time seemed to be over */
    COUNTERS
};

struct counters {
    struct {
        _Alignas(64) _Atomic uint64_t values[COUNTERS];
    } shards[COUNTER_SHARDS];
};

/* This thread's shard, chosen once; COUNTER_SHARDS: not yet. */
extern _Thread_local __attribute__((tls_model("initial-exec"))) unsigned counter_own_shard;
void counter_choose_shard(void);

static inline unsigned counter_shard(void)
{
    if (__builtin_expect(counter_own_shard == COUNTER_SHARDS, 0))
        counter_choose_shard();
    return counter_own_shard;
}

/* What this thread has counted (and others with the same shard). */
static inline uint64_t counter_own(const struct counters *counters, unsigned shard, enum counter which)
{
    return atomic_load_explicit(&counters->shards[shard].values[which], memory_order_relaxed);
}

static inline void counter_add(struct counters *counters, unsigned shard, enum counter which, uint64_t amount)
{
    _Atomic uint64_t *value = &counters->shards[shard].values[which];
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

uint64_t counter_sum(const struct counters *counters, enum counter which);

#endif
