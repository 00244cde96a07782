/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/view.h"

#include <stdlib.h>

struct view *view_make(int nodes, int members)
{
    struct view *view = calloc(1, sizeof *view + (size_t)nodes * sizeof view->members[0]);
    if (!view)
        return NULL;
    view->history = calloc(1, sizeof *view->history);
    if (!view->history) {
        free(view);
        return NULL;
    }
    view->number = 1;
    view->nodes = nodes;
    for (int i = 0; i < members; ++i) {
        view->members[i].known = true;
        atomic_init(&view->members[i].in, true);
        atomic_init(&view->members[i].alive, true);
        node_set_add(&view->history[0].members, i);
    }
    return view;
}

void view_free(struct view *view)
{
    if (view)
        free(view->history);
    free(view);
}

void view_set_role(struct view *view, int node, uint32_t role)
{
    view->members[node].server = role == BELAY_ROLE_SERVER || role == BELAY_ROLE_SPARE;
    view->members[node].spare = role == BELAY_ROLE_SPARE;
}

const struct view_set *view_at(const struct view *view, uint32_t number)
{
    return &view->history[number - 1];
}

const struct view_set *view_now(const struct view *view)
{
    return view_at(view, view->number);
}

bool view_advance(struct view *view, const struct view_set *next)
{
    uint32_t number = view->number;
    struct view_set *grown = realloc(view->history, (number + 1) * sizeof *grown);
    if (!grown)
        return false;
    grown[number] = *next;
    view->history = grown;
    for (int i = 0; i < view->nodes; ++i) {
        bool is_in = node_set_has(&next->members, i);
        atomic_store_explicit(&view->members[i].in, is_in, memory_order_release);
        if (!is_in || !node_set_has(&grown[number - 1].members, i))
            atomic_store_explicit(&view->members[i].alive, is_in, memory_order_release);
    }
    atomic_store_explicit(&view->number, number + 1, memory_order_release);
    return true;
}

int view_live_count(const struct view *view)
{
    int count = 0;
    for (int i = 0; i < view->nodes; ++i)
        count += view_alive(view, i);
    return count;
}

int view_coordinator(const struct view *view)
{
    for (int i = 0; i < view->nodes; ++i)
        if (view_alive(view, i))
            return i;
    return -1;
}

int view_first_server(const struct view *view)
{
    for (int i = 0; i < view->nodes; ++i)
        if (view->members[i].server && view_alive(view, i))
            return i;
    return -1;
}
