/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/partitions.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/map.h"
#include "cache/operation.h"
#include "cache/serve.h"
#include "cache/transaction_locks.h"
#include "cache/transaction_recover.h"
#include "cache/whole.h"

#include <stdlib.h>
#include <string.h>

/* ---- Finding ---- */

struct partition *partitions_find(belay_node *node, uint16_t number, uint32_t index)
{
    belay_cache *cache = cache_find(node, number);
    return cache && index < cache->partition_count ? &cache->partitions[index] : NULL;
}

struct partition *partitions_walk(belay_node *node, const struct partition *before)
{
    uint16_t number = before ? before->cache : 0;
    uint32_t index = before ? before->number + 1 : 0;
    for (; number < BELAY_CACHES_MAX; ++number, index = 0) {
        struct partition *partition = partitions_find(node, number, index);
        if (partition)
            return partition;
    }
    return NULL;
}

/* ---- What the mirror layer asks ---- */

static void name_cache(const struct partition *partition, char *name)
{
    const belay_cache *cache = cache_find(partition->node, partition->cache);
    if (cache)
        memcpy(name, cache->settings.name, sizeof cache->settings.name);
}

/* This node should be the primary, and nobody has a complete copy: all are told. */
static bool begin_empty(const struct partition *partition)
{
    belay_node *node = partition->node;
    const belay_cache *cache = cache_find(node, partition->cache);
    struct message_header header = {
        .type = MESSAGE_LOST, .cache = partition->cache, .view = node->view->number};
    struct iovec part = part_of(&partition->number, sizeof partition->number);
    if (!cache || cache->settings.partition_loss_policy == BELAY_LOSS_IGNORE)
        return true;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (view_alive(node->view, peer))
            node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
    return false;
}

static int handle_lost(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    uint32_t number;
    if (length != sizeof number)
        return BELAY_ERR_PROTOCOL;
    memcpy(&number, body, sizeof number);
    struct partition *partition = partitions_find(node, header->cache, number);
    if (partition && partition->primary == peer)
        partitions_note_lost(cache_find(node, header->cache), number);
    return BELAY_OK;
}

int partitions_make(belay_cache *cache, uint32_t number, bool fresh)
{
    struct partition *partition = &cache->partitions[number];
    int holders[PARTITION_BACKUPS_MAX + 1];
    for (int i = 0; i < cache->places; ++i)
        holders[i] = cache_holder(cache, number, i);
    uint64_t descriptor = cache->block_offset + (uint64_t)number * DESCRIPTOR_SIZE;
    uint64_t spare = descriptor + (uint64_t)cache->partition_count * DESCRIPTOR_SIZE;
    int result = partition_init(partition, cache->node, cache->number, number, holders,
                                (unsigned)cache->places, descriptor, spare, fresh);
    partition->unpark = serve_unpark;
    partition->begin_empty = begin_empty;
    partition->name_cache = name_cache;
    partition->time_to_live_ms = cache->settings.time_to_live_ms;
    partition->evicts = cache->settings.eviction_policy == BELAY_EVICTION_FIFO;
    partition->keeps_end = cache->settings.expiry_policy == BELAY_EXPIRY_CREATED;
    if (result == BELAY_OK && cache_is_transactional(cache)) {
        partition->promoted = recover_promoted;
        partition->transactions = transactions_create();
        if (!partition->transactions)
            result = log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for its transactions",
                               cache->settings.name);
    }
    return result;
}

struct partition *partitions_next_primary(belay_node *node, struct partition_walk *walk)
{
    for (; walk->cache < BELAY_CACHES_MAX; ++walk->cache, walk->partition = 0) {
        belay_cache *cache = cache_find(node, (uint16_t)walk->cache);
        while (cache && walk->partition < cache->partition_count) {
            struct partition *partition = &cache->partitions[walk->partition++];
            if (partition_is_primary(partition))
                return partition;
        }
    }
    return NULL;
}

/* ---- Lost partitions ---- */

void partitions_note_lost(belay_cache *cache, uint32_t number)
{
    if (!atomic_exchange(&cache->lost[number], true))
        atomic_fetch_add(&cache->lost_count, 1);
}

static void note_found(belay_cache *cache, uint32_t number)
{
    if (atomic_exchange(&cache->lost[number], false))
        atomic_fetch_sub(&cache->lost_count, 1);
}

static void tell_lost(belay_cache *cache, uint32_t number)
{
    belay_node *node = cache->node;
    belay_event event = {
        .kind = BELAY_EVENT_PARTITION_LOST, .view = node->view->number, .node = -1, .partition = (int)number};
    memcpy(event.cache, cache->settings.name, sizeof cache->settings.name);
    events_add(node, &event);
}

/* ---- Another view ---- */

static void update_partition(belay_cache *cache, uint32_t number, uint32_t view)
{
    struct partition *partition = &cache->partitions[number];
    struct map_change change;
    int holders[PARTITION_BACKUPS_MAX + 1];
    if (map_resets(cache, view_at(cache->node->view, view))) {
        note_found(cache, number);
        partition_begin_anew(partition);
    }
    if (map_update(cache, number, view, &change) != BELAY_OK)
        return; /* logged */
    if (change.lost)
        tell_lost(cache, number);
    if (change.lost && !change.fresh)
        partitions_note_lost(cache, number);
    if (change.fresh)
        note_found(cache, number);
    if (!change.changed)
        return;
    for (int i = 0; i < cache->places; ++i)
        holders[i] = cache_holder(cache, number, i);
    if (cache->fetched)
        cache_forget_descriptor(cache, number);
    partition_reassign(partition, holders, change.kept, change.fresh);
}

void partitions_advance(belay_cache *cache, uint32_t view)
{
    for (uint32_t i = 0; i < cache->partition_count; ++i)
        update_partition(cache, i, view);
}

static void abandon_reservations(belay_cache *cache, uint32_t number)
{
    const struct view *view = cache->node->view;
    for (int peer = 0; peer < view->nodes; ++peer)
        if (!node_set_has(&view_now(view)->members, peer))
            operation_abandon_all(&cache->partitions[number], peer);
}

static void view_changed(belay_node *node)
{
    for (uint16_t number = 0; number < BELAY_CACHES_MAX; ++number) {
        belay_cache *cache = cache_find(node, number);
        if (cache && !node_excluded(node)) {
            cache->disturbed = true;
            partitions_advance(cache, node->view->number);
        }
        for (uint32_t i = 0; cache && i < cache->partition_count; ++i) {
            if (node_excluded(node))
                partition_abandon(&cache->partitions[i]);
            else
                abandon_reservations(cache, i);
        }
    }
}

/* ---- The state of a partition, as its primary knows it ---- */

struct state_answer {
    uint32_t complete, restoring, lost, reserved;
};

static int handle_state(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    uint32_t number;
    struct state_answer answer = {0};
    if (length != sizeof number)
        return BELAY_ERR_PROTOCOL;
    memcpy(&number, body, sizeof number);
    struct partition *partition = partitions_find(node, header->cache, number);
    if (!partition || !partition_is_primary(partition) || (!partition->ready && !partition->lost)) {
        node_reply(node, peer, header->call, OPERATION_ELSEWHERE, NULL, 0);
        return BELAY_OK;
    }
    spin_acquire(&partition->lock);
    partition_count_copies(partition, &answer.complete, &answer.restoring);
    answer.lost = partition->lost;
    spin_release(&partition->lock);
    node_reply(node, peer, header->call, BELAY_OK, &answer, sizeof answer);
    return BELAY_OK;
}

int partitions_state(belay_cache *cache, uint32_t number, belay_partition_state *state)
{
    struct state_answer answer = {0};
    size_t length = 0;
    struct whole_question question = {.type = MESSAGE_STATE, .body = &number, .length = sizeof number};
    int result = whole_ask_primary(cache, number, &question, &answer, sizeof answer, &length,
                                   "belay_partition_state_of");
    bool lost = result == BELAY_ERR_PARTITION_LOST;
    if (result != BELAY_OK && !lost)
        return result;
    *state = (belay_partition_state){.primary = lost ? MAP_NOBODY : cache_primary(cache, number),
                                     .copies_wanted = (unsigned)cache->copies,
                                     .copies_complete = answer.complete,
                                     .copies_restoring = answer.restoring,
                                     .lost = lost || answer.lost};
    return BELAY_OK;
}

bool partitions_complete(belay_node *node)
{
    for (uint16_t number = 0; number < BELAY_CACHES_MAX; ++number) {
        belay_cache *cache = cache_find(node, number);
        for (uint32_t i = 0; cache && i < cache->partition_count; ++i) {
            belay_partition_state state;
            if (partitions_state(cache, i, &state) != BELAY_OK || state.copies_restoring > 0)
                return false;
        }
    }
    return true;
}

/* ---- Beginning lost partitions anew ---- */

static int handle_reset(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    (void)body;
    if (length != 0 || header->cache >= BELAY_CACHES_MAX)
        return BELAY_ERR_PROTOCOL;
    membership_reset(node, 1ull << header->cache);
    node_reply(node, peer, header->call, BELAY_OK, NULL, 0);
    return BELAY_OK;
}

/* Every node is told, since the coordinator may die; the view that says so does it once. */
int partitions_reset_lost(belay_cache *cache)
{
    belay_node *node = cache->node;
    uint64_t deadline = node_deadline(node);
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        struct waited_call call;
        struct message_header header = {.type = MESSAGE_RESET, .cache = cache->number};
        if (!view_alive(node->view, peer))
            continue;
        waited_call_init(&call, peer, NULL, 0);
        int result = node_call_wait(node, peer, header, NULL, 0, &call, deadline,
                                    "belay_reset_lost_partitions");
        if (result != BELAY_OK && result != BELAY_ERR_NODE_FAILED)
            return result;
    }
    struct node_wait wait;
    bool in_time = true;
    node_wait_begin(&wait, node, deadline);
    while (atomic_load(&cache->lost_count) > 0 && in_time && !node_excluded(node))
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    if (node_excluded(node))
        return node_refuse(node);
    return in_time ? BELAY_OK
                   : log_quiet(BELAY_ERR_TIMEOUT, "cache %s: lost partitions are still lost",
                               cache->settings.name);
}

void partitions_register(belay_node *node)
{
    node_handle(node, MESSAGE_STATE, handle_state);
    node_handle(node, MESSAGE_RESET, handle_reset);
    node_handle(node, MESSAGE_LOST, handle_lost);
    node_add_view_hook(node, view_changed);
}
