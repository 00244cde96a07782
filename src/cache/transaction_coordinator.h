/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_coordinator.h
 * What a node knows of the transactions that it coordinates: which are open, which are being committed, which lanes are in use.
 * Of one that is over it need not know anything: had it been aborted, nobody would have a record of it to ask about.
 *
 * Threads: any; `lock` is held for moments only.
 */
#ifndef BELAY_TRANSACTION_COORDINATOR_H
#define BELAY_TRANSACTION_COORDINATOR_H

#include "cache/cache.h"
#include "cache/transaction_record.h"

struct commit;
struct belay_tx;

enum { LANES = 64 };

struct coordinator_state {
    spin_lock lock;
    uint32_t next_number;
    uint64_t lanes;         /* in use, one bit each */
    uint32_t sequence;      /* how often one was taken */
    struct belay_tx *open;  /* transactions, by `next` */
    struct commit *running; /* by `next` */
    atomic_uint detached;   /* of these, that nobody waits for */
    bool recovery_wanted;   /* of participants here; under the node's state lock */
};

int transaction_coordinator_create(belay_node *node);
void transaction_coordinator_destroy(belay_node *node);

/* Wait until everything that was decided is applied, for belay_flush(). */
int transaction_coordinator_settle(belay_node *node, uint64_t deadline);

/* Get a lane for a commit; *sequence goes up with every commit. @return false: all are in use now. */
bool transaction_lane_take(belay_node *node, uint16_t *lane, uint32_t *sequence);
void transaction_lane_give(belay_node *node, uint16_t lane);

/* A new id. Numbers of nodes that meet keep together, so that they tell which of two transactions began first. */
uint64_t transaction_id_new(belay_node *node);
/* Another node's transaction is met: those that begin here from now on are younger. */
void transaction_id_met(belay_node *node, uint64_t id);

static inline int transaction_coordinator_of(uint64_t id) /* node id */
{
    return (int)(id >> 32) - 1;
}

/* Which of two began later? By their numbers; by the nodes' if these are equal. */
static inline bool transaction_is_younger(uint64_t a, uint64_t b)
{
    return (uint32_t)a != (uint32_t)b ? (uint32_t)a > (uint32_t)b : a > b;
}

#endif
