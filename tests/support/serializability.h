/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file serializability.h
 * What went wrong in a history of transactions, in the terms of A. Adya, "Weak Consistency: A Generalized Theory and Optimistic
 * Implementations for Distributed Transactions", 1999: the search for cycles in the graph of who depends on whom.
 *
 * Every value names the transaction that wrote it. ww: a transaction replaces what another one wrote; wr: reads it; rw: has read
 * what another one replaces. The order of a key's values comes from what writers say that they replace, and from what one session
 * reads one after the other; where neither tells, an edge is missing, and so perhaps a cycle, but none is ever made up.
 */
#ifndef TESTS_SERIALIZABILITY_H
#define TESTS_SERIALIZABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tx_event_kind { TX_READ, TX_WRITE, TX_END };

#define TX_UNKNOWN UINT64_MAX

/* A session's events in their order; those of several sessions one after the other. The writes of a transaction are recorded when it
 * has committed, then its end. Reads of its own writes are not recorded. */
struct tx_event {
    uint64_t tx; /* whose; not 0 */
    uint64_t
        other; /* READ: who wrote it; WRITE: who wrote what it replaces, or TX_UNKNOWN; 0: nobody. END: 1: committed */
    uint32_t key;
    uint32_t
        number; /* READ, WRITE: of the value, among those of this key by its writer; WRITE: of the last */
    uint32_t session, kind;
};

struct serializability_verdict {
    unsigned transactions;          /* that committed */
    unsigned aborted, intermediate; /* G1a, G1b: reads */
    unsigned lost;                  /* P4: two replace the same value */
    unsigned dirty, circular,
        any;         /* G0, G1c, G2: transactions in or behind cycles of ww; of ww and wr; of all */
    char cycle[512]; /* one of them, of the strongest kind found */
};

/* @return false: no memory, or the history makes no sense. */
bool serializability_check(const struct tx_event *events, size_t count,
                           struct serializability_verdict *verdict);

#endif
