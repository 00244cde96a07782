/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file spin.h
 * A lock for sections of well under a microsecond, shared by the threads of one process only. Jobs run with more
 * threads than cores, so a waiter gives its core away after a few rounds: the holder may be the one that needs it.
 */
#ifndef BELAY_SPIN_H
#define BELAY_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct spin_lock {
    atomic_bool held;
} spin_lock;

static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline bool spin_try(spin_lock *lock)
{
    return !atomic_load_explicit(&lock->held, memory_order_relaxed) &&
           !atomic_exchange_explicit(&lock->held, true, memory_order_acquire);
}

static inline void spin_acquire(spin_lock *lock)
{
    for (unsigned round = 1; !spin_try(lock); ++round) {
        if (round % 64 == 0)
            sched_yield();
        else
            spin_pause();
    }
}

static inline void spin_release(spin_lock *lock)
{
    atomic_store_explicit(&lock->held, false, memory_order_release);
}

#endif
