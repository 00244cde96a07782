/* SPDX-License-Identifier: BSD-3-Clause */
#include "crew.h"

#include <stdio.h>

static void on_event(belay_node *node, const belay_event *event, void *context)
{
    struct crew *crew = context;
    (void)node;
    if (event->kind == BELAY_EVENT_NODE_LEFT && event->node >= 0 && event->node < crew->ranks)
        atomic_store(&crew->dead[event->node], true);
}

bool crew_open(belay_node *node, struct crew *crew)
{
    crew->rank = belay_node_id(node);
    crew->ranks = belay_node_count(node);
    if (crew->ranks > CREW_MAX) {
        fprintf(stderr, "hydrogen: at most %d ranks\n", CREW_MAX);
        return false;
    }
    for (int rank = 0; rank < crew->ranks; ++rank)
        atomic_init(&crew->dead[rank], false);
    int result = belay_on_event(node, on_event, crew);
    if (result != BELAY_OK)
        fprintf(stderr, "hydrogen: belay_on_event: %s (%s)\n", belay_strerror(result), belay_last_error());
    return result == BELAY_OK;
}

int crew_living(struct crew *crew)
{
    int living = 0;
    for (int rank = 0; rank < crew->ranks; ++rank)
        living += !atomic_load(&crew->dead[rank]);
    return living;
}

int crew_owner(struct crew *crew, int strip)
{
    int rank = strip;
    while (rank != crew->rank && atomic_load(&crew->dead[rank]))
        rank = (rank + 1) % crew->ranks;
    return rank;
}
