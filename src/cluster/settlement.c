/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/settlement.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node.h"

#include <stdlib.h>
#include <string.h>

enum { AWAITED_MS = 1000 };

static struct settlement *of(belay_node *node)
{
    return &node->settlement;
}

void settlement_owe(belay_node *node)
{
    atomic_fetch_add(&of(node)->owed, 1);
}

void settlement_paid(belay_node *node)
{
    if (atomic_fetch_sub(&of(node)->owed, 1) == 1)
        node_attend(node);
}

bool settlement_reached(const belay_node *node, uint32_t view)
{
    return atomic_load_explicit(&node->settlement.everyone, memory_order_acquire) >= view;
}

bool settlement_is_awaited(const belay_node *node)
{
    uint64_t since = atomic_load_explicit(&node->settlement.since, memory_order_relaxed);
    return !settlement_reached(node, node->view->number) &&
           clock_now() - since < AWAITED_MS * NANOSECONDS_PER_MS;
}

static void note(belay_node *node)
{
    uint32_t least = node->view->number;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (view_has(node->view, peer) && of(node)->views[peer] < least)
            least = of(node)->views[peer];
    atomic_store_explicit(&of(node)->everyone, least, memory_order_release);
    node_attend(node);
}

static void tell(belay_node *node)
{
    struct settlement *settlement = of(node);
    uint32_t number = node->view->number;
    struct message_header header = {.type = MESSAGE_SETTLED, .view = number};
    struct iovec part = {&number, sizeof number};
    settlement->told = settlement->views[node->id] = number;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (peer != node->id && view_alive(node->view, peer))
            node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
    note(node);
}

static int handle_settled(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    uint32_t number;
    (void)header;
    if (length != sizeof number)
        return BELAY_ERR_PROTOCOL;
    memcpy(&number, body, sizeof number);
    if (number <= of(node)->views[peer])
        return BELAY_OK;
    of(node)->views[peer] = number;
    note(node);
    return BELAY_OK;
}

/* Calls to lost nodes end a little after the view that leaves these out: see dispatch_end_calls(). */
static int progress(belay_node *node, bool *busy)
{
    (void)busy;
    if (of(node)->told == node->view->number || node_excluded(node) || !node_set_empty(&node->ending) ||
        atomic_load(&of(node)->owed) > 0)
        return 0;
    tell(node);
    return 1;
}

/* Who joins with this view has never called anybody who is gone. */
static void view_changed(belay_node *node)
{
    const struct view *view = node->view;
    for (int peer = 0; !node_excluded(node) && peer < view->nodes; ++peer)
        if (view_has(view, peer) && !node_set_has(&view_at(view, view->number - 1)->members, peer))
            of(node)->views[peer] = view->number;
    atomic_store_explicit(&of(node)->since, clock_now(), memory_order_relaxed);
    if (!node_excluded(node))
        note(node);
}

int settlement_create(belay_node *node)
{
    of(node)->views = calloc((size_t)node->view->nodes, sizeof *of(node)->views);
    if (!of(node)->views)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for what %d nodes have settled", node->view->nodes);
    for (int peer = 0; peer < node->view->nodes; ++peer) /* nobody was lost in the first view */
        of(node)->views[peer] = 1;
    of(node)->told = 1;
    atomic_store(&of(node)->everyone, 1);
    node_handle(node, MESSAGE_SETTLED, handle_settled);
    node_add_progress_hook(node, progress);
    node_add_view_hook(node, view_changed);
    return BELAY_OK;
}

void settlement_destroy(belay_node *node)
{
    free(of(node)->views);
    of(node)->views = NULL;
}
