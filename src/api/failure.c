/* SPDX-License-Identifier: BSD-3-Clause */
/* Events, and the state of partitions after a failure. */
#include "api/check.h"
#include "base/clock.h"
#include "cache/partitions.h"

#include <sched.h>
#include <time.h>

int belay_on_event(belay_node *node, belay_event_handler handler, void *context)
{
    int result = check_output("belay_on_event", node, "node");
    if (result != BELAY_OK)
        return result;
    spin_acquire(&node->event_queue.telling);
    node->event_queue.context = context;
    atomic_store_explicit(&node->event_queue.handler, handler, memory_order_release);
    spin_release(&node->event_queue.telling);
    return BELAY_OK;
}

int belay_view_number(const belay_node *node)
{
    return node ? (int)node->view->number : BELAY_ERR_INVALID;
}

int belay_partition_state_of(belay_cache *cache, int partition, belay_partition_state *state)
{
    int result = check_output("belay_partition_state_of", cache, "cache");
    if (result == BELAY_OK)
        result = check_output("belay_partition_state_of", state, "state");
    if (result == BELAY_OK && (partition < 0 || (uint32_t)partition >= cache->partition_count))
        result = log_quiet(BELAY_ERR_INVALID, "belay_partition_state_of: partition %d; there are %u",
                           partition, cache->partition_count);
    return result == BELAY_OK ? partitions_state(cache, (uint32_t)partition, state) : result;
}

/* How many copies of a partition there can be at the moment. */
static unsigned copies_possible(const belay_cache *cache)
{
    const struct view *view = cache->node->view;
    unsigned servers = 0;
    for (int i = 0; i < view->nodes; ++i)
        servers += view->members[i].server && view_alive(view, i);
    return servers < (unsigned)cache->copies ? servers : (unsigned)cache->copies;
}

static int all_copies(belay_cache *cache, bool *all)
{
    *all = true;
    for (uint32_t i = 0; i < cache->partition_count && *all; ++i) {
        belay_partition_state state;
        int result = partitions_state(cache, i, &state);
        if (result != BELAY_OK)
            return result;
        *all = state.lost || (state.copies_restoring == 0 && state.copies_complete >= copies_possible(cache));
    }
    return BELAY_OK;
}

int belay_await_copies(belay_cache *cache, unsigned timeout_ms)
{
    enum { PAUSE_NS = 1000 * 1000 };
    bool all = false;
    int result = check_output("belay_await_copies", cache, "cache");
    uint64_t deadline = clock_deadline(timeout_ms);
    while (result == BELAY_OK && (result = all_copies(cache, &all)) == BELAY_OK && !all) {
        if (clock_now() > deadline)
            return log_quiet(BELAY_ERR_TIMEOUT, "cache %s: not all copies are complete within %u ms",
                             cache->settings.name, timeout_ms);
        node_progress(cache->node);
        nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
    }
    return result;
}

int belay_lost_partitions(belay_cache *cache, int *partitions, int capacity)
{
    int count = 0;
    int result = check_output("belay_lost_partitions", cache, "cache");
    if (result == BELAY_OK && (capacity < 0 || (capacity > 0 && !partitions)))
        result = log_quiet(BELAY_ERR_INVALID, "belay_lost_partitions: room for %d numbers at %p", capacity,
                           (void *)partitions);
    if (result != BELAY_OK)
        return result;
    for (uint32_t i = 0; i < cache->partition_count; ++i)
        if (cache_is_lost(cache, i) && count++ < capacity)
            partitions[count - 1] = (int)i;
    return count;
}

int belay_reset_lost_partitions(belay_cache *cache)
{
    int result = check_output("belay_reset_lost_partitions", cache, "cache");
    if (result == BELAY_OK && node_excluded(cache->node))
        result = node_refuse(cache->node);
    if (result != BELAY_OK || atomic_load(&cache->lost_count) == 0)
        return result;
    return partitions_reset_lost(cache);
}
