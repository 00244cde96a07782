/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/liveness.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/dispatch.h"
#include "cluster/membership.h"
#include "cluster/node.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BEATS_PER_TIMEOUT = 6,
    END_GRACE_MS = 50 /* for a process whose link broke to end by itself */
};

struct beat {
    uint64_t sent_at; /* in the sender's clock */
    uint64_t heard;   /* sent_at of the receiver's last beat that came */
};

static uint64_t timeout_ns(const belay_node *node)
{
    return node->settings.failure_timeout_ms * NANOSECONDS_PER_MS;
}

static struct peer_life *life_of(const belay_node *node, int peer)
{
    return &node->liveness.peers[peer];
}

/* ---- Beats ---- */

static void send_beat(belay_node *node, int peer, uint64_t now)
{
    struct beat beat = {.sent_at = now, .heard = life_of(node, peer)->heard_sent_at};
    struct message_header header = {.type = MESSAGE_BEAT, .view = node->view->number};
    struct iovec part = {&beat, sizeof beat};
    node_send(node, peer, &header, &part, 1, 0); /* a peer without room has heard enough */
}

static int handle_beat(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct beat beat;
    (void)header;
    if (length != sizeof beat)
        return BELAY_ERR_PROTOCOL;
    memcpy(&beat, body, sizeof beat);
    struct peer_life *life = life_of(node, peer);
    life->missed = 0;
    life->heard_at = clock_now();
    life->heard_sent_at = beat.sent_at;
    if (beat.heard > life->lease_from && beat.heard <= life->heard_at)
        life->lease_from = beat.heard;
    return BELAY_OK;
}

static bool is_monitored(const belay_node *node, int peer, int coordinator)
{
    return peer != node->id && view_alive(node->view, peer) &&
           (coordinator == node->id || peer == coordinator);
}

/* The lease reaches as far as a majority has heard of this node; for others than the coordinator its word is enough. */
static uint64_t lease_from(const belay_node *node, int coordinator)
{
    if (coordinator >= 0 && coordinator != node->id)
        return life_of(node, coordinator)->lease_from;
    const struct node_set *members = &view_now(node->view)->members;
    int needed = node_set_count(members) / 2; /* with this node a majority */
    if (needed == 0)
        return clock_now();
    uint64_t best = 0;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        uint64_t from = life_of(node, peer)->lease_from;
        int as_late = 0;
        if (peer == node->id || !node_set_has(members, peer) || from <= best)
            continue;
        for (int other = 0; other < node->view->nodes; ++other)
            as_late += other != node->id && node_set_has(members, other) &&
                       life_of(node, other)->lease_from >= from;
        if (as_late >= needed)
            best = from;
    }
    return best;
}

static void renew_lease(belay_node *node, int coordinator)
{
    uint64_t from = lease_from(node, coordinator);
    if (from)
        atomic_store_explicit(&node->liveness.lease_until, from + timeout_ns(node), memory_order_release);
}

/* ---- Processes of this host ---- */

static void watch_process(belay_node *node, int peer, uint64_t now)
{
    struct peer_life *life = life_of(node, peer);
    if (life->kill_at == 0)
        return;
    if (process_ended(life->pidfd)) {
        life->kill_at = 0;
        membership_suspect(node, peer, true, true);
    } else if (now >= life->kill_at) {
        log_warn("node %d hangs: its process is killed", peer);
        process_kill(life->pidfd);
        life->kill_at = now + END_GRACE_MS * NANOSECONDS_PER_MS;
    }
}

bool liveness_dead_for_certain(belay_node *node, int peer)
{
    const struct peer_life *life = life_of(node, peer);
    return life->pidfd >= 0 && process_ended(life->pidfd);
}

void liveness_expect_end(belay_node *node, int peer)
{
    struct peer_life *life = life_of(node, peer);
    if (life->pidfd >= 0 && life->kill_at == 0)
        life->kill_at = clock_now() + END_GRACE_MS * NANOSECONDS_PER_MS;
}

/* ---- Ticks ---- */

static void note_silence(belay_node *node, int peer)
{
    struct peer_life *life = life_of(node, peer);
    if (life->silent_allowed || ++life->missed <= BEATS_PER_TIMEOUT)
        return;
    life->missed = 0;
    log_warn("node %d is lost: it is silent", peer);
    dispatch_cut(node, peer, "it is silent");
    membership_suspect(node, peer, false, true);
    liveness_expect_end(node, peer);
}

static void beat(belay_node *node, uint64_t now)
{
    int coordinator = view_coordinator(node->view);
    struct liveness *liveness = &node->liveness;
    liveness->coordinator_since = coordinator != node->id       ? 0
                                  : liveness->coordinator_since ? liveness->coordinator_since
                                                                : now;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!is_monitored(node, peer, coordinator)) {
            life_of(node, peer)->missed = 0;
            continue;
        }
        send_beat(node, peer, now);
        note_silence(node, peer);
    }
    if (liveness->several_hosts)
        renew_lease(node, coordinator);
}

void liveness_tick(belay_node *node)
{
    struct liveness *liveness = &node->liveness;
    uint64_t now = clock_now();
    uint64_t due = atomic_load_explicit(&liveness->next_beat, memory_order_relaxed);
    if (!liveness->peers || now < due || node_excluded(node))
        return;
    uint64_t next = now + timeout_ns(node) / BEATS_PER_TIMEOUT;
    if (!atomic_compare_exchange_strong(&liveness->next_beat, &due, next))
        return;
    spin_acquire(&node->state_lock);
    beat(node, now);
    spin_release(&node->state_lock);
}

int liveness_sleep_ms(const belay_node *node)
{
    if (!node->liveness.peers || view_live_count(node->view) <= 1)
        return -1;
    return (int)(node->settings.failure_timeout_ms / BEATS_PER_TIMEOUT) + 1;
}

static int progress(belay_node *node, bool *busy)
{
    if (node_set_empty(&node->membership.suspects) || node_excluded(node))
        return 0;
    uint64_t now = clock_now();
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        watch_process(node, peer, now);
        *busy = *busy || life_of(node, peer)->kill_at;
    }
    return 0;
}

/* ---- Leases ---- */

bool liveness_leased(const belay_node *node)
{
    return !node->liveness.several_hosts ||
           clock_now() < atomic_load_explicit(&node->liveness.lease_until, memory_order_acquire);
}

bool liveness_in_touch(const belay_node *node)
{
    return liveness_leased(node);
}

/* A lease that this node has answered lasts for the failure timeout from when it was asked, at most. Who has become the coordinator just now
 * does not know what its predecessor answered. */
bool liveness_leases_ended(const belay_node *node, const struct node_set *left_out)
{
    const struct liveness *liveness = &node->liveness;
    uint64_t now = clock_now();
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!node_set_has(left_out, peer) || node_set_has(&node->membership.certain, peer))
            continue;
        const struct peer_life *life = life_of(node, peer);
        if (life->pidfd >= 0)
            return false; /* on this host: it will be dead for certain */
        uint64_t last = life->heard_at;
        if (liveness->coordinator_since > last)
            last = liveness->coordinator_since;
        if (node->membership.suspected_at > last)
            last = node->membership.suspected_at;
        if (now < last + timeout_ns(node))
            return false;
    }
    return true;
}

/* ---- Set-up ---- */

int liveness_create(belay_node *node, const struct process *processes, const bool *manual)
{
    struct liveness *liveness = &node->liveness;
    liveness->peers = calloc((size_t)node->view->nodes, sizeof *liveness->peers);
    if (!liveness->peers)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to watch %d nodes", node->view->nodes);
    for (int peer = 0; peer < node->view->nodes; ++peer)
        liveness->peers[peer].pidfd = -1;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        liveness->peers[peer].silent_allowed = manual[peer];
        if (node->view->members[peer].host != node->view->members[node->id].host)
            liveness->several_hosts = true;
        else if (peer != node->id) {
            int result = process_watch(&processes[peer], &liveness->peers[peer].pidfd);
            if (result != BELAY_OK)
                return result;
        }
    }
    atomic_store(&node->guarded, liveness->several_hosts);
    uint64_t now = clock_now();
    liveness->next_beat = now;
    liveness->lease_until = now + 4 * timeout_ns(node); /* until beats go back and forth */
    return BELAY_OK;
}

void liveness_destroy(belay_node *node)
{
    struct liveness *liveness = &node->liveness;
    for (int peer = 0; liveness->peers && peer < node->view->nodes; ++peer)
        if (liveness->peers[peer].pidfd >= 0)
            close(liveness->peers[peer].pidfd);
    free(liveness->peers);
    liveness->peers = NULL;
}

void liveness_register(belay_node *node)
{
    node_handle(node, MESSAGE_BEAT, handle_beat);
    node_add_progress_hook(node, progress);
}
