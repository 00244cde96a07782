/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/map.h"

#include "base/log.h"
#include "cluster/affinity.h"

#include <stdlib.h>

enum { COPIES_MAX = PARTITION_BACKUPS_MAX, PLACES_MAX = COPIES_MAX + 1 };

static int copies_of(const belay_cache *cache)
{
    int servers = cache->node->view->servers;
    int wanted = cache->settings.cache_mode == BELAY_CACHE_REPLICATED ? servers
                                                                      : 1 + (int)cache->settings.backups;
    return wanted < servers ? wanted : servers;
}

static void load(const belay_cache *cache, uint32_t partition, int *holders)
{
    for (int i = 0; i < cache->places; ++i)
        holders[i] = cache_holder(cache, partition, i);
}

static void store(belay_cache *cache, uint32_t partition, const int *holders)
{
    for (int i = cache->places - 1; i >= 0; --i) /* the primary last: with it the change counts */
        atomic_store_explicit(&cache->holders[partition * (uint32_t)cache->places + (uint32_t)i], holders[i],
                              memory_order_release);
}

bool map_resets(const belay_cache *cache, const struct view_set *next)
{
    return next->resets >> cache->number & 1;
}

/* A node that joined has its copy by now: of the other backups, the one that wants the partition least gives its copy up. */
static bool trim(const belay_cache *cache, uint32_t partition, int *holders, int *kept)
{
    int least = 1;
    for (int i = 2; i < *kept; ++i)
        if (affinity_weight(partition, holders[i]) < affinity_weight(partition, holders[least]))
            least = i;
    for (int i = least; i + 1 < cache->places; ++i)
        holders[i] = holders[i + 1];
    holders[cache->places - 1] = MAP_NOBODY;
    --*kept;
    return true;
}

/* A server that joins gets a copy of what it would hold had it been there from the beginning, beside the others for now. */
static bool take_joined(const belay_cache *cache, uint32_t partition, const struct view_set *before,
                        const struct view_set *next, int *holders)
{
    struct node_set joined = node_set_minus(&next->members, &before->members);
    for (int node; (node = node_set_first(&joined)) >= 0; node_set_remove(&joined, node)) {
        bool holds = false;
        for (int i = 0; i < cache->copies; ++i)
            holds = holds || holders[i] == node;
        if (holds || !affinity_would_hold(cache->node->view, &next->members, partition, cache->copies, node))
            continue;
        holders[cache->copies] = node;
        return true;
    }
    return false;
}

int map_advance(const belay_cache *cache, uint32_t partition, const struct view_set *before,
                const struct view_set *next, int *holders, struct map_change *change)
{
    int kept = 0;
    bool was_lost = holders[0] == MAP_NOBODY;
    *change = (struct map_change){0};
    for (int i = 0; i < cache->places; ++i) {
        int holder = holders[i];
        if (holder != MAP_NOBODY && node_set_has(&next->members, holder))
            holders[kept++] = holder;
        else
            change->changed = change->changed || holder != MAP_NOBODY;
    }
    for (int i = kept; i < cache->places; ++i)
        holders[i] = MAP_NOBODY;
    if (kept > cache->copies && next->trims && cache->settings.cache_mode != BELAY_CACHE_REPLICATED)
        change->changed = trim(cache, partition, holders, &kept);
    change->kept = kept;
    change->lost = kept == 0 && !was_lost;
    if (kept == 0) {
        change->fresh = map_resets(cache, next) ||
                        (!was_lost && cache->settings.partition_loss_policy == BELAY_LOSS_IGNORE);
        if (!change->fresh)
            return BELAY_OK;
    }
    int count = affinity_assign(cache->node->view, &next->members, partition, cache->copies, kept, true,
                                holders);
    if (count < 0)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for its map", cache->settings.name);
    change->fresh = change->fresh && count > 0;
    change->changed = change->changed || count > kept;
    if (count == cache->copies && take_joined(cache, partition, before, next, holders))
        change->changed = true;
    return BELAY_OK;
}

int map_update(belay_cache *cache, uint32_t partition, uint32_t number, struct map_change *change)
{
    int holders[PLACES_MAX];
    load(cache, partition, holders);
    const struct view *view = cache->node->view;
    int result = map_advance(cache, partition, view_at(view, number - 1), view_at(view, number), holders,
                             change);
    if (result == BELAY_OK && change->changed)
        store(cache, partition, holders);
    return result;
}

static int make_partition(belay_cache *cache, uint32_t partition, uint32_t from, uint32_t until)
{
    const struct view *view = cache->node->view;
    int holders[PLACES_MAX];
    for (int i = 0; i < cache->places; ++i)
        holders[i] = MAP_NOBODY;
    if (affinity_assign(view, &view_at(view, from)->members, partition, cache->copies, 0, false, holders) < 0)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for its map", cache->settings.name);
    for (uint32_t number = from + 1; number <= until; ++number) {
        struct map_change change;
        int result = map_advance(cache, partition, view_at(view, number - 1), view_at(view, number), holders,
                                 &change);
        if (result != BELAY_OK)
            return result;
    }
    store(cache, partition, holders);
    return BELAY_OK;
}

int map_create(belay_cache *cache, uint32_t from, uint32_t until)
{
    cache->copies = copies_of(cache);
    cache->places = cache->copies + 1;
    if (cache->copies > COPIES_MAX)
        return log_error(BELAY_ERR_NOT_SUPPORTED, "cache %s: %d copies; at most %d are supported",
                         cache->settings.name, cache->copies, COPIES_MAX);
    cache->holders = malloc((size_t)cache->partition_count * (size_t)cache->places * sizeof *cache->holders);
    if (!cache->holders)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for its map", cache->settings.name);
    for (uint32_t partition = 0; partition < cache->partition_count; ++partition) {
        int result = make_partition(cache, partition, from, until);
        if (result != BELAY_OK)
            return result;
    }
    return BELAY_OK;
}

void map_destroy(belay_cache *cache)
{
    free(cache->holders);
    cache->holders = NULL;
}
