/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/affinity.h"

#include <stdlib.h>

struct candidate {
    bool spare;
    uint64_t weight;
    int node;
};

/* The finalizer of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014): every input bit reaches every output bit. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint64_t affinity_weight(uint32_t partition, int node)
{
    return mix(mix(partition) ^ (uint64_t)node);
}

/* Spares come before all others. */
static int heavier_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->spare != y->spare)
        return x->spare ? -1 : 1;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->node - y->node;
}

static bool host_taken(const struct view *view, const int *nodes, int count, uint64_t host)
{
    for (int i = 0; i < count; ++i)
        if (view->members[nodes[i]].host == host)
            return true;
    return false;
}

/* Heaviest first: one pass that takes a new host each time, then passes for what is still missing. */
static int choose(const struct view *view, struct candidate *sorted, int servers, int copies, int kept,
                  int *nodes)
{
    int count = kept;
    for (int i = 0; i < servers && count < copies; ++i) {
        if (!host_taken(view, nodes, count, view->members[sorted[i].node].host)) {
            nodes[count++] = sorted[i].node;
            sorted[i].node = -1;
        }
    }
    for (int i = 0; i < servers && count < copies; ++i)
        if (sorted[i].node >= 0)
            nodes[count++] = sorted[i].node;
    return count;
}

static bool is_in(const int *nodes, int count, int node)
{
    for (int i = 0; i < count; ++i)
        if (nodes[i] == node)
            return true;
    return false;
}

int affinity_assign(const struct view *view, const struct node_set *members, uint32_t partition, int copies,
                    int kept, bool with_spares, int *nodes)
{
    struct candidate *candidates = malloc((size_t)view->nodes * sizeof *candidates);
    if (!candidates)
        return BELAY_ERR_NO_MEMORY;
    int servers = 0;
    for (int i = 0; i < view->nodes; ++i) {
        const struct member *member = &view->members[i];
        if (!member->server || (member->spare && !with_spares) || !node_set_has(members, i) ||
            is_in(nodes, kept, i))
            continue;
        candidates[servers].spare = member->spare;
        candidates[servers].node = i;
        candidates[servers].weight = affinity_weight(partition, i);
        ++servers;
    }
    qsort(candidates, (size_t)servers, sizeof *candidates, heavier_first);
    int count = choose(view, candidates, servers, copies, kept, nodes);
    free(candidates);
    return count;
}

bool affinity_would_hold(const struct view *view, const struct node_set *members, uint32_t partition,
                         int copies, int node)
{
    int before = 0;
    if (!view->members[node].server)
        return false;
    for (int i = 0; i < view->nodes; ++i)
        before += i != node && view->members[i].server && node_set_has(members, i) &&
                  affinity_weight(partition, i) > affinity_weight(partition, node);
    return before < copies;
}
