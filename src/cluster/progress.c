/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file progress.c
 * Who makes progress, and who sleeps.
 *
 * Every waiting caller polls; the progress thread polls for peers while nobody waits. It spins for a short while after the
 * last event, then sleeps until the fabric wakes it: an idle node costs nothing. Jobs often have more threads than
 * cores, so a caller that has polled in vain for a while first yields its core and then sleeps, until whoever makes
 * progress has had something to do.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/dispatch.h"
#include "cluster/node.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum {
    SPIN_NS = 50 * 1000,    /* the progress thread polls this long after the last event */
    BUSY_SLEEP_MS = 1,      /* something is waiting that the fabric may not announce */
    VAIN_BEFORE_YIELD = 64, /* a message that comes during a yield waits for its end: about a microsecond */
    ROUNDS_BEFORE_YIELD = 256,
    ROUNDS_BEFORE_SLEEP = 384,
    CALLER_SLEEP_US = 2000,
    ROUNDS_PER_CLOCK = 64,
    ROUNDS_PER_TICK = 256
};

static int call_hooks(belay_node *node)
{
    bool busy = false;
    int done = 0;
    atomic_exchange(&node->busy, false); /* whole fence: what was announced before is seen now */
    if (atomic_load_explicit(&node->calls_end, memory_order_relaxed))
        done += dispatch_end_calls(node);
    for (int i = 0; i < node->progress_hook_count; ++i)
        done += node->progress_hooks[i](node, &busy);
    if (busy)
        node_attend(node);
    return done;
}

/* Messages are handled wherever the fabric polls, also while a poller leaves or the thread goes to sleep; each takes the state
 * lock for itself. What they leave to the hooks they announce with node_attend(); without an announcement the hooks are not
 * called, since most callers poll for one answer only. */
int node_progress(belay_node *node)
{
    int done = fabric_poll(node->fabric);
    if (atomic_load_explicit(&node->self_waiting, memory_order_relaxed))
        done += dispatch_self(node);
    if (atomic_load_explicit(&node->busy, memory_order_relaxed) && spin_try(&node->state_lock)) {
        done += call_hooks(node);
        spin_release(&node->state_lock);
    }
    if (atomic_load_explicit(&node->event_queue.waiting, memory_order_relaxed))
        events_tell(node);
    if (done > 0)
        eventcount_signal(&node->events);
    return done;
}

void node_attend(belay_node *node)
{
    atomic_store_explicit(&node->busy, true, memory_order_release);
}

/* Hand over to the progress thread; it sleeps on for ever unless a message comes, so it is woken if the hooks have work. */
static void leave_polling(belay_node *node)
{
    fabric_poller_leave(node->fabric);
    if (atomic_load_explicit(&node->busy, memory_order_relaxed))
        fabric_wake(node->fabric);
}

void node_wait_begin(struct node_wait *wait, belay_node *node, uint64_t deadline)
{
    wait->node = node;
    wait->deadline = deadline;
    wait->rounds = wait->idle_rounds = 0;
    wait->about_to_sleep = false;
    if (node->thread_running)
        fabric_poller_enter(node->fabric);
}

/* Two calls: the first announces, so that the caller looks at its condition once more; the second sleeps. */
static void sleep_a_little(struct node_wait *wait)
{
    belay_node *node = wait->node;
    if (!wait->about_to_sleep) {
        wait->announced = eventcount_announce(&node->events);
        wait->about_to_sleep = true;
        return;
    }
    wait->about_to_sleep = false;
    fabric_caller_sleeps(node->fabric);
    leave_polling(node);
    eventcount_sleep(&node->events, wait->announced, CALLER_SLEEP_US);
    fabric_poller_enter(node->fabric);
    fabric_caller_wakes(node->fabric);
}

static void awake(struct node_wait *wait)
{
    wait->idle_rounds = 0;
    if (wait->about_to_sleep)
        eventcount_cancel(&wait->node->events);
    wait->about_to_sleep = false;
}

bool node_wait_more(struct node_wait *wait)
{
    bool can_sleep = wait->node->thread_running &&
                     !atomic_load_explicit(&wait->node->busy, memory_order_relaxed);
    if (node_progress(wait->node) > 0)
        awake(wait);
    else if (++wait->idle_rounds > ROUNDS_BEFORE_SLEEP && can_sleep)
        sleep_a_little(wait);
    else if (wait->idle_rounds > ROUNDS_BEFORE_YIELD)
        sched_yield();
    else
        spin_pause();
    if (++wait->rounds % ROUNDS_PER_TICK == 0) {
        liveness_tick(wait->node);
        node_attend(wait->node);
    }
    if (wait->idle_rounds > ROUNDS_BEFORE_SLEEP)
        liveness_look(wait->node);
    return !wait->deadline ||
           (wait->rounds % ROUNDS_PER_CLOCK != 0 && wait->idle_rounds <= ROUNDS_BEFORE_SLEEP) ||
           clock_now() <= wait->deadline;
}

void node_wait_end(struct node_wait *wait)
{
    awake(wait);
    if (wait->node->thread_running)
        leave_polling(wait->node);
}

/* Sleep, unless something came up or callers of this process are polling anyway (then fabric_sleep() does not announce
 * this thread). */
static void sleep_until_woken(belay_node *node)
{
    bool busy = atomic_load_explicit(&node->busy, memory_order_relaxed);
    if (busy)
        liveness_look(node);
    int ms = busy ? BUSY_SLEEP_MS : liveness_sleep_ms(node);
    int nap_ms = atomic_load_explicit(&node->nap_ms, memory_order_relaxed);
    fabric_sleep(node->fabric, nap_ms > 0 && (ms < 0 || ms > nap_ms) ? nap_ms : ms);
}

static void *progress_thread(void *context)
{
    belay_node *node = context;
    uint64_t last_event = clock_now();
    unsigned vain = 0, rounds = 0;
    while (!atomic_load_explicit(&node->stop, memory_order_acquire)) {
        if (++rounds % ROUNDS_PER_TICK == 0) {
            liveness_tick(node); /* who is always busy must not seem dead */
            node_attend(node);
        }
        if (node_progress(node) > 0) {
            vain = 0;
            continue;
        }
        if (++vain % VAIN_BEFORE_YIELD != 0) {
            spin_pause();
            continue;
        }
        if (vain == VAIN_BEFORE_YIELD)
            last_event = clock_now();
        liveness_tick(node);
        if (clock_now() - last_event < SPIN_NS) {
            sched_yield();
            continue;
        }
        sleep_until_woken(node);
        liveness_tick(node);
        node_attend(node);
        vain = 0;
    }
    return NULL;
}

int node_start_thread(belay_node *node)
{
    int error = pthread_create(&node->thread, NULL, progress_thread, node);
    if (error)
        return log_error(BELAY_ERR_SYSTEM, "cannot start the progress thread: %s", strerror(error));
    node->thread_running = true;
    if (node->progress_cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)node->progress_cpu, &set);
        error = pthread_setaffinity_np(node->thread, sizeof set, &set);
        if (error)
            log_warn("cannot bind the progress thread to cpu %d: %s", node->progress_cpu, strerror(error));
    }
    return BELAY_OK;
}

void node_stop_thread(belay_node *node)
{
    if (!node->thread_running)
        return;
    atomic_store_explicit(&node->stop, true, memory_order_release);
    fabric_wake(node->fabric);
    pthread_join(node->thread, NULL);
    node->thread_running = false;
}
