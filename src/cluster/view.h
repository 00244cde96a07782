/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file view.h
 * Who belongs to the job's cache: the numbered membership, and all that were before it. Its number travels with every
 * message. How a new one is agreed upon: membership.c.
 *
 * Threads: a node's liveness and the number may be read by any thread; the sets under the state lock.
 */
#ifndef BELAY_VIEW_H
#define BELAY_VIEW_H

#include "base/node_set.h"
#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct member {
    uint64_t host;      /* failure domain: equal for nodes that fail together */
    bool server, spare; /* spares are servers, too */
    bool known;         /* the id has been given to a process */
    atomic_bool in;     /* of the view */
    atomic_bool alive;  /* of the view, and not suspected */
};

/* What one view says. */
struct view_set {
    struct node_set members;
    uint64_t resets; /* caches whose lost partitions begin anew with this view, by number */
    uint64_t trims;  /* not 0: what was copied to nodes that joined is given up elsewhere */
};

struct view {
    _Atomic uint32_t number;  /* from 1 */
    int nodes;                /* ids are 0 ... nodes - 1, also of those that left */
    int servers;              /* of the first view, without spares */
    struct view_set *history; /* by number - 1 */
    struct member members[];
};

/* The first view: nodes 0 ... members - 1. @p nodes: the ids there can ever be. */
struct view *view_make(int nodes, int members);
void view_free(struct view *view);

void view_set_role(struct view *view, int node, uint32_t role);

/* The present view, or an earlier one by its number. */
const struct view_set *view_now(const struct view *view);
const struct view_set *view_at(const struct view *view, uint32_t number);

/* Go on to the next number. @return false: no memory. */
bool view_advance(struct view *view, const struct view_set *next);

/* Part of every operation. */
static inline bool view_alive(const struct view *view, int node)
{
    return node >= 0 && node < view->nodes &&
           atomic_load_explicit(&view->members[node].alive, memory_order_acquire);
}

/* Of the present view, suspected or not. */
static inline bool view_has(const struct view *view, int node)
{
    return atomic_load_explicit(&view->members[node].in, memory_order_acquire);
}

int view_live_count(const struct view *view);

/* The oldest live node: it coordinates what needs one place. @return its id, or -1. */
int view_coordinator(const struct view *view);
/* The same of the servers. */
int view_first_server(const struct view *view);

#endif
