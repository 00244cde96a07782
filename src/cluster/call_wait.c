/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls as their callers make them: send, wait for room, wait for the answer. */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/node.h"

#include <string.h>

static void copy_answer(struct call *call, int status, const void *body, size_t length)
{
    struct waited_call *waited = (struct waited_call *)call;
    size_t copied = length < waited->capacity ? length : waited->capacity;
    if (copied)
        memcpy(waited->answer, body, copied);
    waited->length = length;
    waited->status = status;
    atomic_store_explicit(&waited->done, true, memory_order_release);
}

void waited_call_init(struct waited_call *call, int peer, void *answer, size_t capacity)
{
    *call = (struct waited_call){
        .call = {.answered = copy_answer, .peer = peer}, .answer = answer, .capacity = capacity};
}

static bool register_later(belay_node *node, struct call *call, uint64_t deadline)
{
    struct node_wait wait;
    bool registered = false;
    node_wait_begin(&wait, node, deadline);
    while (!registered && node_wait_more(&wait))
        registered = calls_register(&node->calls, call, true);
    node_wait_end(&wait);
    return registered;
}

static int send_later(belay_node *node, int peer, const struct message_header *header,
                      const struct iovec *parts, int count, uint64_t deadline)
{
    struct node_wait wait;
    int result = FABRIC_AGAIN;
    node_wait_begin(&wait, node, deadline);
    while (result == FABRIC_AGAIN && node_wait_more(&wait))
        result = node_send(node, peer, header, parts, count, 0);
    node_wait_end(&wait);
    return result;
}

int node_call(belay_node *node, int peer, struct message_header header, const struct iovec *parts, int count,
              struct call *call, uint64_t deadline)
{
    if (!view_alive(node->view, peer))
        return log_quiet(BELAY_ERR_NODE_FAILED, "node %d is gone", peer);
    call->peer = peer;
    header.view = node->view->number;
    if (!calls_register(&node->calls, call, true) && !register_later(node, call, deadline))
        return log_quiet(BELAY_ERR_TIMEOUT, "too many calls in flight");
    header.call = call->number;
    int result = node_send(node, peer, &header, parts, count, 0);
    if (result == FABRIC_AGAIN)
        result = send_later(node, peer, &header, parts, count, deadline);
    if (result == BELAY_OK)
        return BELAY_OK;
    if (!calls_cancel(&node->calls, call))
        return BELAY_OK; /* the peer was lost meanwhile: the call has been answered */
    if (result == FABRIC_AGAIN)
        result = log_quiet(BELAY_ERR_TIMEOUT, "node %d takes no more messages", peer);
    return result;
}

int node_call_queued(belay_node *node, int peer, struct message_header header, const void *body,
                     size_t length, struct call *call)
{
    struct iovec part = part_of(body, length);
    call->peer = peer;
    if (!view_alive(node->view, peer))
        return BELAY_ERR_NODE_FAILED;
    if (!calls_register(&node->calls, call, false))
        return log_error(BELAY_ERR_NO_MEMORY, "too many calls in flight");
    header.call = call->number;
    header.view = node->view->number;
    int result = node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
    if (result != BELAY_OK && !calls_cancel(&node->calls, call))
        return BELAY_OK;
    return result;
}

int node_finish_call(belay_node *node, struct waited_call *call, uint64_t deadline, const char *what)
{
    struct node_wait wait;
    node_wait_begin(&wait, node, deadline);
    while (!atomic_load_explicit(&call->done, memory_order_acquire)) {
        if (node_wait_more(&wait))
            continue;
        if (calls_cancel(&node->calls, &call->call)) {
            node_wait_end(&wait);
            return log_quiet(BELAY_ERR_TIMEOUT, "%s: node %d did not answer within %u ms", what,
                             call->call.peer, node->settings.operation_timeout_ms);
        }
        wait.deadline = 0; /* being answered this moment */
    }
    node_wait_end(&wait);
    if (call->status == BELAY_ERR_NODE_FAILED)
        log_quiet(call->status, "%s: node %d failed", what, call->call.peer);
    return call->status;
}

int node_call_wait(belay_node *node, int peer, struct message_header header, const struct iovec *parts,
                   int count, struct waited_call *call, uint64_t deadline, const char *what)
{
    int result = node_call(node, peer, header, parts, count, &call->call, deadline);
    return result == BELAY_OK ? node_finish_call(node, call, deadline, what) : result;
}
