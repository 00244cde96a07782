/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file eventcount.h
 * Sleeping until somebody of this process has made progress: a futex word that counts events. Who wants to sleep announces
 * itself, looks at its condition once more, and then sleeps unless an event came since. Whoever makes progress pays one load
 * as long as nobody sleeps.
 */
#ifndef BELAY_EVENTCOUNT_H
#define BELAY_EVENTCOUNT_H

#include <stdatomic.h>
#include <stdint.h>

struct eventcount {
    _Atomic uint32_t count, sleepers;
};

/* Announce; then look at the condition, then eventcount_sleep() or eventcount_cancel(). */
uint32_t eventcount_announce(struct eventcount *events);
void eventcount_cancel(struct eventcount *events);
void eventcount_sleep(struct eventcount *events, uint32_t announced, unsigned timeout_us);

/* Something has happened that sleepers may wait for. */
void eventcount_signal(struct eventcount *events);

#endif
