/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file mirror.h
 * The mirror layer at one node: which partitions progress must look at, and the messages between primaries and backups.
 */
#ifndef BELAY_MIRROR_H
#define BELAY_MIRROR_H

#include "mirror/partition.h"

/* How handlers find a partition; of the cache layer. NULL: no such cache or partition here. */
typedef struct partition *(*partition_finder)(belay_node *node, uint16_t cache, uint32_t number);

/* The partition behind this one in some order over all caches; NULL: the first, or no more. */
typedef struct partition *(*partition_walker)(belay_node *node, const struct partition *before);

int mirror_create(belay_node *node, partition_finder find, partition_walker walk);
void mirror_destroy(belay_node *node);

/* Beside cleaning: caches whose oldest entries should give way, one bit for each by its number; and those of them that have hardly
 * any. */
struct mirror_sweep {
    uint64_t evict, thoroughly;
};

/* Did some copy find no room since the last sweep that this node began? Then all nodes should sweep. One at a time. Under the
 * state lock. @return true: mirror_sweep_ended() is to be called when all are through. */
bool mirror_sweep_wanted(belay_node *node, struct mirror_sweep *sweep);
void mirror_sweep_ended(belay_node *node);

/* Wait until everything this node pushed so far is on the backups. */
int mirror_fence(belay_node *node, uint64_t deadline);

#endif
