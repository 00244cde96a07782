/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file bucket.h
 * Which of a bucket's eight slots have a fingerprint. Only a filter: who believes a slot loads it again, as one word.
 */
#ifndef BELAY_BUCKET_H
#define BELAY_BUCKET_H

#include "base/racy.h"
#include "copy/layout.h"

#if defined(__SSE2__) && !defined(BELAY_TSAN)
#include <emmintrin.h>

/* Two slots are in each vector. Their lowest 32 bits, then their lowest 16, are packed until all eight are in one. */
static inline __m128i bucket_low16(const __m128i *half)
{
    __m128 first = _mm_castsi128_ps(_mm_load_si128(half)),
           second = _mm_castsi128_ps(_mm_load_si128(half + 1));
    __m128i low32 = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0)));
    return _mm_srai_epi32(_mm_slli_epi32(low32, 16), 16);
}

/* One bit per slot; empty slots may be among them. */
static inline unsigned bucket_match(const slot_word *bucket, uint16_t fingerprint)
{
    const __m128i *vectors = (const __m128i *)(const void *)bucket;
    __m128i fingerprints = _mm_packs_epi32(bucket_low16(vectors), bucket_low16(vectors + 2));
    __m128i equal = _mm_cmpeq_epi16(fingerprints, _mm_set1_epi16((short)fingerprint));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}

#else

static inline unsigned bucket_match(const slot_word *bucket, uint16_t fingerprint)
{
    unsigned match = 0;
    for (unsigned i = 0; i < SLOTS_PER_BUCKET; ++i)
        match |= (unsigned)(slot_fingerprint(load64(&bucket[i])) == fingerprint) << i;
    return match;
}

#endif

static inline const slot_word *neighbour_bucket(const slot_word *bucket)
{
    return (const slot_word *)((uintptr_t)bucket ^ BUCKET_SIZE);
}

#endif
