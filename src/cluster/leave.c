/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file leave.c
 * Leaving together: a node's copies and answers are needed until every live node wants to leave. The coordinator (the
 * oldest live node) collects the wishes and answers them all at once. If it dies, its successor is asked.
 */
#include "base/fault.h"
#include "base/log.h"
#include "cluster/node.h"

#include <stdlib.h>

static void answer_if_all_want(belay_node *node)
{
    for (int i = 0; i < node->view->nodes; ++i)
        if (view_alive(node->view, i) && !node->close_wanted[i])
            return;
    for (int i = 0; i < node->view->nodes; ++i) {
        if (node->close_calls[i] && view_alive(node->view, i))
            node_reply(node, i, node->close_calls[i], BELAY_OK, NULL, 0);
        FAULT_POINT("close-between-answers");
        node->close_calls[i] = 0;
    }
}

static int handle_close(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    (void)body;
    if (length != 0 || header->call == 0)
        return BELAY_ERR_PROTOCOL;
    node->close_wanted[peer] = 1;
    node->close_calls[peer] = header->call;
    answer_if_all_want(node);
    return BELAY_OK;
}

static void peer_lost(belay_node *node, int peer)
{
    (void)peer;
    if (node->close_wanted[node->id] || view_coordinator(node->view) == node->id)
        answer_if_all_want(node);
}

void node_register_leave(belay_node *node)
{
    node_handle(node, MESSAGE_CLOSE, handle_close);
    node_add_lost_hook(node, peer_lost);
}

int node_leave(belay_node *node)
{
    for (;;) {
        struct waited_call call;
        int coordinator = view_coordinator(node->view);
        FAULT_POINT("close-before-ask");
        waited_call_init(&call, coordinator, NULL, 0);
        int result = node_call_wait(node, coordinator, (struct message_header){.type = MESSAGE_CLOSE}, NULL,
                                    0, &call, 0, "leaving");
        if (result == BELAY_OK || coordinator == node->id || node_excluded(node)) {
            atomic_store(&node->left, true);
            return node_excluded(node) ? node_refuse(node) : result;
        }
        if (result != BELAY_ERR_NODE_FAILED || view_alive(node->view, coordinator))
            return result; /* not lost, yet not reachable: give up rather than ask for ever */
    }
}

void node_drain(belay_node *node)
{
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        fabric_ticket ticket;
        struct node_wait wait;
        if (peer == node->id || !view_alive(node->view, peer) ||
            fabric_fence(node->fabric, peer, &ticket) != BELAY_OK)
            continue;
        node_wait_begin(&wait, node, node_deadline(node));
        while (!fabric_done(node->fabric, peer, ticket) &&
               fabric_peer_state(node->fabric, peer) != FABRIC_LOST && node_wait_more(&wait))
            ;
        node_wait_end(&wait);
    }
}
