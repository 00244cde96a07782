/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file events.h
 * What happens to the job, for those who want to know (belay_on_event). Events are noted wherever they happen and told
 * later, in order, by whoever makes progress, without any lock of the library held: a handler may call Belay. Upper layers have
 * notes of their own told the same way.
 */
#ifndef BELAY_EVENTS_H
#define BELAY_EVENTS_H

#include "base/spin.h"
#include "belay.h"

#include <pthread.h>
#include <stdatomic.h>

/* Each kind of note begins with it. */
struct event_note {
    struct event_note *next;
    void (*tell)(belay_node *node, struct event_note *note); /* and free it. @p node NULL: only free it */
};

struct events {
    spin_lock lock;
    struct event_note *first, **last;
    atomic_bool waiting;
    spin_lock telling; /* one thread tells at a time, so that the order is kept */
    _Atomic(pthread_t) teller;
    _Atomic(belay_event_handler) handler;
    void *context;
};

void events_init(struct events *events);
void events_free(struct events *events);

/* Note an event; its time is set here. Any thread, any lock held. */
void events_add(belay_node *node, const belay_event *event);
void events_note(belay_node *node, struct event_note *note);

/* Tell what was noted. No lock is held. */
void events_tell(belay_node *node);

/* Wait until no note is being told, unless this is called by what is told. No lock is held. */
void events_await(belay_node *node);

#endif
