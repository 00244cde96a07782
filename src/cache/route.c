/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/route.h"

#include "base/clock.h"
#include "base/log.h"

enum { PAUSE_US = 100 };

int route_check(const belay_cache *cache, uint32_t partition)
{
    const belay_node *node = cache->node;
    int primary = cache_primary(cache, partition);
    if (node_excluded(node) || !liveness_leased(node))
        return node_excluded(node) ? node_refuse(node) : OPERATION_ELSEWHERE;
    if (view_alive(node->view, primary))
        return BELAY_OK;
    if (cache_is_lost(cache, partition))
        return log_quiet(
            BELAY_ERR_PARTITION_LOST,
            "cache %s: all copies of partition %u are gone; belay_reset_lost_partitions() begins it "
            "anew",
            cache->settings.name, partition);
    return OPERATION_ELSEWHERE;
}

int route_check_write(const belay_cache *cache, uint32_t partition)
{
    if (cache->settings.partition_loss_policy == BELAY_LOSS_READ_ONLY_SAFE &&
        atomic_load_explicit(&cache->lost_count, memory_order_relaxed) > 0 && !node_excluded(cache->node))
        return log_quiet(BELAY_ERR_PARTITION_LOST, "cache %s has lost partitions and is read only",
                         cache->settings.name);
    return route_check(cache, partition);
}

void route_begin(struct route *route, belay_cache *cache, uint32_t partition)
{
    *route = (struct route){.cache = cache, .partition = partition};
}

bool route_repeats(struct route *route, int *result)
{
    belay_node *node = route->cache->node;
    struct node_wait wait;
    if (!route_is_stale(*result))
        return false;
    if (route->deadline == 0)
        route->deadline = node_deadline(node);
    uint64_t until = clock_now() + PAUSE_US * 1000ull;
    node_wait_begin(&wait, node, until);
    while (node_wait_more(&wait))
        ;
    node_wait_end(&wait);
    if (clock_now() < route->deadline)
        return true;
    *result = log_quiet(BELAY_ERR_NODE_FAILED, "no primary of partition %u of cache %s answers",
                        route->partition, route->cache->settings.name);
    return false;
}
