/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file holder.c
 * The side of a node that holds a backup copy, when a primary asks what it has, adopts it, or fills it anew.
 *
 * A copy that is filled anew grows beside the old one, under a descriptor of its own, and replaces it when the sender says
 * that it is complete. Until then the old one stays what it was: if the sender dies meanwhile, nothing is lost.
 */
#include "base/fault.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

static void drop_incoming(struct partition *partition)
{
    copy_destroy(partition->incoming);
    partition->incoming = NULL;
    partition->source = -1;
}

/* The partition a message is about. Others than holders of a copy are not asked. */
static struct partition *find(belay_node *node, const struct message_header *header, const void *body,
                              size_t length, struct copy_request_body *request)
{
    if (length != sizeof *request)
        return NULL;
    memcpy(request, body, sizeof *request);
    return node->mirror->find(node, header->cache, request->partition);
}

static int not_yet(belay_node *node, int peer, const struct message_header *header)
{
    node_reply(node, peer, header->call, MIRROR_NOT_YET, NULL, 0);
    return BELAY_OK;
}

/* ---- What is here ---- */

/* The primary is lost, nothing arrives any more: bring the copy into its final form and say how far it goes. */
static int handle_query(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct copy_request_body request;
    struct copy_query_answer answer = {0};
    uint64_t repaired;
    if (mirror_is_ahead(node, header))
        return not_yet(node, peer, header);
    struct partition *partition = find(node, header, body, length, &request);
    if (!partition || !partition->copy || partition->primary != peer)
        return not_yet(node, peer, header);
    spin_acquire(&partition->lock);
    int result = partition->complete ? copy_rebuild(partition->copy, &repaired) : BELAY_OK;
    if (result == BELAY_OK) {
        answer.complete = partition->complete;
        answer.version = copy_version(partition->copy);
        copy_mirror(partition->copy);
    }
    spin_release(&partition->lock);
    node_reply(node, peer, header->call, result, &answer, result == BELAY_OK ? sizeof answer : 0);
    return BELAY_OK;
}

static void list_segments(const struct copy *held, uint32_t first, struct copy_adopt_answer *answer)
{
    answer->root = copy_digest(held, UINT32_MAX);
    answer->end = copy_logical_end(held);
    for (uint32_t logical = first; logical < answer->end && answer->count < ADOPT_PER_MESSAGE; ++logical) {
        uint32_t physical = copy_physical(held, logical);
        answer->segments[answer->count++] = (struct copy_segment){
            .physical = physical, .digest = physical != ARENA_NO_SEGMENT ? copy_digest(held, logical) : 0};
    }
}

static int handle_adopt(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct copy_request_body request;
    struct partition *partition = find(node, header, body, length, &request);
    if (!partition || !partition->copy || !partition->complete || partition->primary != peer)
        return not_yet(node, peer, header);
    struct copy_adopt_answer *answer = calloc(1, sizeof *answer);
    if (!answer) {
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
        return BELAY_OK;
    }
    spin_acquire(&partition->lock);
    answer->descriptor_offset = partition->descriptor_offset;
    list_segments(partition->copy, request.first, answer);
    spin_release(&partition->lock);
    node_reply(node, peer, header->call, BELAY_OK, answer,
               offsetof(struct copy_adopt_answer, segments) + answer->count * sizeof answer->segments[0]);
    free(answer);
    return BELAY_OK;
}

/* ---- A copy that arrives ---- */

static bool may_fill(const struct partition *partition, int peer)
{
    return partition->copy && (partition->primary == peer || partition->source == peer);
}

static int handle_begin(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct copy_request_body request;
    if (mirror_is_ahead(node, header))
        return not_yet(node, peer, header);
    struct partition *partition = find(node, header, body, length, &request);
    if (!partition || !may_fill(partition, peer))
        return not_yet(node, peer, header);
    spin_acquire(&partition->lock);
    drop_incoming(partition);
    int result = copy_create(node->arena, partition->spare_offset, partition->cache, partition->number,
                             node->verbs, &partition->incoming);
    if (result == BELAY_OK) {
        partition->source = peer;
        copy_serve(partition->copy, COPY_SERVES_NOBODY); /* it gets no pushes any more */
    }
    struct copy_place_answer answer = {.descriptor_offset = partition->spare_offset};
    spin_release(&partition->lock);
    node_reply(node, peer, header->call, result, &answer, result == BELAY_OK ? sizeof answer : 0);
    return BELAY_OK;
}

static int handle_finish(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct copy_request_body request;
    struct partition *partition = find(node, header, body, length, &request);
    if (!partition || !partition->incoming || partition->source != peer)
        return not_yet(node, peer, header);
    FAULT_POINT("copy-before-switch");
    spin_acquire(&partition->lock);
    copy_destroy(partition->copy);
    copy_relocate(partition->incoming, partition->descriptor_offset);
    partition->copy = partition->incoming;
    partition->incoming = NULL;
    partition->source = -1;
    partition->complete = true;
    copy_serve(partition->copy, COPY_MIRRORS);
    struct copy_place_answer answer = {.descriptor_offset = partition->descriptor_offset};
    if (partition->promotion)
        promotion_filled(partition);
    spin_release(&partition->lock);
    FAULT_POINT("copy-after-switch");
    node_reply(node, peer, header->call, BELAY_OK, &answer, sizeof answer);
    return BELAY_OK;
}

/* The new primary's copy is behind the one here: it is filled from here. */
static int handle_pull(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct copy_request_body request;
    struct partition *partition = find(node, header, body, length, &request);
    if (!partition || !partition->copy || !partition->complete || partition->primary != peer)
        return not_yet(node, peer, header);
    node_reply(node, peer, header->call, resync_to(partition, peer), NULL, 0);
    return BELAY_OK;
}

/* A node that joined holds it instead. In a view that does not hold here yet; it can only say the same. */
static int handle_drop(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct copy_request_body request;
    struct partition *partition = find(node, header, body, length, &request);
    if (!partition || partition->primary != peer)
        return BELAY_OK;
    spin_acquire(&partition->lock);
    partition_give_up_copy(partition);
    spin_release(&partition->lock);
    return BELAY_OK;
}

void mirror_handle_copies(belay_node *node)
{
    node_handle(node, MESSAGE_COPY_DROP, handle_drop);
    node_handle(node, MESSAGE_COPY_QUERY, handle_query);
    node_handle(node, MESSAGE_COPY_ADOPT, handle_adopt);
    node_handle(node, MESSAGE_COPY_BEGIN, handle_begin);
    node_handle(node, MESSAGE_COPY_FINISH, handle_finish);
    node_handle(node, MESSAGE_COPY_PULL, handle_pull);
}
