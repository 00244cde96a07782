/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/standby.h"

#include "cache/map.h"
#include "cluster/affinity.h"

enum { PARTITIONS_PER_ROUND = 16 };

void standby_wanted(belay_node *node)
{
    if (!node->verbs || !node_is_server(node))
        return;
    node->caches->standby_cache = node->caches->standby_partition = 0;
    node_attend(node);
}

/* The holders of a partition, and the next one. @return how many. */
static int holders_of(const belay_cache *cache, uint32_t partition, int *nodes)
{
    const struct view *view = cache->node->view;
    int kept = 0;
    for (int i = 0; i < cache->places; ++i)
        if (cache_holder(cache, partition, i) != MAP_NOBODY)
            nodes[kept++] = cache_holder(cache, partition, i);
    int count = affinity_assign(view, &view_now(view)->members, partition, kept + 1, kept, true, nodes);
    return count < 0 ? kept : count;
}

static void connect_with(belay_node *node, const int *nodes, int count)
{
    bool among = false;
    for (int i = 0; i < count; ++i)
        among = among || nodes[i] == node->id;
    for (int i = 0; among && i < count; ++i)
        if (nodes[i] != node->id && view_alive(node->view, nodes[i]) &&
            fabric_peer_state(node->fabric, nodes[i]) == FABRIC_KNOWN)
            fabric_connect(node->fabric, nodes[i]);
}

static int progress(belay_node *node, bool *busy)
{
    struct cache_registry *registry = node->caches;
    int nodes[PARTITION_BACKUPS_MAX + 2], looked = 0;
    if (registry->standby_cache == BELAY_CACHES_MAX || !settlement_reached(node, node->view->number))
        return 0;
    while (registry->standby_cache < BELAY_CACHES_MAX && looked < PARTITIONS_PER_ROUND) {
        const belay_cache *cache = cache_find(node, (uint16_t)registry->standby_cache);
        if (!cache || registry->standby_partition == cache->partition_count) {
            registry->standby_cache++;
            registry->standby_partition = 0;
            continue;
        }
        connect_with(node, nodes, holders_of(cache, registry->standby_partition++, nodes));
        ++looked;
    }
    *busy = *busy || registry->standby_cache < BELAY_CACHES_MAX;
    return 0;
}

void standby_register(belay_node *node)
{
    node->caches->standby_cache = BELAY_CACHES_MAX;
    node_add_progress_hook(node, progress);
    node_add_view_hook(node, standby_wanted);
}
