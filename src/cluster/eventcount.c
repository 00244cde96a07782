/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/eventcount.h"

#include "base/fence.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint32_t eventcount_announce(struct eventcount *events)
{
    atomic_fetch_add(&events->sleepers, 1);
    return atomic_load(&events->count);
}

void eventcount_cancel(struct eventcount *events)
{
    atomic_fetch_sub(&events->sleepers, 1);
}

void eventcount_sleep(struct eventcount *events, uint32_t announced, unsigned timeout_us)
{
    struct timespec timeout = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000L};
    syscall(SYS_futex, &events->count, FUTEX_WAIT_PRIVATE, announced, &timeout, NULL, 0);
    atomic_fetch_sub(&events->sleepers, 1);
}

/* The fence orders what has happened before the look at `sleepers`; a sleeper announces itself before it looks at its
 * condition. So either it sees what happened, or it is seen here. */
void eventcount_signal(struct eventcount *events)
{
    fence_full();
    if (atomic_load_explicit(&events->sleepers, memory_order_relaxed) == 0)
        return;
    atomic_fetch_add(&events->count, 1);
    syscall(SYS_futex, &events->count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
