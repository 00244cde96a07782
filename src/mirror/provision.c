/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file provision.c
 * A copy grows on all nodes at once: the primary takes segments of its own arena and asks each backup to attach the same
 * logical segments; when all have, it attaches its own and goes on. If one has no room, the others let go again.
 *
 * The room is asked for by the operation that needs it, which is parked meanwhile. A failure starts a sweep of all
 * primaries (dead entries cleaned, free segments given back); if a few of them bring nothing the operation gets NO_SPACE. For a
 * short while after a failover, when logs are held (room.c), it waits before that counts: a short while only, since it may itself
 * be what the others wait for.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEGMENTS_PER_MESSAGE = 1536,
    ATTEMPTS = 3, /* failed provisions that one operation bears, with a sweep of all nodes behind each */
    /* The same where old entries give way, and what is done after so many failures: cleaning first. */
    ATTEMPTS_EVICTING = 10,
    VAIN_BEFORE_EVICTION = 2,
    VAIN_BEFORE_THOROUGHNESS = 5,
    RETRY_NS = 1000000 /* when a backup was not ready */
};

/* ---- At the backup ---- */

static void give_back(struct copy *held, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i)
        copy_detach(held, first + i);
}

/* What the sender fills: a copy that is on its way here, or the one that is here. NULL: none of its business. */
static struct copy *filled_by(const struct partition *partition, int peer)
{
    if (partition->incoming)
        return partition->source == peer ? partition->incoming : NULL;
    return partition->primary == peer ? partition->copy : NULL;
}

static int attach_all(struct partition *partition, struct copy *held, const struct segments_request *request,
                      uint32_t *physical)
{
    arena *a = partition->node->arena;
    for (uint32_t i = 0; i < request->count; ++i) {
        physical[i] = arena_take(a, (enum arena_need)request->need);
        if (physical[i] == ARENA_NO_SEGMENT) {
            give_back(held, request->first, i);
            return BELAY_ERR_NO_SPACE;
        }
        int result = copy_attach(held, request->first + i, physical[i], (enum arena_need)request->need);
        if (result != BELAY_OK) {
            arena_give(a, physical[i], 1);
            give_back(held, request->first, i);
            return result;
        }
    }
    return BELAY_OK;
}

static int handle_segments(belay_node *node, int peer, const struct message_header *header, const void *body,
                           size_t length)
{
    struct segments_request request;
    if (length != sizeof request)
        return BELAY_ERR_PROTOCOL;
    memcpy(&request, body, sizeof request);
    if (mirror_is_ahead(node, header)) {
        node_reply(node, peer, header->call, MIRROR_NOT_YET, NULL, 0);
        return BELAY_OK;
    }
    struct partition *partition = node->mirror->find(node, header->cache, request.partition);
    if (request.count > SEGMENTS_PER_MESSAGE || request.need > ARENA_CLEANING)
        return BELAY_ERR_PROTOCOL;
    struct copy *held = partition ? filled_by(partition, peer) : NULL;
    if (!held) {
        node_reply(node, peer, header->call, MIRROR_NOT_YET, NULL, 0);
        return BELAY_OK;
    }
    size_t answer_length = sizeof(struct segments_answer) + request.count * sizeof(uint32_t);
    struct segments_answer *answer = malloc(answer_length);
    if (!answer) {
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
        return BELAY_OK;
    }
    bool incoming = held == partition->incoming;
    answer->descriptor_offset = incoming ? partition->spare_offset : partition->descriptor_offset;
    spin_acquire(&partition->lock);
    int result = attach_all(partition, held, &request, answer->physical);
    spin_release(&partition->lock);
    FAULT_POINT("grow-at-backup");
    node_reply(node, peer, header->call, result, answer, result == BELAY_OK ? answer_length : 0);
    free(answer);
    return BELAY_OK;
}

static int handle_release(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    struct segments_request request;
    if (length != sizeof request)
        return BELAY_ERR_PROTOCOL;
    memcpy(&request, body, sizeof request);
    struct partition *partition = node->mirror->find(node, header->cache, request.partition);
    if (request.count > SEGMENTS_PER_MESSAGE)
        return BELAY_ERR_PROTOCOL;
    if (!partition)
        return BELAY_OK;
    spin_acquire(&partition->lock);
    struct copy *held = filled_by(partition, peer);
    if (held)
        give_back(held, request.first, request.count);
    spin_release(&partition->lock);
    return BELAY_OK;
}

void mirror_handle_segments(belay_node *node)
{
    node_handle(node, MESSAGE_SEGMENTS, handle_segments);
    node_handle(node, MESSAGE_RELEASE, handle_release);
}

/* ---- At the primary ---- */

int backup_remember(struct backup *backup, uint32_t first, uint32_t count, uint64_t descriptor_offset,
                    const uint32_t *physical)
{
    if (first + count > backup->map_end) {
        uint32_t end = backup->map_end ? backup->map_end : 64;
        while (end < first + count)
            end *= 2;
        uint32_t *grown = realloc(backup->physical, end * sizeof *grown);
        if (!grown)
            return BELAY_ERR_NO_MEMORY;
        for (uint32_t i = backup->map_end; i < end; ++i)
            grown[i] = ARENA_NO_SEGMENT;
        backup->physical = grown;
        backup->map_end = end;
    }
    backup->descriptor_offset = descriptor_offset;
    memcpy(backup->physical + first, physical, count * sizeof *physical);
    return BELAY_OK;
}

void partition_release_at(struct partition *partition, struct backup *backup, uint32_t first, uint32_t count)
{
    struct segments_request request = {.partition = partition->number, .first = first, .count = count};
    if (first + count > backup->map_end || backup->physical[first] == ARENA_NO_SEGMENT)
        return; /* it is being attached: its answer will tell */
    struct message_header header = {
        .type = MESSAGE_RELEASE, .cache = partition->cache, .view = partition->node->view->number};
    struct iovec part = {&request, sizeof request};
    for (uint32_t i = 0; i < count; ++i)
        backup->physical[first + i] = ARENA_NO_SEGMENT;
    node_send(partition->node, backup->node, &header, &part, 1, FABRIC_QUEUE);
}

static enum arena_need need_of(const struct provision *provision)
{
    switch (provision->purpose) {
    case ROOM_FOR_REMOVE: return ARENA_URGENT;
    case ROOM_FOR_CLEANING: return ARENA_CLEANING;
    default: return ARENA_ORDINARY;
    }
}

static void give_own(struct partition *partition, uint32_t from)
{
    for (uint32_t i = from; i < partition->provision.count; ++i)
        arena_give(partition->node->arena, partition->provision.physical[i], 1);
}

static int attach_own(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    FAULT_POINT("grow-before-own");
    for (uint32_t i = 0; i < provision->count; ++i) {
        int result = copy_attach(partition->copy, provision->first + i, provision->physical[i],
                                 need_of(provision));
        if (result != BELAY_OK) {
            give_back(partition->copy, provision->first, i);
            give_own(partition, i);
            return result;
        }
    }
    return BELAY_OK;
}

static bool is_for_cleaning(enum room_purpose purpose)
{
    return purpose == ROOM_FOR_CLEANING || purpose == ROOM_FOR_TIDYING;
}

static void want_sweep(struct partition *partition)
{
    atomic_store_explicit(&partition->node->mirror->sweep_wanted, true, memory_order_relaxed);
    node_attend(partition->node);
}

void partition_want_eviction(struct partition *partition)
{
    if (!partition->evicts)
        return;
    atomic_fetch_or(&partition->node->mirror->evict, (uint64_t)1 << partition->cache);
    want_sweep(partition);
}

/* Not for what is larger than all that could be given up. */
static void consider_eviction(struct partition *partition)
{
    const struct provision *provision = &partition->provision;
    struct mirror *mirror = partition->node->mirror;
    if (provision->vain < VAIN_BEFORE_EVICTION ||
        provision->wanted > arena_total_segments(partition->node->arena) / 2)
        return;
    if (provision->vain >= VAIN_BEFORE_THOROUGHNESS)
        atomic_fetch_or(&mirror->evict_thoroughly, (uint64_t)1 << partition->cache);
    partition_want_eviction(partition);
}

static void note_failure(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    if (provision->purpose == ROOM_FOR_CLEANING)
        partition->cleaning = false; /* others need not wait for it */
    if (is_for_cleaning(provision->purpose))
        return;
    if (settlement_is_awaited(partition->node)) { /* then there will be more, here or elsewhere */
        provision->retry_at = clock_now() + RETRY_NS;
        return;
    }
    provision->failures++;
    provision->vain++;
    consider_eviction(partition);
    /* One that has begun may have been here already. */
    provision->retry_after =
        atomic_load_explicit(&partition->node->mirror->sweeps_begun, memory_order_relaxed) + 1;
    want_sweep(partition);
}

/* Every backup has answered: all attach, or none. */
static int finish(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    int result = provision->result;
    if (result == BELAY_OK)
        result = attach_own(partition);
    else
        give_own(partition, 0);
    if (result != BELAY_OK) {
        for (int i = 0; i < partition->backup_count; ++i)
            if (provision->calls[i].attached && backup_has_segments(&partition->backups[i]))
                partition_release_at(partition, &partition->backups[i], provision->first, provision->count);
        if (result ==
            MIRROR_NOT_YET) /* a backup is lost, or does not know of its role yet: not for want of room */
            provision->retry_at = clock_now() + RETRY_NS;
        else
            note_failure(partition);
    }
    if (result == BELAY_OK && provision->purpose == ROOM_FOR_PUT)
        provision->vain = 0;
    free(provision->physical);
    provision->physical = NULL;
    provision->running = false;
    return result;
}

/* The next view leaves a lost backup out; one that is being filled must not keep others from growing. (Once it is
 * told that its copy is complete, it is a mirror like the others.) */
static void note_refusal(struct partition *partition, struct backup *backup, int status)
{
    struct provision *provision = &partition->provision;
    if (backup->state < BACKUP_FINISHING && status != BELAY_ERR_NODE_FAILED) {
        backup->state = BACKUP_WAITING;
    } else if (status == BELAY_ERR_NODE_FAILED) {
        provision->result = MIRROR_NOT_YET;
    } else {
        provision->result = status;
    }
}

static void backup_answered(struct call *call, int status, const void *body, size_t length)
{
    struct provision_call *mine = (struct provision_call *)call;
    struct partition *partition = mine->partition;
    struct provision *provision = &partition->provision;
    const struct segments_answer *answer = body;
    spin_acquire(&partition->lock);
    struct backup *backup = &partition->backups[mine->backup];
    if (status == BELAY_OK && length == sizeof *answer + provision->count * sizeof(uint32_t) &&
        backup->node == mine->call.peer && backup_has_segments(backup)) {
        mine->attached = true;
        status = backup_remember(backup, provision->first, provision->count, answer->descriptor_offset,
                                 answer->physical);
    }
    if (status != BELAY_OK && backup->node == mine->call.peer)
        note_refusal(partition, backup, status);
    if (--provision->missing == 0)
        finish(partition);
    spin_release(&partition->lock);
}

static int take_own(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    provision->physical = malloc(provision->count * sizeof *provision->physical);
    if (!provision->physical)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to list %u segments", provision->count);
    for (uint32_t i = 0; i < provision->count; ++i) {
        provision->physical[i] = arena_take(partition->node->arena, need_of(provision));
        if (provision->physical[i] == ARENA_NO_SEGMENT) {
            provision->count = i;
            give_own(partition, 0);
            free(provision->physical);
            provision->physical = NULL;
            return BELAY_ERR_NO_SPACE;
        }
    }
    return BELAY_OK;
}

static void ask_backups(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    struct segments_request request = {.partition = partition->number,
                                       .first = provision->first,
                                       .count = provision->count,
                                       .need = need_of(provision)};
    struct message_header header = {.type = MESSAGE_SEGMENTS, .cache = partition->cache};
    for (int i = 0; i < partition->backup_count; ++i) {
        struct provision_call *call = &provision->calls[i];
        *call = (struct provision_call){
            .call = {.answered = backup_answered}, .partition = partition, .backup = i};
        if (!backup_has_segments(&partition->backups[i]))
            continue;
        int result = node_call_queued(partition->node, partition->backups[i].node, header, &request,
                                      sizeof request, &call->call);
        if (result == BELAY_OK)
            provision->missing++;
        else
            provision->result = result == BELAY_ERR_NODE_FAILED ? MIRROR_NOT_YET : result;
    }
}

static int begin(struct partition *partition, uint32_t first, uint32_t count, enum room_purpose purpose)
{
    struct provision *provision = &partition->provision;
    provision->first = first;
    provision->count = count < SEGMENTS_PER_MESSAGE ? count : SEGMENTS_PER_MESSAGE;
    provision->wanted = count;
    provision->purpose = purpose;
    provision->result = BELAY_OK;
    provision->missing = 0;
    int result = take_own(partition);
    if (result == BELAY_OK) {
        provision->running = true;
        ask_backups(partition);
        if (provision->missing > 0)
            return FABRIC_AGAIN;
        result = finish(partition);
    } else {
        note_failure(partition);
    }
    if (purpose == ROOM_FOR_REMOVE && arena_is_short(partition->node->arena))
        want_sweep(partition); /* before there is nothing left to sweep with */
    bool again = result == MIRROR_NOT_YET || (result == BELAY_ERR_NO_SPACE && !is_for_cleaning(purpose));
    return again ? FABRIC_AGAIN : result;
}

static bool has_been_swept(const struct partition *partition)
{
    unsigned ended = atomic_load_explicit(&partition->node->mirror->sweeps_ended, memory_order_acquire);
    return (int)(ended - partition->provision.retry_after) >= 0;
}

int partition_provision(struct partition *partition, size_t bytes, enum room_purpose purpose,
                        uint32_t *failures_seen)
{
    struct provision *provision = &partition->provision;
    uint32_t first, count;
    if (provision->running)
        return FABRIC_AGAIN;
    if (*failures_seen == PROVISION_NEVER_FAILED)
        *failures_seen = provision->failures;
    if (provision->failures - *failures_seen >= (partition->evicts ? ATTEMPTS_EVICTING : ATTEMPTS))
        return log_quiet(
            BELAY_ERR_NO_SPACE,
            "no free segment for partition %u here or at a backup: arenas are full (BELAY_ARENA_SIZE)",
            partition->number);
    if ((provision->retry_at && clock_now() < provision->retry_at) ||
        (provision->failures != *failures_seen && !has_been_swept(partition)))
        return FABRIC_AGAIN;
    copy_wanted(partition->copy, bytes, &first, &count);
    return count == 0 ? BELAY_OK : begin(partition, first, count, purpose);
}
