/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/events.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node.h"

#include <stdlib.h>

struct job_event {
    struct event_note note;
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
        note->tell(NULL, note);
    }
}

static void tell_job_event(belay_node *node, struct event_note *note)
{
    struct job_event *event = (struct job_event *)note;
    belay_event_handler handler = node
                                      ? atomic_load_explicit(&node->event_queue.handler, memory_order_acquire)
                                      : NULL;
    if (handler)
        handler(node, &event->event, node->event_queue.context);
    free(event);
}

void events_note(belay_node *node, struct event_note *note)
{
    struct events *events = &node->event_queue;
    note->next = NULL;
    spin_acquire(&events->lock);
    *events->last = note;
    events->last = &note->next;
    atomic_store_explicit(&events->waiting, true, memory_order_release);
    spin_release(&events->lock);
    node_attend(node);
}

void events_add(belay_node *node, const belay_event *event)
{
    struct events *events = &node->event_queue;
    if (!atomic_load_explicit(&events->handler, memory_order_relaxed))
        return;
    struct job_event *added = malloc(sizeof *added);
    if (!added) {
        log_warn("no memory for an event: it is not told");
        return;
    }
    added->note.tell = tell_job_event;
    added->event = *event;
    added->event.time_ns = clock_now();
    events_note(node, &added->note);
}

void events_tell(belay_node *node)
{
    struct events *events = &node->event_queue;
    if (!spin_try(&events->telling))
        return;
    atomic_store_explicit(&events->teller, pthread_self(), memory_order_relaxed);
    for (struct event_note *note = take_all(events), *next; note; note = next) {
        next = note->next;
        note->tell(node, note);
    }
    atomic_store_explicit(&events->teller, (pthread_t)0, memory_order_relaxed);
    spin_release(&events->telling);
}

void events_await(belay_node *node)
{
    struct events *events = &node->event_queue;
    if (pthread_equal(atomic_load_explicit(&events->teller, memory_order_relaxed), pthread_self()))
        return;
    spin_acquire(&events->telling);
    spin_release(&events->telling);
}
