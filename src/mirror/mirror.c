/* SPDX-License-Identifier: BSD-3-Clause */
#include "mirror/mirror.h"

#include "base/clock.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>

/* Partitions with pending or parked work. A partition joins under its own lock, so the list has a lock of its own, taken
 * last. */
void partition_activate(struct partition *partition)
{
    struct mirror *mirror = partition->node->mirror;
    if (partition->active)
        return;
    partition->active = true;
    spin_acquire(&mirror->active_lock);
    partition->active_next = mirror->active;
    atomic_store_explicit(&mirror->active, partition, memory_order_relaxed);
    spin_release(&mirror->active_lock);
    node_attend(partition->node);
}

static struct partition *take_active(struct mirror *mirror)
{
    spin_acquire(&mirror->active_lock);
    struct partition *list = mirror->active;
    atomic_store_explicit(&mirror->active, NULL, memory_order_relaxed);
    spin_release(&mirror->active_lock);
    return list;
}

static int attend(struct partition *partition, bool *busy)
{
    spin_acquire(&partition->lock);
    partition->active = false;
    if (partition->promotion)
        promotion_step(partition);
    int done = partition_publish_ready(partition);
    done += partition_recycle_ready(partition);
    if (partition->cleaning && !partition->provision.running)
        done += partition_sweep(partition);
    if (partition->parked_first && !partition->cleaning && !partition->provision.running)
        partition->unpark(partition);
    if (partition->pending_first || partition->parked_first || partition->freed || partition->promotion ||
        partition->cleaning) {
        partition_activate(partition);
        *busy = true;
    }
    spin_release(&partition->lock);
    return done;
}

static void let_all_go(belay_node *node)
{
    struct mirror *mirror = node->mirror;
    mirror->settled = node->view->number;
    for (struct partition *partition = NULL; (partition = mirror->walk(node, partition));) {
        spin_acquire(&partition->lock);
        if (partition->ready)
            partition_let_go(partition);
        spin_release(&partition->lock);
    }
}

static int progress(belay_node *node, bool *busy)
{
    struct mirror *mirror = node->mirror;
    int done = 0;
    if (mirror->settled != node->view->number && settlement_reached(node, node->view->number))
        let_all_go(node);
    if (mirror->resyncs || atomic_load_explicit(&mirror->resync_wanted, memory_order_relaxed))
        done += resync_progress(node, busy);
    if (!atomic_load_explicit(&mirror->active, memory_order_relaxed))
        return 0;
    for (struct partition *partition = take_active(mirror), *next; partition; partition = next) {
        next = partition->active_next;
        done += attend(partition, busy);
    }
    return done;
}

int mirror_create(belay_node *node, partition_finder find, partition_walker walk)
{
    node->mirror = calloc(1, sizeof *node->mirror);
    if (!node->mirror)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the mirror");
    node->mirror->find = find;
    node->mirror->walk = walk;
    node_add_progress_hook(node, progress);
    mirror_handle_segments(node);
    mirror_handle_digests(node);
    mirror_handle_copies(node);
    return BELAY_OK;
}

void mirror_destroy(belay_node *node)
{
    resync_destroy(node);
    free(node->mirror);
    node->mirror = NULL;
}

bool mirror_sweep_wanted(belay_node *node, struct mirror_sweep *sweep)
{
    enum { PAUSE_NS = 500 * 1000 };
    struct mirror *mirror = node->mirror;
    unsigned begun = atomic_load_explicit(&mirror->sweeps_begun, memory_order_relaxed);
    if (!atomic_load_explicit(&mirror->sweep_wanted, memory_order_relaxed) ||
        begun != atomic_load_explicit(&mirror->sweeps_ended, memory_order_relaxed))
        return false;
    uint64_t now = clock_now();
    if (now < mirror->next_sweep) {
        node_attend(node);
        return false;
    }
    mirror->next_sweep = now + PAUSE_NS;
    atomic_store_explicit(&mirror->sweep_wanted, false, memory_order_relaxed);
    atomic_store_explicit(&mirror->sweeps_begun, begun + 1, memory_order_relaxed);
    sweep->evict = atomic_exchange(&mirror->evict, 0);
    sweep->thoroughly = atomic_exchange(&mirror->evict_thoroughly, 0);
    return true;
}

void mirror_sweep_ended(belay_node *node)
{
    struct mirror *mirror = node->mirror;
    atomic_store_explicit(&mirror->sweeps_ended,
                          atomic_load_explicit(&mirror->sweeps_begun, memory_order_relaxed),
                          memory_order_release);
    node_attend(node);
}

int mirror_fence(belay_node *node, uint64_t deadline)
{
    int result = BELAY_OK;
    for (int peer = 0; peer < node->view->nodes && result == BELAY_OK; ++peer) {
        fabric_ticket ticket;
        if (peer == node->id || !view_alive(node->view, peer) ||
            fabric_fence(node->fabric, peer, &ticket) != BELAY_OK)
            continue;
        struct node_wait wait;
        node_wait_begin(&wait, node, deadline);
        while (!fabric_done(node->fabric, peer, ticket) && view_alive(node->view, peer)) {
            if (!node_wait_more(&wait)) {
                result = log_quiet(BELAY_ERR_TIMEOUT,
                                   "writes to node %d are not completed within the timeout", peer);
                break;
            }
        }
        node_wait_end(&wait);
    }
    return result;
}
