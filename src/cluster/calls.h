/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file calls.h
 * Calls in flight: which answer belongs to whom. A call is a struct of its caller, known to peers by a number that is
 * not used again soon, so a late answer to a call that was given up meets nobody.
 *
 * Every registered call ends exactly once: by its answer, by the loss of its peer, or by calls_cancel().
 */
#ifndef BELAY_CALLS_H
#define BELAY_CALLS_H

#include "base/spin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;

/* The answer, or a negative status of its own without a body (NODE_FAILED). Runs in fabric progress: must not wait. After
 * it returns the call is not touched any more, so it may free its memory. */
typedef void (*call_answered)(struct call *call, int status, const void *body, size_t length);

struct call {
    call_answered answered;
    int peer;
    uint32_t number; /* 0: not registered */
};

struct call_slot {
    struct call *call;
    uint32_t generation;
    uint32_t next_free;
};

enum { CALLS_MAX = 1 << 14 };

#define CALL_AWAITED (1u << 31) /* in its number: the caller polls until the answer comes */

struct calls {
    spin_lock lock;
    uint32_t free_first;
    uint32_t outstanding;
    struct call_slot *slots;
};

int calls_create(struct calls *calls);
void calls_destroy(struct calls *calls);

/* Register a call. @return false: too many are in flight, make progress first. */
bool calls_register(struct calls *calls, struct call *call, bool awaited);

/* Take a call out by its number, when its answer came. @return NULL if it was given up, or never was one of this peer. */
struct call *calls_take(struct calls *calls, uint32_t number, int peer);

/* Give up. @return true: it will not be answered; false: it has been, or is being just now by another thread. */
bool calls_cancel(struct calls *calls, struct call *call);

/* End all calls to a lost peer with @p status. */
void calls_fail(struct calls *calls, int peer, int status);

#endif
