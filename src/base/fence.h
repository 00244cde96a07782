/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences. The thread sanitizer does not model them and warns; the code here does not need it to: wherever data is handed
 * over, a release store is read by an acquire load as well. */
#ifndef BELAY_FENCE_H
#define BELAY_FENCE_H

#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif

/* Stores before it are seen before loads after it are done: for two sides that each announce, then look. */
static inline void fence_full(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* Loads and stores before it come before stores after it. */
static inline void fence_release(void)
{
    atomic_thread_fence(memory_order_release);
}

/* Loads before it come before loads and stores after it. */
static inline void fence_acquire(void)
{
    atomic_thread_fence(memory_order_acquire);
}

#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
