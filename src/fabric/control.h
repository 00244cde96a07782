/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file control.h
 * The control memory of a node, by which the nodes of its host talk to it: a header, the word that says who attends to
 * arrivals (transport.h), and the node's outgoing rings, one per peer. It is sparse: a pair of nodes that never
 * talk costs two lines. And the part of the node's card that says where to find it.
 */
#ifndef BELAY_CONTROL_H
#define BELAY_CONTROL_H

#include "fabric/ring.h"
#include "fabric/shared_memory.h"
#include "fabric/transport.h"

/* Written before the node's address is known to anybody, except `attention`, `callers_asleep` and `ends`. */
struct control {
    uint64_t magic;
    uint64_t incarnation;
    uint32_t protocol;
    uint32_t peers_max;
    unsigned char proof[FABRIC_PROOF_SIZE];
    _Alignas(RING_LINE) _Atomic uint64_t attention;
    _Alignas(2 * RING_LINE) _Atomic uint64_t callers_asleep;
    _Alignas(2 * RING_LINE) struct ring_ends ends[]; /* by peer; behind them, from a new page on, the rings */
};

struct shm_card {
    struct process process;
    int32_t region_file, control_file, wake_writer; /* descriptors of that process */
    uint32_t peers_max;
};
_Static_assert(sizeof(struct shm_card) <= sizeof((struct fabric_card *)0)->shm, "the card has room");

/* Bytes before the rings. */
static inline size_t control_size(uint32_t peers_max, size_t page)
{
    size_t size = sizeof(struct control) + peers_max * sizeof(struct ring_ends);
    return (size + page - 1) / page * page;
}

static inline size_t control_ring_offset(size_t control_size, int peer)
{
    return control_size + (size_t)peer * RING_SIZE;
}

#endif
