/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/view.h"

#include <stdlib.h>

struct view *view_make(uint32_t number, int nodes)
{
    struct view *view = calloc(1, sizeof *view + (size_t)nodes * sizeof view->members[0]);
    if (!view)
        return NULL;
    view->number = number;
    view->nodes = nodes;
    for (int i = 0; i < nodes; ++i)
        atomic_init(&view->members[i].alive, true);
    return view;
}

void view_free(struct view *view)
{
    free(view);
}

bool view_alive(const struct view *view, int node)
{
    return node >= 0 && node < view->nodes &&
           atomic_load_explicit(&view->members[node].alive, memory_order_acquire);
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
