/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file liveness.h
 * Do the other nodes live? Beats between the coordinator and everybody else, the processes of this host, and leases.
 *
 * Each node and the coordinator send each other a beat about six times per failure timeout. Silence is counted in own
 * beats, not in time: a node that was itself stopped, or starved of a core, takes nobody for dead when it goes on. A beat tells
 * when its receiver was heard last (in the receiver's clock): so the coordinator knows how far a majority has heard of it, which is its
 * *lease*, and gives others a part of its own. Who has accepted the next view renews nobody's lease who has not.
 *
 * Threads: liveness_tick() by any; the rest under the state lock, but for liveness_leased().
 */
#ifndef BELAY_LIVENESS_H
#define BELAY_LIVENESS_H

#include "base/node_set.h"
#include "base/process.h"
#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct peer_life {
    int pidfd;              /* -1: on another host */
    pid_t pid;              /* of this host */
    bool silent_allowed;    /* makes progress by hand: silence says nothing */
    bool killed;            /* because it is left out; it may take a while to end */
    unsigned missed;        /* own beats since it was heard */
    uint64_t heard_sent_at; /* when its last beat was sent, in its clock: goes back in ours */
    uint64_t heard_at;      /* when that came, in our clock; at first when all had begun */
    uint64_t lease_from;    /* when our beat was sent that it answered last, in our clock */
    uint32_t view, ballot;  /* the newest that it has accepted */
    uint64_t kill_at;       /* a suspect of this host that has not ended by then is killed; 0: not */
};

struct liveness {
    struct peer_life *peers; /* by node id */
    _Atomic uint64_t next_beat, next_look;
    atomic_uint looks; /* at a peer each */
    bool several_hosts;
    _Atomic uint64_t lease_until; /* where leases are used; clock_now() */
};

/* Errors: NO_MEMORY. */
int liveness_create(belay_node *node);
/* Watch a further node; its member of the view is filled in. @p manual: it makes progress by hand. Errors: SYSTEM, NODE_FAILED. */
int liveness_add(belay_node *node, int peer, const struct process *process, bool manual);
/* All nodes have begun: no lease can have begun later than now. */
void liveness_opened(belay_node *node);
void liveness_destroy(belay_node *node);
void liveness_register(belay_node *node);

/* Beat if it is time. Cheap enough for every wake-up of a sleeping thread. */
void liveness_tick(belay_node *node);

/* Somebody has waited in vain for a while: has a process of this host come to its end? The kernel tells only when it has taken apart
 * what the process had, for large memory long afterwards. Looks at a few peers, each millisecond at most, and takes a small part of
 * the time only. Any thread that holds no lock. */
void liveness_look(belay_node *node);

/* Milliseconds until the next beat, for a thread that goes to sleep; -1: there are no beats. */
int liveness_sleep_ms(const belay_node *node);

/* A peer's link broke: is its process known to have ended? If it lives on this host, it will be ended. */
bool liveness_dead_for_certain(belay_node *node, int peer);
void liveness_expect_end(belay_node *node, int peer);

/* End the processes of this host that are left out. @return true: none of them lives any more. */
bool liveness_end(belay_node *node, const struct node_set *left_out);

/* Nanoseconds since any of these nodes was heard, dead ones too: what they granted lasts. UINT64_MAX: there are none. */
uint64_t liveness_silent_for(const belay_node *node, const struct node_set *nodes);

bool liveness_on_other_host(const belay_node *node, int peer);

/* How long a lease lasts. */
uint64_t liveness_lease_ns(const belay_node *node);

/* May this node serve and read now? Always on one host. */
bool liveness_leased(const belay_node *node);

#endif
