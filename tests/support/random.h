/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file random.h
 * Repeatable random numbers: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, 2014). A source belongs to one thread; sources that differ in their seed by anything
 * are independent.
 */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random_source {
    uint64_t state;
};

static inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static inline uint64_t random_next(struct random_source *source)
{
    return random_mix(source->state += 0x9e3779b97f4a7c15ull);
}

/* A source of its own for (rank, thread, whatever) of one seed. */
static inline struct random_source random_stream(uint64_t seed, uint64_t rank, uint64_t thread)
{
    struct random_source source = {random_mix(seed ^ random_mix(rank + 1) ^ random_mix((thread + 1) << 20))};
    return source;
}

static inline uint64_t random_below(struct random_source *source, uint64_t bound) /* 0 ... bound - 1 */
{
    return random_next(source) % bound;
}

static inline uint64_t random_between(struct random_source *source, uint64_t low,
                                      uint64_t high) /* inclusive */
{
    return low + random_below(source, high - low + 1);
}

static inline bool random_percent(struct random_source *source, unsigned percent)
{
    return random_below(source, 100) < percent;
}

#endif
