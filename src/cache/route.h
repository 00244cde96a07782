/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file route.h
 * The way of an operation to its partition's primary while that may change: who it is now, and whether to try again. A caller whose
 * primary is lost waits for the next view and goes on with the new one; its time is the operation timeout.
 */
#ifndef BELAY_ROUTE_H
#define BELAY_ROUTE_H

#include "cache/cache.h"
#include "cache/operation.h"

struct route {
    belay_cache *cache;
    uint32_t partition;
    uint64_t deadline; /* clock_now(); 0: not set yet */
};

/* Is there a primary to turn to now? @return BELAY_OK; OPERATION_ELSEWHERE: not at the moment; PARTITION_LOST or EXCLUDED. */
int route_check(const belay_cache *cache, uint32_t partition);

/* Is the way clear, as it nearly always is? Then route_check() need not be called. */
static inline bool route_is_clear(const belay_cache *cache, int primary)
{
    const belay_node *node = cache->node;
    return !atomic_load_explicit(&node->guarded, memory_order_relaxed) && view_alive(node->view, primary);
}

static inline bool route_is_open(const belay_cache *cache, uint32_t partition)
{
    return route_is_clear(cache, cache_primary(cache, partition)) ||
           route_check(cache, partition) == BELAY_OK;
}

/* The same for a write, which the loss of another partition may forbid. */
int route_check_write(const belay_cache *cache, uint32_t partition);

/* Does this result say that the primary is another one by now, or will be soon? */
static inline bool route_is_stale(int result)
{
    return result == BELAY_ERR_NODE_FAILED || result == OPERATION_ELSEWHERE;
}

void route_begin(struct route *route, belay_cache *cache, uint32_t partition);

/* After an attempt: if its result is stale, wait a little and say true, until the time is over; then *result tells. */
bool route_repeats(struct route *route, int *result);

#endif
