/* SPDX-License-Identifier: BSD-3-Clause */
#include "mirror/partition.h"

#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

int partition_init(struct partition *partition, belay_node *node, uint16_t cache, uint32_t number,
                   const int *nodes, unsigned copies, uint64_t descriptor_offset)
{
    memset(partition, 0, sizeof *partition);
    partition->node = node;
    partition->cache = cache;
    partition->number = number;
    partition->primary = nodes[0];
    partition->descriptor_offset = descriptor_offset;
    partition->pending_last = &partition->pending_first;
    partition->parked_last = &partition->parked_first;
    bool holds_copy = false;
    for (unsigned i = 0; i < copies; ++i)
        holds_copy |= nodes[i] == node->id;
    if (holds_copy) {
        int result = copy_create(node->arena, descriptor_offset, cache, number, node->verbs,
                                 &partition->copy);
        if (result != BELAY_OK)
            return result;
    }
    partition->backups = calloc(copies, sizeof *partition->backups);
    partition->provision.calls = calloc(copies, sizeof *partition->provision.calls);
    if (!partition->backups || !partition->provision.calls) {
        partition_destroy(partition);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a partition with %u copies", copies);
    }
    partition->backup_count = (int)copies - 1;
    for (unsigned i = 1; i < copies; ++i)
        partition->backups[i - 1].node = nodes[i];
    return BELAY_OK;
}

void partition_destroy(struct partition *partition)
{
    for (struct freed_segment *freed = partition->freed, *next; freed; freed = next) {
        next = freed->next;
        free(freed);
    }
    for (int i = 0; i < partition->backup_count; ++i)
        free(partition->backups[i].physical);
    if (partition->copy)
        copy_destroy(partition->copy);
    free(partition->provision.physical);
    free(partition->provision.calls);
    free(partition->backups);
    memset(partition, 0, sizeof *partition);
}

void partition_park(struct partition *partition, struct parked *parked)
{
    parked->next = NULL;
    *partition->parked_last = parked;
    partition->parked_last = &parked->next;
    partition_activate(partition);
}

struct parked *partition_take_parked(struct partition *partition)
{
    struct parked *parked = partition->parked_first;
    if (!parked)
        return NULL;
    partition->parked_first = parked->next;
    if (!parked->next)
        partition->parked_last = &partition->parked_first;
    return parked;
}

void partition_node_lost(struct partition *partition, int node)
{
    spin_acquire(&partition->lock);
    for (int i = 0; i < partition->backup_count; ++i)
        if (partition->backups[i].node == node)
            partition->backups[i].node = -1;
    if (partition->pending_first || partition->parked_first)
        partition_activate(partition);
    spin_release(&partition->lock);
}
