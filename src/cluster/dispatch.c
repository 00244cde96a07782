/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/dispatch.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct self_message {
    struct self_message *next;
    size_t length;
    unsigned char bytes[];
};

static int handle_reply(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct call *call = calls_take(&node->calls, header->call, peer);
    if (call)
        call->answered(call, header->status, body, length);
    return BELAY_OK;
}

static int handle(belay_node *node, int peer, const void *message, size_t length)
{
    struct message_header header;
    if (length < sizeof header)
        return BELAY_ERR_PROTOCOL;
    memcpy(&header, message, sizeof header);
    const void *body = (const unsigned char *)message + sizeof header;
    size_t body_length = length - sizeof header;
    if (header.type == MESSAGE_REPLY)
        return handle_reply(node, peer, &header, body, body_length);
    if (peer != node->id && fabric_peer_state(node->fabric, peer) == FABRIC_LOST)
        return BELAY_OK; /* it was cut off: nothing else of it counts */
    if (header.type >= MESSAGE_TYPES || !node->handlers[header.type])
        return BELAY_ERR_PROTOCOL;
    return node->handlers[header.type](node, peer, &header, body, body_length);
}

void dispatch_message(void *context, int peer, const void *message, size_t length)
{
    belay_node *node = context;
    spin_acquire(&node->state_lock);
    int result = handle(node, peer, message, length);
    spin_release(&node->state_lock);
    eventcount_signal(&node->events);
    if (result >= 0)
        return;
    atomic_fetch_add_explicit(&node->malformed, 1, memory_order_relaxed);
    log_error(BELAY_ERR_PROTOCOL, "node %d sent a malformed message of %zu bytes: it is cut off", peer,
              length);
    if (peer != node->id)
        dispatch_lost(node, peer, "it sent a malformed message");
}

void dispatch_ahead(void *context, int peer, const void *message, size_t length)
{
    belay_node *node = context;
    struct message_header header;
    (void)peer;
    if (length < sizeof header || !node->see_ahead)
        return;
    memcpy(&header, message, sizeof header);
    spin_acquire(&node->state_lock);
    node->see_ahead(node, &header, (const unsigned char *)message + sizeof header, length - sizeof header);
    spin_release(&node->state_lock);
}

/* @return false: that was known. */
static bool lose(belay_node *node, int peer, const char *why)
{
    bool was_alive = atomic_exchange_explicit(&node->view->members[peer].alive, false, memory_order_acq_rel);
    if (!was_alive)
        return false;
    if (!atomic_load(&node->closing) && !node_excluded(node))
        log_warn("node %d is lost: %s", peer, why);
    node_set_add(&node->ending, peer);
    atomic_store_explicit(&node->calls_end, true, memory_order_release);
    for (int i = 0; i < node->lost_hook_count; ++i)
        node->lost_hooks[i](node, peer);
    node_attend(node);
    return true;
}

/* An answer that has arrived counts, also if its sender was cut off before it was looked at: only then do the other calls to
 * that peer end, and only they may be repeated elsewhere. Under the state lock. */
int dispatch_end_calls(belay_node *node)
{
    int ended = 0;
    bool all = true;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!node_set_has(&node->ending, peer))
            continue;
        if (!fabric_drained(node->fabric, peer)) {
            all = false;
            continue;
        }
        node_set_remove(&node->ending, peer);
        calls_fail(&node->calls, peer, BELAY_ERR_NODE_FAILED);
        ++ended;
    }
    atomic_store_explicit(&node->calls_end, !all, memory_order_relaxed);
    if (!all)
        node_attend(node);
    return ended;
}

void dispatch_cut(belay_node *node, int peer, const char *why)
{
    fabric_cut(node->fabric, peer);
    lose(node, peer, why);
}

/* Peers that have left together hang up at their leisure; while this node is about to leave, only a death is of interest. */
void dispatch_lost(void *context, int peer, const char *why)
{
    belay_node *node = context;
    spin_acquire(&node->state_lock);
    bool certain = liveness_dead_for_certain(node, peer);
    fabric_cut(node->fabric, peer);
    bool closing = atomic_load(&node->closing);
    if ((lose(node, peer, why) || certain) && (!closing || (certain && why != fabric_left))) {
        membership_suspect(node, peer, certain, true);
        if (!certain)
            liveness_expect_end(node, peer);
    }
    spin_release(&node->state_lock);
    eventcount_signal(&node->events);
}

/* ---- Messages to oneself: rare (registry, segments), so they are simply kept in a list ---- */

static int queue_self(belay_node *node, const struct message_header *header, const struct iovec *parts,
                      int count)
{
    size_t length = sizeof *header;
    for (int i = 0; i < count; ++i)
        length += parts[i].iov_len;
    struct self_message *message = malloc(sizeof *message + length);
    if (!message)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a message of %zu bytes", length);
    message->next = NULL;
    message->length = length;
    memcpy(message->bytes, header, sizeof *header);
    parts_copy(message->bytes + sizeof *header, parts, count);
    spin_acquire(&node->self_lock);
    *node->self_last = message;
    node->self_last = &message->next;
    spin_release(&node->self_lock);
    atomic_store_explicit(&node->self_waiting, true, memory_order_release);
    fabric_wake(node->fabric);
    return BELAY_OK;
}

int dispatch_self(belay_node *node)
{
    int handled = 0;
    if (!spin_try(&node->self_dispatch)) /* one thread at a time: they are handled in order */
        return 0;
    while (atomic_load_explicit(&node->self_waiting, memory_order_acquire)) {
        spin_acquire(&node->self_lock);
        struct self_message *message = node->self_first;
        node->self_first = NULL;
        node->self_last = &node->self_first;
        atomic_store_explicit(&node->self_waiting, false, memory_order_relaxed);
        spin_release(&node->self_lock);
        while (message) {
            struct self_message *next = message->next;
            dispatch_message(node, node->id, message->bytes, message->length);
            free(message);
            message = next;
            ++handled;
        }
    }
    spin_release(&node->self_dispatch);
    return handled;
}

void dispatch_destroy(belay_node *node)
{
    for (struct self_message *message = node->self_first, *next; message; message = next) {
        next = message->next;
        free(message);
    }
}

int node_send(belay_node *node, int peer, const struct message_header *header, const struct iovec *parts,
              int count, unsigned flags)
{
    struct iovec all[FABRIC_IOV_MAX];
    if (peer == node->id)
        return queue_self(node, header, parts, count);
    if (count >= FABRIC_IOV_MAX)
        return log_error(BELAY_ERR_INVALID, "a message of %d parts", count);
    all[0] = part_of(header, sizeof *header);
    for (int i = 0; i < count; ++i)
        all[i + 1] = parts[i];
    return fabric_send(node->fabric, peer, all, count + 1, flags);
}

void node_answer(belay_node *node, int peer, const struct message_header *header, const struct iovec *parts,
                 int count)
{
    node_send(node, peer, header, parts, count,
              FABRIC_QUEUE | (header->call & CALL_AWAITED ? FABRIC_AWAITED : 0));
}

void node_reply(belay_node *node, int peer, uint32_t call, int status, const void *body, size_t length)
{
    if (call == 0)
        return;
    struct message_header header = {
        .type = MESSAGE_REPLY, .call = call, .status = status, .view = node->view->number};
    struct iovec part = part_of(body, length);
    node_answer(node, peer, &header, &part, 1);
}
