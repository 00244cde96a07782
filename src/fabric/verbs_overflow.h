/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file verbs_overflow.h
 * The operations of one link that wait for room in the send queue, for credits, or for the connection: a first-in first-out
 * queue of descriptions, each followed by the bytes it carries if those are copied.
 *
 * Memory is kept once it is there, so a queue that overflows again and again does not allocate again and again. The
 * caller serialises.
 */
#ifndef BELAY_VERBS_OVERFLOW_H
#define BELAY_VERBS_OVERFLOW_H

#include "fabric/fabric.h"

#include <infiniband/verbs.h>

/* What is to be posted. */
struct verbs_operation {
    enum ibv_wr_opcode opcode;
    uint32_t length;
    bool signalled;
    bool copied;            /* the bytes are given as parts, else they lie at local in the own region */
    uint64_t remote_offset; /* not for messages */
    void *local;
    fabric_ticket ticket;
};

struct verbs_overflow {
    unsigned char *bytes;
    size_t capacity, head, tail; /* entries lie in [head, tail) */
    size_t last;                 /* where the newest entry begins */
};

/* Append; copies the parts' bytes if operation->copied. @return false without memory. */
bool verbs_overflow_append(struct verbs_overflow *overflow, const struct verbs_operation *operation,
                           const struct iovec *parts, int count);

/* The oldest entry and its bytes, or NULL. */
struct verbs_operation *verbs_overflow_first(struct verbs_overflow *overflow, struct iovec *body);
void verbs_overflow_remove_first(struct verbs_overflow *overflow);

/* The newest entry, or NULL. */
struct verbs_operation *verbs_overflow_last(struct verbs_overflow *overflow);

void verbs_overflow_clear(struct verbs_overflow *overflow); /* and free */

#endif
