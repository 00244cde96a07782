/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sweep.c
 * An arena is full: all servers clean the partitions whose primary they are, as far as it goes, and give free segments back.
 *
 * Who lacks room asks all servers by a call; each answers when it is through, and then the asker tries again. So whether a
 * write fails for want of room does not depend on how soon its peers get a core. If cleaning did not help, it also names the cache
 * whose oldest entries are to give way. A call that comes during a sweep is for
 * the next one, which begins behind it.
 */
#include "cache/sweep.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/cache.h"
#include "cache/eviction.h"
#include "cache/partitions.h"
#include "mirror/mirror.h"

#include <stdlib.h>
#include <string.h>

enum { ROUND_NS = 2 * 1000000 }; /* the longest one round of progress may spend here */

enum sweep_state {
    SWEEP_NONE,
    SWEEP_EVICTS, /* before it cleans: then there is more to be won */
    SWEEP_CLEANS,
    SWEEP_WAITS /* for partitions that could not go on at once */
};

struct sweep_call {
    struct call call;
    belay_node *node;
};

/* All under the state lock. */
struct sweep {
    enum sweep_state state;
    struct partition_walk walk;
    uint32_t *now, *next; /* by node: the call to answer after this sweep, after the next one; 0: none */
    bool wanted_next;
    struct mirror_sweep what_now, what_next; /* beside cleaning */
    struct sweep_call *asked;                /* by node */
    unsigned missing;                        /* answers to this node's calls */
};

/* ---- Asking ---- */

static void one_less(belay_node *node)
{
    if (--node->caches->sweep->missing == 0)
        mirror_sweep_ended(node);
}

static void answered(struct call *call, int status, const void *body, size_t length)
{
    (void)status; /* a lost node has nothing to give */
    (void)body;
    (void)length;
    one_less(((struct sweep_call *)call)->node);
}

static void ask(belay_node *node, const struct mirror_sweep *what)
{
    struct sweep *sweep = node->caches->sweep;
    struct message_header header = {.type = MESSAGE_SWEEP};
    sweep->missing = 1; /* until all are asked */
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!node->view->members[peer].server)
            continue;
        sweep->asked[peer] = (struct sweep_call){.call = {.answered = answered}, .node = node};
        if (node_call_queued(node, peer, header, what, sizeof *what, &sweep->asked[peer].call) == BELAY_OK)
            sweep->missing++;
    }
    one_less(node);
}

/* ---- Sweeping ---- */

static void begin(struct sweep *sweep, enum sweep_state state)
{
    sweep->state = state;
    sweep->walk = (struct partition_walk){0};
}

static int handle_sweep(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct sweep *sweep = node->caches->sweep;
    struct mirror_sweep what;
    if (length != sizeof what || header->call == 0)
        return BELAY_ERR_PROTOCOL;
    memcpy(&what, body, sizeof what);
    sweep->what_next.evict |= what.evict;
    sweep->what_next.thoroughly |= what.thoroughly;
    sweep->next[peer] = header->call;
    sweep->wanted_next = true;
    node_attend(node);
    return BELAY_OK;
}

static bool evict(const struct sweep *sweep, struct partition *partition)
{
    uint64_t bit = (uint64_t)1 << partition->cache;
    bool concerned = partition->evicts && (sweep->what_now.evict & bit);
    return !concerned || eviction_step(partition, sweep->what_now.thoroughly & bit);
}

/* @return whether the partition is through. */
static bool visit(const struct sweep *sweep, struct partition *partition, int *freed)
{
    enum sweep_state state = sweep->state;
    spin_acquire(&partition->lock);
    if (state == SWEEP_EVICTS) {
        bool evicted = evict(sweep, partition);
        spin_release(&partition->lock);
        return evicted;
    }
    if (state == SWEEP_CLEANS)
        *freed += partition_sweep(partition);
    bool through = !partition->cleaning;
    spin_release(&partition->lock);
    return through || state == SWEEP_CLEANS;
}

static void answer(belay_node *node)
{
    struct sweep *sweep = node->caches->sweep;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        node_reply(node, peer, sweep->now[peer], BELAY_OK, NULL, 0);
        sweep->now[peer] = 0;
    }
}

/* All partitions were visited. */
static void turn(belay_node *node)
{
    struct sweep *sweep = node->caches->sweep;
    if (sweep->state < SWEEP_WAITS) {
        begin(sweep, sweep->state + 1);
        return;
    }
    answer(node);
    begin(sweep, SWEEP_NONE);
}

static void begin_next(struct sweep *sweep)
{
    uint32_t *calls = sweep->next;
    sweep->next = sweep->now;
    sweep->now = calls;
    sweep->wanted_next = false;
    sweep->what_now = sweep->what_next;
    sweep->what_next = (struct mirror_sweep){0};
    begin(sweep, sweep->what_now.evict ? SWEEP_EVICTS : SWEEP_CLEANS);
}

static int progress(belay_node *node, bool *busy)
{
    struct sweep *sweep = node->caches->sweep;
    int freed = 0;
    struct mirror_sweep what;
    if (mirror_sweep_wanted(node, &what))
        ask(node, &what);
    if (sweep->state == SWEEP_NONE && !sweep->wanted_next)
        return 0;
    if (sweep->state == SWEEP_NONE)
        begin_next(sweep);
    uint64_t until = clock_now() + ROUND_NS;
    while (sweep->state != SWEEP_NONE && clock_now() < until) {
        struct partition *partition = partitions_next_primary(node, &sweep->walk);
        if (!partition) {
            turn(node);
        } else if (!visit(sweep, partition, &freed)) {
            sweep->walk.partition--; /* it comes next again */
            break;
        }
    }
    *busy = *busy || sweep->state != SWEEP_NONE || sweep->wanted_next;
    return freed;
}

int sweep_create(belay_node *node)
{
    size_t nodes = (size_t)node->view->nodes;
    struct sweep *sweep = calloc(1, sizeof *sweep);
    node->caches->sweep = sweep;
    if (sweep) {
        sweep->now = calloc(nodes, sizeof *sweep->now);
        sweep->next = calloc(nodes, sizeof *sweep->next);
        sweep->asked = calloc(nodes, sizeof *sweep->asked);
    }
    if (!sweep || !sweep->now || !sweep->next || !sweep->asked)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for sweeps of %zu nodes", nodes);
    node_handle(node, MESSAGE_SWEEP, handle_sweep);
    node_add_progress_hook(node, progress);
    return BELAY_OK;
}

void sweep_destroy(belay_node *node)
{
    struct sweep *sweep = node->caches->sweep;
    if (!sweep)
        return;
    free(sweep->now);
    free(sweep->next);
    free(sweep->asked);
    free(sweep);
}
