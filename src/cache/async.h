/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file async.h
 * FULL_ASYNC updates of other nodes' partitions: sent without a call, numbered per pair of nodes.
 *
 * The primary tells the sender now and then up to which number they are applied. Until then the sender's reads of keys it may
 * have written go to the primary as requests, behind the updates: so a process reads its own writes. What fails is told
 * at once, logged, and reported by belay_flush(), which waits until all copies have everything.
 *
 * Threads: sending and asking by any; the rest runs under the state lock.
 */
#ifndef BELAY_ASYNC_H
#define BELAY_ASYNC_H

#include "cache/cache.h"
#include "cache/wire.h"

int async_create(belay_node *node);
void async_destroy(belay_node *node);

/* ---- At the sender ---- */

/* Number and send one update; wire->async_number is set here. FABRIC_AGAIN as fabric_send(). */
int async_send(belay_node *node, int primary, const struct message_header *header, struct wire_update *wire,
               uint64_t hash, const void *key, const void *value, size_t value_length);

/* May there be an update of this key on its way, not yet applied? Cheap when none is. */
bool async_unsettled(const belay_node *node, int primary, uint64_t hash);

/* This node has updated something at the primary: flush must go there. */
void async_mark_dirty(belay_node *node, int primary);

/* And what was updated does not wait for all copies: if the primary dies, flush has to tell. */
void async_mark_at_risk(belay_node *node, int primary);

/* An update of a partition here failed after its call had returned. */
void async_note_failure(belay_node *node, int status, uint32_t partition);

/* Wait until what this node wrote is on all copies. What was lost is left for the next flush to tell. */
int async_settle(belay_node *node, uint64_t deadline);

/* belay_flush() */
int async_flush(belay_node *node, uint64_t deadline);

/* ---- At the primary ---- */

void async_received(belay_node *node, int peer, uint32_t async_number);
void async_parked(belay_node *node, int peer, bool is_async);
void async_applied(belay_node *node, int peer, uint32_t async_number, int status, uint32_t partition,
                   bool was_parked);

#endif
