/* SPDX-License-Identifier: BSD-3-Clause */
#include "mirror/partition.h"

#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

static bool holds(const int *nodes, int copies, int node)
{
    for (int i = 0; i < copies; ++i)
        if (nodes[i] == node)
            return true;
    return false;
}

static int make_copy(struct partition *partition)
{
    belay_node *node = partition->node;
    return copy_create(node->arena, partition->descriptor_offset, partition->cache, partition->number,
                       node->verbs, &partition->copy);
}

void partition_raise_version(struct partition *partition)
{
    uint32_t view = partition->node->view->number;
    if (partition->raised_in != view) { /* else it waits to serve in this one */
        partition->raised_in = view;
        partition->found_version = copy_version(partition->copy);
    }
    copy_raise_version(partition->copy, (uint64_t)(view - 1) << 32);
    partition->raised_version = copy_version(partition->copy);
    if (partition->changed)
        partition->changed(partition, NULL);
}

static void set_ready(struct partition *partition)
{
    partition->ready = partition->complete = true;
    partition_raise_version(partition);
    copy_serve(partition->copy, COPY_SERVES);
}

int partition_init(struct partition *partition, belay_node *node, uint16_t cache, uint32_t number,
                   const int *nodes, unsigned copies, uint64_t descriptor_offset, uint64_t spare_offset,
                   bool fresh)
{
    memset(partition, 0, sizeof *partition);
    partition->node = node;
    partition->cache = cache;
    partition->number = number;
    partition->primary = nodes[0];
    partition->source = -1;
    partition->descriptor_offset = descriptor_offset;
    partition->spare_offset = spare_offset;
    partition->pending_last = &partition->pending_first;
    partition->parked_last = &partition->parked_first;
    if (holds(nodes, (int)copies, node->id)) {
        int result = make_copy(partition);
        if (result != BELAY_OK)
            return result;
        partition->complete = fresh;
        copy_serve(partition->copy, fresh ? COPY_MIRRORS : COPY_SERVES_NOBODY);
    }
    partition->backups = calloc(copies, sizeof *partition->backups);
    partition->provision.calls = calloc(copies, sizeof *partition->provision.calls);
    if (!partition->backups || !partition->provision.calls) {
        partition_destroy(partition);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a partition with %u copies", copies);
    }
    partition->backup_count = (int)copies - 1;
    for (int i = 0; i < partition->backup_count; ++i)
        partition->backups[i].node = -1;
    if (!partition_is_primary(partition) || !partition->copy)
        return BELAY_OK;
    for (int i = 0; i < partition->backup_count; ++i)
        if (nodes[i + 1] >= 0)
            partition->backups[i] = (struct backup){.node = nodes[i + 1],
                                                    .state = fresh ? BACKUP_COMPLETE : BACKUP_WAITING};
    if (fresh)
        set_ready(partition);
    else
        promotion_begin(partition);
    return BELAY_OK;
}

void partition_destroy(struct partition *partition)
{
    for (struct freed_segment *freed = partition->freed, *next; freed; freed = next) {
        next = freed->next;
        free(freed);
    }
    for (int i = 0; partition->backups && i < partition->backup_count; ++i)
        free(partition->backups[i].physical);
    copy_destroy(partition->incoming);
    copy_destroy(partition->copy);
    promotion_end(partition);
    free(partition->provision.physical);
    free(partition->provision.calls);
    free(partition->backups);
    memset(partition, 0, sizeof *partition);
}

/* ---- Parked operations ---- */

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

void partition_park_first(struct partition *partition, struct parked *parked)
{
    parked->next = partition->parked_first;
    if (!parked->next)
        partition->parked_last = &parked->next;
    partition->parked_first = parked;
    partition_activate(partition);
}

/* ---- Backups come and go ---- */

void partition_drop_backup(struct partition *partition, int i)
{
    struct backup *backup = &partition->backups[i];
    partition->switching -= backup->state == BACKUP_FINISHING;
    free(backup->physical);
    *backup = (struct backup){.node = -1};
    for (struct update *update = partition->pending_first; update; update = update->next)
        update->tickets[i] = 0;
    for (struct freed_segment *freed = partition->freed; freed; freed = freed->next)
        freed->fences[i] = 0;
}

static int place_of(const struct partition *partition, int node)
{
    for (int i = 0; i < partition->backup_count; ++i)
        if (partition->backups[i].node == node)
            return i;
    return -1;
}

static void add_backup(struct partition *partition, int node, bool blank, enum backup_state state)
{
    int place = place_of(partition, -1);
    if (place < 0)
        return;
    partition->backups[place] = (struct backup){.node = node, .blank = blank, .state = state};
    if (state == BACKUP_WAITING)
        resync_wanted(partition->node);
}

/* It gives its copy up when this arrives, behind all pushes. */
static void tell_dropped(struct partition *partition, int node)
{
    struct message_header header = {
        .type = MESSAGE_COPY_DROP, .cache = partition->cache, .view = partition->node->view->number};
    struct copy_request_body body = {.partition = partition->number};
    struct iovec part = {&body, sizeof body};
    if (view_alive(partition->node->view, node))
        node_send(partition->node, node, &header, &part, 1, FABRIC_QUEUE);
}

static void keep_backups(struct partition *partition, const int *nodes, int kept,
                         enum backup_state state_of_new)
{
    for (int i = 0; i < partition->backup_count; ++i)
        if (partition->backups[i].node >= 0 &&
            !holds(nodes + 1, partition->backup_count, partition->backups[i].node)) {
            tell_dropped(partition, partition->backups[i].node);
            partition_drop_backup(partition, i);
        }
    for (int i = 1; i <= partition->backup_count; ++i)
        if (nodes[i] >= 0 && place_of(partition, nodes[i]) < 0)
            add_backup(partition, nodes[i], i >= kept, state_of_new);
}

/* A copy that was begun by a node that is gone will never be complete. */
static void drop_incoming_of_lost(struct partition *partition)
{
    if (partition->source < 0 || view_alive(partition->node->view, partition->source))
        return;
    copy_destroy(partition->incoming);
    partition->incoming = NULL;
    partition->source = -1;
}

void partition_give_up_copy(struct partition *partition)
{
    copy_destroy(partition->incoming);
    copy_destroy(partition->copy);
    partition->copy = partition->incoming = NULL;
    partition->source = -1;
    partition->complete = false;
}

static void hold_copy(struct partition *partition, bool fresh)
{
    if (!partition->copy && make_copy(partition) != BELAY_OK)
        return; /* logged; this holder will never be complete */
    partition->complete = partition->complete || fresh;
    if (partition->complete && !partition->ready)
        copy_serve(partition->copy, COPY_MIRRORS);
}

void partition_reassign(struct partition *partition, const int *nodes, int kept, bool fresh)
{
    int me = partition->node->id;
    spin_acquire(&partition->lock);
    bool was_primary = partition_is_primary(partition);
    int before = partition->primary;
    partition->primary = nodes[0];
    drop_incoming_of_lost(partition);
    if (holds(nodes, partition->backup_count + 1, me))
        hold_copy(partition, fresh);
    else if (partition->copy && partition->primary != before)
        partition_give_up_copy(partition); /* the former primary is gone: it pushes no more */
    if (nodes[0] == me && partition->copy) {
        keep_backups(partition, nodes, kept, fresh ? BACKUP_COMPLETE : BACKUP_WAITING);
        if (fresh)
            set_ready(partition);
        else if (!was_primary || !partition->ready)
            promotion_begin(partition);
    }
    partition_activate(partition);
    spin_release(&partition->lock);
}

void partition_abandon(struct partition *partition)
{
    spin_acquire(&partition->lock);
    partition->ready = false;
    partition->abandoned = true;
    partition->primary = -1;
    promotion_end(partition);
    if (partition->copy)
        copy_serve(partition->copy, COPY_SERVES_NOBODY);
    for (int i = 0; i < partition->backup_count; ++i)
        partition_drop_backup(partition, i);
    partition_activate(partition);
    spin_release(&partition->lock);
}

void partition_retire(struct partition *partition, bool empty)
{
    partition_abandon(partition);
    if (!empty)
        return;
    spin_acquire(&partition->lock);
    partition_give_up_copy(partition);
    spin_release(&partition->lock);
}

void partition_count_copies(struct partition *partition, unsigned *complete, unsigned *restoring)
{
    *complete = partition->ready;
    *restoring = 0;
    for (int i = 0; i < partition->backup_count; ++i) {
        *complete += partition->backups[i].node >= 0 && partition->backups[i].state == BACKUP_COMPLETE;
        *restoring += partition->backups[i].node >= 0 && partition->backups[i].state != BACKUP_COMPLETE;
    }
}
