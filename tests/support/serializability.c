/* SPDX-License-Identifier: BSD-3-Clause */
#include "serializability.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum edge_kind { WW = 1, WR = 2, RW = 4 };

struct edge {
    uint32_t from, to;
    uint32_t kind;
};

/* A committed write. */
struct write {
    uint64_t tx, replaced;
    uint32_t key, number;
};

struct graph {
    const struct tx_event *events;
    size_t count;
    uint64_t *nodes; /* committed transactions, in order */
    size_t node_count;
    struct write *by_writer, *by_replaced; /* in order of key, then tx or replaced */
    size_t write_count;
    struct edge *edges;
    size_t edge_count, edge_capacity;
    bool failed;
    struct serializability_verdict *verdict;
};

/* ---- Looking up ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_nodes(const void *a, const void *b)
{
    return compare_numbers(*(const uint64_t *)a, *(const uint64_t *)b);
}

static int compare_writers(const void *a, const void *b)
{
    const struct write *first = a, *second = b;
    int keys = compare_numbers(first->key, second->key);
    return keys ? keys : compare_numbers(first->tx, second->tx);
}

static int compare_replaced(const void *a, const void *b)
{
    const struct write *first = a, *second = b;
    int keys = compare_numbers(first->key, second->key);
    return keys ? keys : compare_numbers(first->replaced, second->replaced);
}

static bool find_node(const struct graph *g, uint64_t tx, uint32_t *node)
{
    const uint64_t *found = bsearch(&tx, g->nodes, g->node_count, sizeof tx, compare_nodes);
    if (found)
        *node = (uint32_t)(found - g->nodes);
    return found != NULL;
}

static const struct write *find_write(const struct graph *g, uint32_t key, uint64_t tx)
{
    struct write wanted = {.key = key, .tx = tx};
    return bsearch(&wanted, g->by_writer, g->write_count, sizeof wanted, compare_writers);
}

/* The first of those that replace this value. NULL: none is known. */
static const struct write *find_next(const struct graph *g, uint32_t key, uint64_t replaced)
{
    struct write wanted = {.key = key, .replaced = replaced};
    const struct write *found = bsearch(&wanted, g->by_replaced, g->write_count, sizeof wanted,
                                        compare_replaced);
    while (found && found > g->by_replaced && compare_replaced(found - 1, &wanted) == 0)
        --found;
    return found;
}

/* ---- The graph ---- */

static void add_edge(struct graph *g, uint64_t from, uint64_t to, enum edge_kind kind)
{
    struct edge edge = {.kind = kind};
    if (from == to || !find_node(g, from, &edge.from) || !find_node(g, to, &edge.to))
        return;
    if (g->edge_count == g->edge_capacity) {
        size_t capacity = g->edge_capacity ? 2 * g->edge_capacity : 1024;
        struct edge *grown = realloc(g->edges, capacity * sizeof *grown);
        if (!grown) {
            g->failed = true;
            return;
        }
        g->edges = grown;
        g->edge_capacity = capacity;
    }
    g->edges[g->edge_count++] = edge;
}

static void collect_nodes(struct graph *g)
{
    g->nodes = calloc(g->count + 1, sizeof *g->nodes);
    g->by_writer = calloc(g->count + 1, sizeof *g->by_writer);
    g->by_replaced = calloc(g->count + 1, sizeof *g->by_replaced);
    if (!g->nodes || !g->by_writer || !g->by_replaced) {
        g->failed = true;
        return;
    }
    for (size_t i = 0; i < g->count; ++i) {
        const struct tx_event *event = &g->events[i];
        if (event->kind == TX_END && event->other)
            g->nodes[g->node_count++] = event->tx;
        if (event->kind == TX_WRITE)
            g->by_writer[g->write_count++] = (struct write){event->tx, event->other, event->key,
                                                            event->number};
    }
    memcpy(g->by_replaced, g->by_writer, g->write_count * sizeof *g->by_writer);
    qsort(g->nodes, g->node_count, sizeof *g->nodes, compare_nodes);
    qsort(g->by_writer, g->write_count, sizeof *g->by_writer, compare_writers);
    qsort(g->by_replaced, g->write_count, sizeof *g->by_replaced, compare_replaced);
    g->verdict->transactions = (unsigned)g->node_count;
}

static void take_read(struct graph *g, const struct tx_event *event)
{
    uint32_t node;
    if (!find_node(g, event->tx, &node))
        return;
    if (event->other != 0) {
        const struct write *write = find_write(g, event->key, event->other);
        g->verdict->aborted += !write;
        g->verdict->intermediate += write && write->number != event->number;
        add_edge(g, event->other, event->tx, WR);
    }
    const struct write *end = g->by_replaced + g->write_count;
    for (const struct write *next = find_next(g, event->key, event->other);
         next && next < end && next->key == event->key && next->replaced == event->other; ++next)
        add_edge(g, event->tx, next->tx, RW);
}

static void take_write(struct graph *g, const struct tx_event *event)
{
    if (event->other == TX_UNKNOWN)
        return;
    g->verdict->aborted += event->other != 0 && !find_write(g, event->key, event->other);
    add_edge(g, event->other, event->tx, WW);
}

static void look_for_lost(struct graph *g)
{
    for (size_t i = 1; i < g->write_count; ++i)
        g->verdict->lost += g->by_replaced[i].replaced != TX_UNKNOWN &&
                            compare_replaced(&g->by_replaced[i - 1], &g->by_replaced[i]) == 0;
}

/* What a session has seen of a key, then is older than what it sees, or writes, after that. */
static void follow_sessions(struct graph *g)
{
    uint32_t keys = 0;
    for (size_t i = 0; i < g->count; ++i)
        keys = g->events[i].key >= keys ? g->events[i].key + 1 : keys;
    uint64_t *seen = calloc((size_t)keys + 1, sizeof *seen);
    if (!seen) {
        g->failed = true;
        return;
    }
    for (size_t i = 0; i < g->count; ++i) {
        const struct tx_event *event = &g->events[i];
        if (i == 0 || event->session != g->events[i - 1].session)
            memset(seen, 0, (size_t)keys * sizeof *seen);
        if (event->kind == TX_END)
            continue;
        uint64_t now = event->kind == TX_READ ? event->other : event->tx;
        if (seen[event->key] != 0 && now != 0)
            add_edge(g, seen[event->key], now, WW);
        seen[event->key] = now;
    }
    free(seen);
}

/* ---- Cycles ---- */

static void print_cycle(const struct graph *g, const uint32_t *before, uint32_t start)
{
    static const char *const names[] = {[WW] = "ww", [WR] = "wr", [RW] = "rw"};
    char *text = g->verdict->cycle;
    size_t room = sizeof g->verdict->cycle, used = 0;
    uint32_t node = start;
    for (size_t i = 0; i < g->node_count; ++i) /* on the cycle by then */
        node = g->edges[before[node]].from;
    start = node;
    do {
        const struct edge *edge = &g->edges[before[node]];
        used += (size_t)snprintf(text + used, room - used, "%llx <-%s- ", (unsigned long long)g->nodes[node],
                                 names[edge->kind]);
        node = edge->from;
    } while (node != start && used < room - 64);
    snprintf(text + used, room - used, "%s", node == start ? "the first" : "...");
}

struct peeling {
    uint32_t *incoming, *before, *first, *next, *ready; /* edges by node; nodes without incoming edges */
};

static unsigned peel(const struct graph *g, unsigned kinds, struct peeling *p)
{
    size_t ready = 0, peeled = 0;
    memset(p->first, 0xff, g->node_count * sizeof *p->first);
    memset(p->incoming, 0, g->node_count * sizeof *p->incoming);
    for (uint32_t i = 0; i < g->edge_count; ++i) {
        const struct edge *edge = &g->edges[i];
        if (!(edge->kind & kinds))
            continue;
        p->incoming[edge->to]++;
        p->next[i] = p->first[edge->from];
        p->first[edge->from] = i;
    }
    for (uint32_t node = 0; node < g->node_count; ++node)
        if (p->incoming[node] == 0)
            p->ready[ready++] = node;
    while (peeled < ready) {
        uint32_t node = p->ready[peeled++];
        for (uint32_t i = p->first[node]; i != UINT32_MAX; i = p->next[i])
            if (--p->incoming[g->edges[i].to] == 0)
                p->ready[ready++] = g->edges[i].to;
    }
    return (unsigned)(g->node_count - peeled);
}

/* Take away who depends on nobody that is left, again and again: what stays is in a cycle, or behind one. */
static unsigned in_cycles(struct graph *g, unsigned kinds)
{
    size_t nodes = g->node_count + 1, edges = g->edge_count + 1;
    struct peeling p = {calloc(nodes, 4), calloc(nodes, 4), calloc(nodes, 4), calloc(edges, 4),
                        calloc(nodes, 4)};
    unsigned left = 0;
    if (p.incoming && p.before && p.first && p.next && p.ready)
        left = peel(g, kinds, &p);
    else
        g->failed = true;
    if (left > 0 && !g->verdict->cycle[0]) {
        uint32_t start = 0;
        for (uint32_t i = 0; i < g->edge_count; ++i)
            if (g->edges[i].kind & kinds && p.incoming[g->edges[i].from] > 0) {
                p.before[g->edges[i].to] = i;
                start = g->edges[i].from;
            }
        print_cycle(g, p.before, start);
    }
    free(p.incoming);
    free(p.before);
    free(p.first);
    free(p.next);
    free(p.ready);
    return left;
}

bool serializability_check(const struct tx_event *events, size_t count,
                           struct serializability_verdict *verdict)
{
    struct graph g = {.events = events, .count = count, .verdict = verdict};
    memset(verdict, 0, sizeof *verdict);
    collect_nodes(&g);
    for (size_t i = 0; i < count && !g.failed; ++i) {
        if (events[i].kind == TX_READ)
            take_read(&g, &events[i]);
        else if (events[i].kind == TX_WRITE)
            take_write(&g, &events[i]);
    }
    if (!g.failed) {
        look_for_lost(&g);
        follow_sessions(&g);
        verdict->dirty = in_cycles(&g, WW);
        verdict->circular = in_cycles(&g, WW | WR);
        verdict->any = in_cycles(&g, WW | WR | RW);
    }
    free(g.nodes);
    free(g.by_writer);
    free(g.by_replaced);
    free(g.edges);
    return !g.failed;
}
