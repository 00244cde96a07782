/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_losses.h
 * Which ranks of a stage job have died: those whose node left the cache's view. Ranks are node ids.
 *
 * Any thread may ask. Ranks learn of a loss at different moments; what must be equal on all is settled on the board.
 */
#ifndef BELAY_TOOL_STAGE_LOSSES_H
#define BELAY_TOOL_STAGE_LOSSES_H

#include "base/node_set.h"
#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>

struct stage_losses {
    belay_node *node;
    unsigned rank, ranks; /* this one, all of the beginning */
    atomic_bool lost[BELAY_NODES_MAX];
};

/* Be told of losses from now on: takes the node's event handler. */
void losses_watch(struct stage_losses *losses, belay_node *node, unsigned ranks);
void losses_ignore(struct stage_losses *losses);

bool losses_has(const struct stage_losses *losses, unsigned rank);
struct node_set losses_all(const struct stage_losses *losses);

/* Is this rank the first of those that live? */
bool losses_is_first(const struct stage_losses *losses);

#endif
