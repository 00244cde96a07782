/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Polling, sleeping and waking.
 *
 * No wake-up may be lost, and none may cost a system call while somebody polls. The word `attention` (transport.h) says
 * who polls and whether the progress thread sleeps; each change of it is one atomic operation.
 *
 * A message to a node that sleeps: the sender publishes it (a), then reads the word (b). Whoever makes the word say "asleep,
 * and nobody polls" (c), be it the thread that goes to sleep or the last poller that leaves, then polls once more (d).
 * Full fences stand between a and b, and between c and d. If b does not see c, then d sees a: the message is handled. If b
 * sees c, the sender writes to the wake pipe. Of a thread that goes to sleep and a last poller that leaves at the same
 * time, the later one in the order of the word's changes does c, and d.
 *
 * The poll of d must have been a whole one. If another thread is in fabric_poll(), it may have passed the place already, so
 * the thread does not go to sleep; a leaving poller wakes it.
 *
 * An awaited message: its receiver polls, or counts itself in `callers_asleep` (c') before it leaves, and then somebody polls once
 * more (d) as above. The sender reads that count instead of the word (b): if it is 0, d sees the message, else it reads the word.
 *
 * The wake pipe is emptied by the sleeper only, after its sleep is over (the word says so): a byte that was written for a
 * sleep can not be taken while this sleep goes on. So one byte per sleep suffices.
 */
#include "fabric/progress.h"

#include "base/clock.h"
#include "base/fence.h"
#include "base/log.h"
#include "belay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    EVENTS_AT_ONCE = 16,
    LOOK_EACH_POLLS = 64,
    LAST_ROUNDS = 2 /* polls of a leaving poller before it wakes the thread */
};
#define LOOK_EACH_NS NANOSECONDS_PER_MS

static int system_error(const char *call)
{
    return log_error(BELAY_ERR_SYSTEM, "%s failed: %s", call, strerror(errno));
}

/* ---- Descriptors ---------------------------------------------------------------------------------------------- */

int fabric_watch(fabric *f, struct fabric_source *source)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, source->descriptor, &event))
        return system_error("epoll_ctl");
    return BELAY_OK;
}

void fabric_unwatch(fabric *f, struct fabric_source *source)
{
    if (epoll_ctl(f->epoll, EPOLL_CTL_DEL, source->descriptor, NULL) && errno != ENOENT)
        log_warn("cannot stop to watch a descriptor: %s", strerror(errno));
}

static void empty_wake_pipe(fabric *f)
{
    char bytes[256];
    while (read(f->wake.descriptor, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        ;
    fabric_count(&f->counts.wakeups_taken);
}

/* Under the poll lock. */
static int handle_events(const struct epoll_event *events, int count, const struct fabric_source *except)
{
    int handled = 0;
    for (int index = 0; index < count; ++index) {
        struct fabric_source *source = events[index].data.ptr;
        if (source == except)
            continue;
        source->ready(source);
        ++handled;
    }
    return handled;
}

/* While nobody sleeps, those who poll look at the descriptors, seldom. The wake pipe is not theirs to empty. */
static int look_at_descriptors(fabric *f)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now = clock_now();
    if (now < f->next_look || (atomic_load_explicit(f->attention, memory_order_relaxed) & ATTENTION_ASLEEP))
        return 0;
    f->next_look = now + LOOK_EACH_NS;
    int count = epoll_wait(f->epoll, events, EVENTS_AT_ONCE, 0);
    return handle_events(events, count, &f->wake);
}

/* ---- Polling -------------------------------------------------------------------------------------------------- */

enum { POLL_BUSY = -1 };

static int try_poll(fabric *f)
{
    int handled = 0;
    if (!spin_try(&f->poll_lock))
        return POLL_BUSY;
    if (f->shm)
        handled += f->shm->ops->poll(f->shm);
    if (f->verbs)
        handled += f->verbs->ops->poll(f->verbs);
    if (++f->polls % LOOK_EACH_POLLS == 0)
        handled += look_at_descriptors(f);
    spin_release(&f->poll_lock);
    return handled;
}

int fabric_poll(fabric *f)
{
    int handled = try_poll(f);
    return handled == POLL_BUSY ? 0 : handled;
}

static void arm(fabric *f)
{
    if (f->shm && f->shm->ops->arm)
        f->shm->ops->arm(f->shm);
    if (f->verbs && f->verbs->ops->arm)
        f->verbs->ops->arm(f->verbs);
    fence_full();
}

void fabric_poller_enter(fabric *f)
{
    atomic_fetch_add(f->attention, ATTENTION_POLLER);
}

void fabric_poller_leave(fabric *f)
{
    uint64_t word = atomic_fetch_sub(f->attention, ATTENTION_POLLER) - ATTENTION_POLLER;
    if (!attention_needs_wake(word))
        return;
    arm(f);
    for (int round = 0; round < LAST_ROUNDS; ++round) {
        int handled = try_poll(f);
        if (handled == 0)
            return;
        if (handled == POLL_BUSY)
            break;
    }
    fabric_wake(f);
}

void fabric_caller_sleeps(fabric *f)
{
    atomic_fetch_add(f->callers_asleep, 1);
}

void fabric_caller_wakes(fabric *f)
{
    atomic_fetch_sub(f->callers_asleep, 1);
}

/* ---- Sleeping ------------------------------------------------------------------------------------------------- */

/* Announce the sleep. @return false if there is something to do instead. */
static bool fall_asleep(fabric *f)
{
    uint64_t step = ATTENTION_SLEEP | ATTENTION_ASLEEP;
    uint64_t word = atomic_fetch_add(f->attention, step) + step;
    if (atomic_exchange(&f->wake_wanted, false))
        return false;
    if (!attention_needs_wake(word))
        return true; /* the last poller that leaves finds us asleep */
    arm(f);
    return try_poll(f) == 0;
}

int fabric_sleep(fabric *f, int timeout_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = 0;
    if (atomic_load_explicit(f->attention, memory_order_relaxed) & ATTENTION_ASLEEP)
        return log_error(BELAY_ERR_INVALID, "two threads sleep in one fabric");

    if (fall_asleep(f))
        count = epoll_wait(f->epoll, events, EVENTS_AT_ONCE, timeout_ms);
    atomic_fetch_sub(f->attention, ATTENTION_ASLEEP);
    if (count < 0 && errno != EINTR)
        return system_error("epoll_wait");
    if (count <= 0)
        return BELAY_OK;

    spin_acquire(&f->poll_lock);
    handle_events(events, count, NULL);
    spin_release(&f->poll_lock);
    return BELAY_OK;
}

void fabric_wake(fabric *f)
{
    atomic_store(&f->wake_wanted, true);
    if (!(atomic_load(f->attention) & ATTENTION_ASLEEP))
        return;
    /* EAGAIN: the pipe is full, which wakes as well. */
    if (write(f->wake_writer, "", 1) < 0 && errno != EAGAIN)
        system_error("writing to the wake pipe");
}

static void woken(struct fabric_source *source)
{
    fabric *f = (fabric *)(void *)((char *)source - offsetof(struct fabric, wake));
    empty_wake_pipe(f);
}

/* ---- Set-up --------------------------------------------------------------------------------------------------- */

int progress_create(fabric *f)
{
    int ends[2];
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->epoll < 0)
        return system_error("epoll_create1");
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return system_error("pipe2");
    f->wake = (struct fabric_source){.descriptor = ends[0], .ready = woken};
    f->wake_writer = ends[1];
    f->attention = &f->attention_private;
    f->callers_asleep = &f->callers_asleep_private;
    return fabric_watch(f, &f->wake);
}

void progress_destroy(fabric *f)
{
    if (f->epoll >= 0)
        close(f->epoll);
    if (f->wake.descriptor >= 0)
        close(f->wake.descriptor);
    if (f->wake_writer >= 0)
        close(f->wake_writer);
}
