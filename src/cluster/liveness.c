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
    END_GRACE_MS = 50, /* for a process whose link broke to end by itself */
    PEERS_PER_LOOK = 4,
    LOOK_SHARE = 20 /* a look takes at most that part of the time */
};
#define LOOK_EACH_NS NANOSECONDS_PER_MS

struct beat {
    uint64_t sent_at; /* in the sender's clock */
    uint64_t heard; /* sent_at of the receiver's last beat that came; 0: none, or its lease is not renewed */
    uint64_t granted;      /* nanoseconds from when that was heard until the sender's own lease ends */
    uint32_t view, ballot; /* the installed one; the one accepted for the next view, + 1, or 0 */
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

/* Who has installed a view is farther than who has accepted any ballot for it: that may be one that was not chosen. */
static uint32_t accepted_ballot(const belay_node *node)
{
    return node->membership.has_accepted ? node->membership.accepted_ballot + 1 : 0;
}

/* Has the peer installed and accepted what this node has? Else this node must not renew its lease. */
static bool is_as_far(const belay_node *node, const struct peer_life *life)
{
    uint32_t view = node->view->number;
    return life->view > view || (life->view == view && life->ballot >= accepted_ballot(node));
}

static void send_beat(belay_node *node, int peer, uint64_t now)
{
    const struct peer_life *life = life_of(node, peer);
    uint64_t until = atomic_load_explicit(&node->liveness.lease_until, memory_order_relaxed);
    struct beat beat = {.sent_at = now,
                        .heard = is_as_far(node, life) ? life->heard_sent_at : 0,
                        .granted = until > life->heard_at ? until - life->heard_at : 0,
                        .view = node->view->number,
                        .ballot = accepted_ballot(node)};
    struct message_header header = {.type = MESSAGE_BEAT, .view = node->view->number};
    struct iovec part = {&beat, sizeof beat};
    /* Behind a full ring, too: a node that sends without pause must not seem silent. */
    node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
}

static void renew_lease(belay_node *node, uint64_t until)
{
    if (until > atomic_load_explicit(&node->liveness.lease_until, memory_order_relaxed))
        atomic_store_explicit(&node->liveness.lease_until, until, memory_order_release);
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
    life->view = beat.view;
    life->ballot = beat.ballot;
    if (beat.heard > life->lease_from && beat.heard <= life->heard_at)
        life->lease_from = beat.heard;
    if (peer == view_coordinator(node->view) && node->liveness.several_hosts && beat.heard)
        renew_lease(node, beat.heard + (beat.granted < timeout_ns(node) ? beat.granted : timeout_ns(node)));
    return BELAY_OK;
}

static bool is_monitored(const belay_node *node, int peer, int coordinator)
{
    return peer != node->id && view_alive(node->view, peer) &&
           (coordinator == node->id || peer == coordinator);
}

/* For the coordinator: since when a majority, itself included, has heard of it. 0: not yet. */
static uint64_t heard_by_majority(const belay_node *node)
{
    const struct node_set *members = &view_now(node->view)->members;
    int needed = node_set_count(members) / 2;
    uint64_t best = 0;
    if (needed == 0)
        return clock_now();
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

/* ---- Processes of this host ---- */

static bool is_over(const struct peer_life *life)
{
    return process_is_over(life->pidfd, life->pid);
}

static void watch_process(belay_node *node, int peer, uint64_t now)
{
    struct peer_life *life = life_of(node, peer);
    if (life->kill_at == 0)
        return;
    if (is_over(life)) {
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
    return life->pidfd >= 0 && is_over(life);
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
    if (!liveness_leased(node))
        node->membership.lapsed = true;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!is_monitored(node, peer, coordinator)) {
            life_of(node, peer)->missed = 0;
            continue;
        }
        send_beat(node, peer, now);
        note_silence(node, peer);
    }
    uint64_t from = coordinator == node->id && node->liveness.several_hosts ? heard_by_majority(node) : 0;
    if (from)
        renew_lease(node, from + timeout_ns(node));
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

/* @return peers of this host looked at: 0 or 1. */
static int look_at(belay_node *node, int peer)
{
    if (peer == node->id || !view_alive(node->view, peer) || life_of(node, peer)->pidfd < 0)
        return 0;
    if (liveness_dead_for_certain(node, peer))
        dispatch_lost(node, peer, "its process has ended");
    return 1;
}

void liveness_look(belay_node *node)
{
    struct liveness *liveness = &node->liveness;
    uint64_t now = clock_now(), due = atomic_load_explicit(&liveness->next_look, memory_order_relaxed);
    if (!liveness->peers || now < due || node_excluded(node) ||
        !atomic_compare_exchange_strong(&liveness->next_look, &due, UINT64_MAX))
        return;
    unsigned nodes = (unsigned)node->view->nodes, looked = 0;
    for (unsigned i = 0; i < nodes && looked < PEERS_PER_LOOK && !atomic_load(&node->closing); ++i)
        looked += (unsigned)look_at(node, (int)(atomic_fetch_add(&liveness->looks, 1) % nodes));
    uint64_t end = clock_now(), pause = LOOK_SHARE * (end - now);
    atomic_store_explicit(&liveness->next_look, end + (pause > LOOK_EACH_NS ? pause : LOOK_EACH_NS),
                          memory_order_relaxed);
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

uint64_t liveness_lease_ns(const belay_node *node)
{
    return timeout_ns(node);
}

bool liveness_on_other_host(const belay_node *node, int peer)
{
    return peer != node->id && life_of(node, peer)->pidfd < 0;
}

uint64_t liveness_silent_for(const belay_node *node, const struct node_set *nodes)
{
    uint64_t now = clock_now(), shortest = UINT64_MAX;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        uint64_t heard_at = life_of(node, peer)->heard_at;
        if (node_set_has(nodes, peer) && now - heard_at < shortest)
            shortest = now - heard_at;
    }
    return shortest;
}

bool liveness_end(belay_node *node, const struct node_set *left_out)
{
    bool ended = true;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        struct peer_life *life = life_of(node, peer);
        if (!node_set_has(left_out, peer) || life->pidfd < 0 || is_over(life) ||
            node_set_has(&node->membership.departed, peer))
            continue;
        if (!life->killed) {
            log_warn("node %d is left out: its process is killed", peer);
            process_kill(life->pidfd);
            life->killed = true;
        }
        ended = ended && is_over(life);
    }
    return ended;
}

/* ---- Set-up ---- */

int liveness_create(belay_node *node)
{
    struct liveness *liveness = &node->liveness;
    liveness->peers = calloc((size_t)node->view->nodes, sizeof *liveness->peers);
    if (!liveness->peers)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to watch %d nodes", node->view->nodes);
    for (int peer = 0; peer < node->view->nodes; ++peer)
        liveness->peers[peer].pidfd = -1;
    uint64_t now = clock_now();
    liveness->next_beat = now;
    liveness->lease_until = now + timeout_ns(node); /* until beats go back and forth */
    return BELAY_OK;
}

void liveness_opened(belay_node *node)
{
    for (int peer = 0; peer < node->view->nodes; ++peer)
        life_of(node, peer)->heard_at = clock_now();
}

int liveness_add(belay_node *node, int peer, const struct process *process, bool manual)
{
    struct peer_life *life = life_of(node, peer);
    life->heard_at = clock_now();
    life->silent_allowed = manual;
    life->view = node->view->number;
    if (node->view->members[peer].host == node->view->members[node->id].host) {
        life->pid = process->pid;
        return process_watch(process, &life->pidfd);
    }
    node->liveness.several_hosts = true;
    atomic_store(&node->guarded, true);
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
