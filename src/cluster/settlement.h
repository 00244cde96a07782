/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file settlement.h
 * Who may still repeat a call to a node that was lost? Until nobody may, a new primary has to keep what tells it which updates
 * the old one had applied.
 *
 * A member is *settled* in a view when the view holds there and every call of it that ended with the loss of a node has been
 * made again and has ended. It tells all others, once per view. A member that is lost itself repeats nothing: the next view is
 * without it. There is no time limit: an operation begun by an `_nb` call is repeated when it is tested or waited for.
 *
 * Threads: settlement_owe(), _paid(), _is_awaited() by any; the rest under the state lock.
 */
#ifndef BELAY_SETTLEMENT_H
#define BELAY_SETTLEMENT_H

#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct settlement {
    atomic_uint owed;          /* calls of this node that are to be repeated, or are being */
    uint32_t told;             /* the view in which this node has said that it is settled */
    uint32_t *views;           /* by node: the newest view in which it has said so */
    _Atomic uint32_t everyone; /* the newest in which all members have */
    _Atomic uint64_t since;    /* when the present view came; clock_now() */
};

/* Errors: NO_MEMORY. */
int settlement_create(belay_node *node);
void settlement_destroy(belay_node *node);

/* A call ended with the loss of its peer, and will be repeated; it has ended. */
void settlement_owe(belay_node *node);
void settlement_paid(belay_node *node);

/* Are all members settled in this view, or a later one? */
bool settlement_reached(const belay_node *node, uint32_t view);

/* Will it be reached in a moment, by all that can be told? Then who lacks room should wait for it. */
bool settlement_is_awaited(const belay_node *node);

#endif
