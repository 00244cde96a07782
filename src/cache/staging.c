/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/staging.h"

#include "cache/cache.h"

uint32_t staging_take(belay_node *node)
{
    struct cache_registry *registry = node->caches;
    uint32_t segment = ARENA_NO_SEGMENT;
    spin_acquire(&registry->staging_lock);
    if (registry->staging_count > 0)
        segment = registry->staging[--registry->staging_count];
    spin_release(&registry->staging_lock);
    return segment != ARENA_NO_SEGMENT ? segment : arena_take(node->arena, ARENA_URGENT);
}

void staging_give(belay_node *node, uint32_t segment)
{
    struct cache_registry *registry = node->caches;
    bool kept = false;
    spin_acquire(&registry->staging_lock);
    if (registry->staging_count < STAGING_KEPT) {
        registry->staging[registry->staging_count++] = segment;
        kept = true;
    }
    spin_release(&registry->staging_lock);
    if (!kept)
        arena_give(node->arena, segment, 1);
}

void staging_destroy(belay_node *node)
{
    struct cache_registry *registry = node->caches;
    while (registry->staging_count > 0)
        arena_give(node->arena, registry->staging[--registry->staging_count], 1);
}
