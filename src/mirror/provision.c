/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file provision.c
 * A copy grows on all nodes at once: the primary takes segments of its own arena and asks each backup to attach the same
 * logical segments; when all have, it attaches its own and goes on. If one has no room, the others let go again.
 *
 * The room is asked for by the operation that needs it, which is parked meanwhile. A failure starts a sweep of all
 * primaries (dead entries cleaned, free segments given back); after a few failures the operation gets NO_SPACE.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEGMENTS_PER_MESSAGE = 1536,
    ATTEMPTS = 4,      /* failed provisions that one operation bears */
    RETRY_NS = 1000000 /* between them, for sweeps to take effect */
};

struct segments_request {
    uint32_t partition, first, count, urgent;
};

struct segments_answer {
    uint64_t descriptor_offset;
    uint32_t physical[];
};

/* ---- At the backup ---- */

static void give_back(struct partition *partition, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i)
        copy_detach(partition->copy, first + i);
}

static int attach_all(struct partition *partition, const struct segments_request *request, uint32_t *physical)
{
    arena *a = partition->node->arena;
    for (uint32_t i = 0; i < request->count; ++i) {
        physical[i] = arena_take(a, request->urgent);
        if (physical[i] == ARENA_NO_SEGMENT) {
            give_back(partition, request->first, i);
            return BELAY_ERR_NO_SPACE;
        }
        int result = copy_attach(partition->copy, request->first + i, physical[i], request->urgent);
        if (result != BELAY_OK) {
            arena_give(a, physical[i], 1);
            give_back(partition, request->first, i);
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
    struct partition *partition = node->mirror->find(node, header->cache, request.partition);
    if (!partition || !partition->copy || partition->primary != peer || request.count > SEGMENTS_PER_MESSAGE)
        return BELAY_ERR_PROTOCOL;
    size_t answer_length = sizeof(struct segments_answer) + request.count * sizeof(uint32_t);
    struct segments_answer *answer = malloc(answer_length);
    if (!answer) {
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
        return BELAY_OK;
    }
    answer->descriptor_offset = partition->descriptor_offset;
    spin_acquire(&partition->lock);
    int result = attach_all(partition, &request, answer->physical);
    spin_release(&partition->lock);
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
    if (!partition || !partition->copy || partition->primary != peer || request.count > SEGMENTS_PER_MESSAGE)
        return BELAY_ERR_PROTOCOL;
    spin_acquire(&partition->lock);
    give_back(partition, request.first, request.count);
    spin_release(&partition->lock);
    return BELAY_OK;
}

void mirror_handle_segments(belay_node *node)
{
    node_handle(node, MESSAGE_SEGMENTS, handle_segments);
    node_handle(node, MESSAGE_RELEASE, handle_release);
}

/* ---- At the primary ---- */

static int remember(struct backup *backup, uint32_t first, uint32_t count,
                    const struct segments_answer *answer)
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
    backup->descriptor_offset = answer->descriptor_offset;
    memcpy(backup->physical + first, answer->physical, count * sizeof *answer->physical);
    return BELAY_OK;
}

void partition_release_at(struct partition *partition, struct backup *backup, uint32_t first, uint32_t count)
{
    struct segments_request request = {.partition = partition->number, .first = first, .count = count};
    struct message_header header = {
        .type = MESSAGE_RELEASE, .cache = partition->cache, .view = partition->node->view->number};
    struct iovec part = {&request, sizeof request};
    for (uint32_t i = 0; i < count; ++i)
        backup->physical[first + i] = ARENA_NO_SEGMENT;
    node_send(partition->node, backup->node, &header, &part, 1, FABRIC_QUEUE);
}

static void give_own(struct partition *partition, uint32_t from)
{
    for (uint32_t i = from; i < partition->provision.count; ++i)
        arena_give(partition->node->arena, partition->provision.physical[i], 1);
}

static int attach_own(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    for (uint32_t i = 0; i < provision->count; ++i) {
        int result = copy_attach(partition->copy, provision->first + i, provision->physical[i],
                                 provision->purpose != ROOM_FOR_PUT);
        if (result != BELAY_OK) {
            give_back(partition, provision->first, i);
            give_own(partition, i);
            return result;
        }
    }
    return BELAY_OK;
}

static void note_failure(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    if (provision->purpose == ROOM_FOR_CLEANING)
        return;
    provision->failures++;
    provision->retry_at = clock_now() + RETRY_NS;
    atomic_store_explicit(&partition->node->mirror->sweep_wanted, true, memory_order_relaxed);
    node_attend(partition->node);
}

/* Every backup has answered: all attach, or none. */
static void finish(struct partition *partition)
{
    struct provision *provision = &partition->provision;
    int result = provision->result;
    if (result == BELAY_OK)
        result = attach_own(partition);
    else
        give_own(partition, 0);
    if (result != BELAY_OK) {
        for (int i = 0; i < partition->backup_count; ++i)
            if (provision->calls[i].attached && partition->backups[i].node >= 0)
                partition_release_at(partition, &partition->backups[i], provision->first, provision->count);
        note_failure(partition);
    }
    free(provision->physical);
    provision->physical = NULL;
    provision->running = false;
}

static void backup_answered(struct call *call, int status, const void *body, size_t length)
{
    struct provision_call *mine = (struct provision_call *)call;
    struct partition *partition = mine->partition;
    struct provision *provision = &partition->provision;
    const struct segments_answer *answer = body;
    spin_acquire(&partition->lock);
    if (status == BELAY_OK && length == sizeof *answer + provision->count * sizeof(uint32_t)) {
        mine->attached = true;
        status = remember(&partition->backups[mine->backup], provision->first, provision->count, answer);
    }
    if (status == BELAY_ERR_NODE_FAILED)
        partition->backups[mine->backup].node = -1; /* it has no room for what is pushed from now on */
    else if (status != BELAY_OK)
        provision->result = status;
    if (--provision->missing == 0)
        finish(partition);
    spin_release(&partition->lock);
}

static int take_own(struct partition *partition, bool urgent)
{
    struct provision *provision = &partition->provision;
    provision->physical = malloc(provision->count * sizeof *provision->physical);
    if (!provision->physical)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to list %u segments", provision->count);
    for (uint32_t i = 0; i < provision->count; ++i) {
        provision->physical[i] = arena_take(partition->node->arena, urgent);
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
                                       .urgent = provision->purpose != ROOM_FOR_PUT};
    struct message_header header = {.type = MESSAGE_SEGMENTS, .cache = partition->cache};
    for (int i = 0; i < partition->backup_count; ++i) {
        struct provision_call *call = &provision->calls[i];
        *call = (struct provision_call){
            .call = {.answered = backup_answered}, .partition = partition, .backup = i};
        if (partition->backups[i].node < 0)
            continue;
        int result = node_call_queued(partition->node, partition->backups[i].node, header, &request,
                                      sizeof request, &call->call);
        if (result == BELAY_OK)
            provision->missing++;
        else if (result == BELAY_ERR_NODE_FAILED)
            partition->backups[i].node = -1;
        else
            provision->result = result;
    }
}

static int begin(struct partition *partition, uint32_t first, uint32_t count, enum room_purpose purpose)
{
    struct provision *provision = &partition->provision;
    provision->first = first;
    provision->count = count < SEGMENTS_PER_MESSAGE ? count : SEGMENTS_PER_MESSAGE;
    provision->purpose = purpose;
    provision->result = BELAY_OK;
    provision->missing = 0;
    int result = take_own(partition, purpose != ROOM_FOR_PUT);
    if (result != BELAY_OK) {
        note_failure(partition);
        return result == BELAY_ERR_NO_SPACE ? FABRIC_AGAIN : result;
    }
    provision->running = true;
    ask_backups(partition);
    if (provision->missing > 0)
        return FABRIC_AGAIN;
    uint32_t failures = provision->failures;
    finish(partition);
    return provision->failures == failures ? BELAY_OK : FABRIC_AGAIN;
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
    if (provision->failures - *failures_seen >= ATTEMPTS)
        return log_quiet(
            BELAY_ERR_NO_SPACE,
            "no free segment for partition %u here or at a backup: arenas are full (BELAY_ARENA_SIZE)",
            partition->number);
    if (provision->failures != *failures_seen && clock_now() < provision->retry_at)
        return FABRIC_AGAIN;
    copy_wanted(partition->copy, bytes, &first, &count);
    return count == 0 ? BELAY_OK : begin(partition, first, count, purpose);
}
