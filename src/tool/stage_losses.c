/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_losses.h"

#include "tool/message.h"

static void hear(belay_node *node, const belay_event *event, void *context)
{
    struct stage_losses *losses = context;
    (void)node;
    if (event->kind != BELAY_EVENT_NODE_LEFT || event->node < 0 || (unsigned)event->node >= losses->ranks)
        return;
    atomic_store(&losses->lost[event->node], true);
    if (losses_is_first(losses))
        message("rank %d is lost; the others go on", event->node);
}

void losses_watch(struct stage_losses *losses, belay_node *node, unsigned ranks)
{
    losses->node = node;
    losses->rank = (unsigned)belay_node_id(node);
    losses->ranks = ranks;
    belay_on_event(node, hear, losses);
}

void losses_ignore(struct stage_losses *losses)
{
    belay_on_event(losses->node, NULL, NULL);
}

bool losses_has(const struct stage_losses *losses, unsigned rank)
{
    return atomic_load(&losses->lost[rank]);
}

struct node_set losses_all(const struct stage_losses *losses)
{
    struct node_set all = {0};
    for (unsigned r = 0; r < losses->ranks; ++r)
        if (losses_has(losses, r))
            node_set_add(&all, (int)r);
    return all;
}

bool losses_is_first(const struct stage_losses *losses)
{
    for (unsigned r = 0; r < losses->rank; ++r)
        if (!losses_has(losses, r))
            return false;
    return true;
}
