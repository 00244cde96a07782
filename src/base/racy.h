/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file racy.h
 * The deliberate races with the readers of a copy, all of them.
 *
 * Readers take no lock: while one copies an entry, its writer may recycle the memory under it. That is why a reader
 * checks slot and version again behind a fence before it believes what it has copied (see layout.h); until then the
 * bytes may be anything, and nothing depends on them. Such bytes are moved by the functions here only, which the thread
 * sanitizer does not watch; every word that decides something is loaded and stored atomically instead.
 *
 * Writers: racy_begin(), then the version by store64(), racy_begin() again, then the body. Readers: the version by
 * load64_acquire(), the body, racy_end(), then version and slot again.
 */
#ifndef BELAY_RACY_H
#define BELAY_RACY_H

#include "base/fence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define BELAY_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BELAY_TSAN 1
#endif
#endif

static inline uint64_t load64(const void *word)
{
    return __atomic_load_n((const uint64_t *)word, __ATOMIC_RELAXED);
}

static inline uint64_t load64_acquire(const void *word)
{
    return __atomic_load_n((const uint64_t *)word, __ATOMIC_ACQUIRE);
}

static inline uint32_t load32(const void *word)
{
    return __atomic_load_n((const uint32_t *)word, __ATOMIC_RELAXED);
}

static inline void store64(void *word, uint64_t value)
{
    __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELAXED);
}

static inline void store64_release(void *word, uint64_t value)
{
    __atomic_store_n((uint64_t *)word, value, __ATOMIC_RELEASE);
}

static inline void store32(void *word, uint32_t value)
{
    __atomic_store_n((uint32_t *)word, value, __ATOMIC_RELAXED);
}

#ifdef BELAY_TSAN

#define RACY __attribute__((no_sanitize("thread"), noinline, unused)) static

/* memcpy() and friends are watched even when called from here: loops instead. */
RACY void racy_copy(void *to, const void *from, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        ((volatile unsigned char *)to)[i] = ((const volatile unsigned char *)from)[i];
}

RACY void racy_zero(void *to, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        ((volatile unsigned char *)to)[i] = 0;
}

RACY bool racy_equal(const void *a, const void *b, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        if (((const volatile unsigned char *)a)[i] != ((const volatile unsigned char *)b)[i])
            return false;
    return true;
}

#else

static inline void racy_copy(void *to, const void *from, size_t length)
{
    memcpy(to, from, length); /* NOLINT(clang-analyzer-core.NonNullParamChecker): of length 0 where NULL */
}

static inline void racy_zero(void *to, size_t length)
{
    memset(to, 0, length);
}

static inline bool racy_equal(const void *a, const void *b, size_t length)
{
    return memcmp(a, b, length) == 0;
}

#endif

/* Everything stored before is seen by whoever sees a byte stored behind. */
static inline void racy_begin(void)
{
    fence_release();
}

/* Nothing loaded behind is older than the bytes loaded before. */
static inline void racy_end(void)
{
    fence_acquire();
}

#endif
