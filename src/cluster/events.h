/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file events.h
 * What happens to the job, for those who want to know (belay_on_event). Events are noted wherever they happen and told
 * later, in order, by whoever makes progress, without any lock of the library held: a handler may call Belay.
 */
#ifndef BELAY_EVENTS_H
#define BELAY_EVENTS_H

#include "base/spin.h"
#include "belay.h"

#include <stdatomic.h>

struct event_note;

struct events {
    spin_lock lock;
    struct event_note *first, **last;
    atomic_bool waiting;
    spin_lock telling; /* one thread tells at a time, so that the order is kept */
    _Atomic(belay_event_handler) handler;
    void *context;
};

void events_init(struct events *events);
void events_free(struct events *events);

/* Note an event; its time is set here. Any thread, any lock held. */
void events_add(belay_node *node, const belay_event *event);

/* Tell what was noted. No lock is held. */
void events_tell(belay_node *node);

#endif
