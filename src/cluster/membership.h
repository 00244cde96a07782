/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file membership.h
 * Which nodes are suspected, and the agreement on the next view without them.
 *
 * Threads: everything runs under the node's state lock, but for node_excluded().
 */
#ifndef BELAY_MEMBERSHIP_H
#define BELAY_MEMBERSHIP_H

#include "cluster/view.h"

enum membership_phase { MEMBERSHIP_IDLE, MEMBERSHIP_PREPARING, MEMBERSHIP_ACCEPTING };

/* All messages of the agreement. */
struct view_message {
    uint32_t number, ballot;
    uint32_t status;       /* of an answer */
    uint32_t has_accepted; /* a promise: then `set` is the accepted one, of this ballot: */
    uint32_t accepted_ballot;
    uint32_t lapsed;     /* an answer: the sender was without a lease at some time in this view */
    uint64_t silent_for; /* an acceptance: ns since any of the nodes left out was heard */
    struct view_set set;
};

struct membership {
    struct node_set suspects; /* members that will be left out */
    struct node_set certain;  /* of them, those that are dead for certain */
    struct node_set joins;    /* that will be let in */
    struct node_set departed; /* said goodbye: they touch nothing any more, and are not killed */
    bool trim;                /* what was copied to nodes that joined can be given up elsewhere */
    uint64_t resets;          /* caches whose lost partitions are to begin anew */
    uint64_t suspected_at;    /* when the oldest of the present suspicions came up; clock_now() */

    /* As an acceptor of the next view. */
    uint32_t promised;
    bool has_accepted;
    uint32_t accepted_ballot;
    struct view_set accepted;
    bool lapsed; /* without a lease at some time in this view: others may have gone on */

    /* What must wait until the nodes left out that live on this host have ended. */
    int accept_waits; /* for its answer, a peer; -1: nobody */
    struct view_message accept_waiting;
    bool install_waits;
    struct view_message install_waiting;

    /* As its proposer. */
    enum membership_phase phase;
    uint32_t ballot, rounds;
    uint32_t first_ballot_of; /* number of the view for which ballot 0 is used up */
    struct view_set proposal;
    struct node_set answered; /* promises, then acceptances */
    bool some_lapsed;         /* one of them was without a lease */
    uint64_t leases_end;      /* of the nodes left out; clock_now() */
    uint64_t quorum_since;    /* 0: there is none yet */
    bool told;                /* a promise told of an accepted set */
    uint32_t told_ballot;
    uint64_t round_ends;

    uint64_t without_quorum_since; /* 0: not; clock_now() */
};

void membership_register(belay_node *node);

/* A member has been lost, or is silent. @p certain: it is dead and will never run again. @p tell: tell the others. */
void membership_suspect(belay_node *node, int peer, bool certain, bool tell);

/* A process will be let in with the next view. */
void membership_join(belay_node *node, int peer);

/* A node is about to leave: whoever agrees on a view without it lets its process be. */
void membership_will_depart(belay_node *node, int peer);

/* It has left in good order: nothing of it will come any more. */
void membership_depart(belay_node *node, int peer);

/* With the next view, copies that nodes which joined have by now are given up elsewhere. */
void membership_trim(belay_node *node);

/* With the next view, lost partitions of these caches begin anew. */
void membership_reset(belay_node *node, uint64_t caches);

/* This node is not of the job any more: every call fails, nothing is served. */
void membership_exclude(belay_node *node, const char *why);

#endif
