/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file view.h
 * Who belongs to the job's cache: the numbered membership. Its number travels with every message.
 *
 * Threads: a node's liveness may be read and set by any thread; all else is fixed once the view is made.
 */
#ifndef BELAY_VIEW_H
#define BELAY_VIEW_H

#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct member {
    uint64_t host; /* failure domain: equal for nodes that fail together */
    bool server;
    atomic_bool alive;
};

struct view {
    uint32_t number;
    int nodes; /* ids are 0 ... nodes - 1 */
    int servers;
    struct member members[];
};

struct view *view_make(uint32_t number, int nodes);
void view_free(struct view *view);

bool view_alive(const struct view *view, int node);
int view_live_count(const struct view *view);

/* The oldest live node: it coordinates what needs one place. @return its id, or -1. */
int view_coordinator(const struct view *view);

#endif
