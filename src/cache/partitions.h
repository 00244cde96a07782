/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file partitions.h
 * The partitions of this node's caches as views come and go: who holds them, which are lost, what state they are in.
 */
#ifndef BELAY_PARTITIONS_H
#define BELAY_PARTITIONS_H

#include "cache/cache.h"

/* Make one partition by the cache's map. @p fresh: with copies that are empty everywhere. */
int partitions_make(belay_cache *cache, uint32_t number, bool fresh);

/* Go on to another view, the next one. Under the state lock. */
void partitions_advance(belay_cache *cache, uint32_t view);

struct partition *partitions_find(belay_node *node, uint16_t number, uint32_t index);
struct partition *partitions_walk(belay_node *node, const struct partition *before);

/* A walk over the partitions of all caches whose primary is this node. */
struct partition_walk {        /* zeroed: the beginning */
    uint32_t cache, partition; /* the next to look at */
};
struct partition *partitions_next_primary(belay_node *node, struct partition_walk *walk); /* NULL: no more */

void partitions_note_lost(belay_cache *cache, uint32_t number);

/* belay_partition_state_of() */
int partitions_state(belay_cache *cache, uint32_t number, belay_partition_state *state);

/* Does every partition of all caches have all its copies? For a thread that may wait. */
bool partitions_complete(belay_node *node);

/* belay_reset_lost_partitions() */
int partitions_reset_lost(belay_cache *cache);

void partitions_register(belay_node *node);

#endif
