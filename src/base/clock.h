/* SPDX-License-Identifier: BSD-3-Clause */
/* Monotonic time and deadlines, and the time of day, in nanoseconds. */
#ifndef BELAY_CLOCK_H
#define BELAY_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NANOSECONDS_PER_MS 1000000ull

static inline uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* What hosts have in common, more or less; it may be set. */
static inline uint64_t clock_of_day(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_deadline(unsigned timeout_ms)
{
    return clock_now() + timeout_ms * NANOSECONDS_PER_MS;
}

#endif
