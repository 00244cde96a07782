/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/events.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node.h"

#include <stdlib.h>

struct event_note {
    struct event_note *next;
    belay_event event;
};

void events_init(struct events *events)
{
    events->last = &events->first;
}

static struct event_note *take_all(struct events *events)
{
    spin_acquire(&events->lock);
    struct event_note *first = events->first;
    events->first = NULL;
    events->last = &events->first;
    atomic_store_explicit(&events->waiting, false, memory_order_relaxed);
    spin_release(&events->lock);
    return first;
}

void events_free(struct events *events)
{
    for (struct event_note *note = take_all(events), *next; note; note = next) {
        next = note->next;
        free(note);
    }
}

void events_add(belay_node *node, const belay_event *event)
{
    struct events *events = &node->event_queue;
    if (!atomic_load_explicit(&events->handler, memory_order_relaxed))
        return;
    struct event_note *note = malloc(sizeof *note);
    if (!note) {
        log_warn("no memory for an event: it is not told");
        return;
    }
    note->next = NULL;
    note->event = *event;
    note->event.time_ns = clock_now();
    spin_acquire(&events->lock);
    *events->last = note;
    events->last = &note->next;
    atomic_store_explicit(&events->waiting, true, memory_order_release);
    spin_release(&events->lock);
    node_attend(node);
}

void events_tell(belay_node *node)
{
    struct events *events = &node->event_queue;
    if (!spin_try(&events->telling))
        return;
    for (struct event_note *note = take_all(events), *next; note; note = next) {
        next = note->next;
        belay_event_handler handler = atomic_load_explicit(&events->handler, memory_order_acquire);
        if (handler)
            handler(node, &note->event, events->context);
        free(note);
    }
    spin_release(&events->telling);
}
