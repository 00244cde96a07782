/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file pending.c
 * FULL_SYNC updates between push and acknowledgement: one queue per partition, published from its head as the backups'
 * completions arrive, so that readers see updates in the order the copies got them.
 */
#include "mirror/mirror_private.h"

static bool on_all_backups(const struct partition *partition, const struct update *update)
{
    if (!update->has_change)
        return true;
    for (int i = 0; i < partition->backup_count; ++i) {
        const struct backup *backup = &partition->backups[i];
        if (backup->state != BACKUP_COMPLETE)
            continue;
        if (backup->failed || !fabric_done(partition->node->fabric, backup->node, update->tickets[i]))
            return false;
    }
    return true;
}

static void append(struct partition *partition, struct update *update)
{
    update->next = NULL;
    *partition->pending_last = update;
    partition->pending_last = &update->next;
    partition_activate(partition);
}

bool partition_push_sync(struct partition *partition, struct update *update)
{
    update->has_change = true;
    partition_push(partition, &update->change, update->tickets);
    if (!partition->pending_first && on_all_backups(partition, update)) {
        copy_publish(partition->copy, &update->change);
        return true;
    }
    append(partition, update);
    return false;
}

bool partition_after_pending(struct partition *partition, struct update *update)
{
    if (!partition->pending_first)
        return true;
    update->has_change = false;
    append(partition, update);
    return false;
}

/* Publish what every backup has. @return how many. The lock is held. */
int partition_publish_ready(struct partition *partition)
{
    int published = 0;
    while (partition->pending_first && on_all_backups(partition, partition->pending_first)) {
        struct update *update = partition->pending_first;
        partition->pending_first = update->next;
        if (!update->next)
            partition->pending_last = &partition->pending_first;
        update->abandoned = partition->abandoned;
        if (update->has_change && !update->abandoned) {
            copy_publish(partition->copy, &update->change);
            if (__builtin_expect(partition->changed != NULL, 0))
                partition->changed(partition, &update->change);
        }
        update->published(update); /* the update's memory may be gone now */
        ++published;
    }
    return published;
}
