/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file map.h
 * Which nodes hold the copies of a cache's partitions: a function of the history of views alone, so that all nodes agree
 * without a word. From one view to the next, holders that are left out drop out, those that stay move up, and further
 * servers take the free places. A server that joins gets copies beside the others; when it has them, a view that `trims` takes as many
 * from others. So the first holder is the primary, and of those behind it the newest may still be waiting
 * for their copies.
 *
 * Threads: any may read a holder; a change is made under the state lock.
 */
#ifndef BELAY_MAP_H
#define BELAY_MAP_H

#include "cache/cache.h"

enum { MAP_NOBODY = -1 };

/* The map of view @p from, then of the views up to @p until. Errors: NO_MEMORY, NOT_SUPPORTED (too many copies). */
int map_create(belay_cache *cache, uint32_t from, uint32_t until);
void map_destroy(belay_cache *cache);

/* What a view change means for a partition. */
struct map_change {
    bool changed;
    int kept;   /* the first holders: those that were holders in the view before */
    bool lost;  /* all holders are gone */
    bool fresh; /* and others begin with empty copies */
};

/* Go on from one view to the next. @p holders is changed. */
int map_advance(const belay_cache *cache, uint32_t partition, const struct view_set *before,
                const struct view_set *next, int *holders, struct map_change *change);

/* Do lost partitions of the cache begin anew with this view? */
bool map_resets(const belay_cache *cache, const struct view_set *next);

/* Take over the holders of a view, the next one. */
int map_update(belay_cache *cache, uint32_t partition, uint32_t number, struct map_change *change);

#endif
