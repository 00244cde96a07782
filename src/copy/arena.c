/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file arena.c
 * Free segments are bits of a map, so that runs can be found. A second map remembers which have been used: only those
 * are zeroed when they are taken, fresh pages of the region stay untouched (and cost no memory) until then.
 */
#include "copy/arena.h"

#include "base/log.h"
#include "base/racy.h"
#include "base/spin.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEGMENTS_MIN = 4,
    SEGMENT_SIZE_MIN = 4096,
    SEGMENT_SIZE_MAX = 1 << 30,
    HELD_BACK_SHARE = 12, /* at least 1/12 of the segments are for urgent takers only */
    HELD_BACK_SHARE_MAX = 8,
    WORD_BITS = 64
};

struct arena {
    unsigned char *base;
    size_t size, segment_size;
    struct arena_header *header;
    uint32_t segments;

    spin_lock lock;                 /* guards all below */
    uint32_t free_count, held_back; /* also read without the lock */
    int copies;
    uint32_t lowest; /* no word of the map below this one has a free segment */
    uint64_t *free_map, *used_map;
};

static bool map_has(const uint64_t *map, uint32_t bit)
{
    return map[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

static void map_set(uint64_t *map, uint32_t bit)
{
    map[bit / WORD_BITS] |= 1ull << bit % WORD_BITS;
}

static void map_clear(uint64_t *map, uint32_t bit)
{
    map[bit / WORD_BITS] &= ~(1ull << bit % WORD_BITS);
}

static size_t first_offset(size_t segment_size)
{
    return (sizeof(struct arena_header) + segment_size - 1) / segment_size * segment_size;
}

static void format(arena *a)
{
    struct arena_header *header = a->header;
    header->segment_size = (uint32_t)a->segment_size;
    header->segments = a->segments;
    header->first_offset = first_offset(a->segment_size);
    store64_release(&header->magic, ARENA_MAGIC);
}

void arena_count_copies(arena *a, int by)
{
    spin_acquire(&a->lock);
    a->copies += by;
    uint32_t least = a->segments / HELD_BACK_SHARE ? a->segments / HELD_BACK_SHARE : 1;
    uint32_t most = a->segments / HELD_BACK_SHARE_MAX, wanted = (uint32_t)a->copies;
    wanted = wanted > most ? most : wanted;
    store32(&a->held_back, wanted > least ? wanted : least);
    spin_release(&a->lock);
}

bool arena_is_short(const arena *a)
{
    return load32(&a->free_count) <= load32(&a->held_back);
}

int arena_create(void *region, size_t region_size, size_t segment_size, arena **out)
{
    bool sensible = segment_size >= SEGMENT_SIZE_MIN && segment_size <= SEGMENT_SIZE_MAX &&
                    (segment_size & (segment_size - 1)) == 0 && (uintptr_t)region % SEGMENT_SIZE_MIN == 0;
    size_t header_size = sensible ? first_offset(segment_size) : 0;
    if (!sensible || region_size / segment_size > UINT32_MAX ||
        region_size < header_size + SEGMENTS_MIN * segment_size)
        return log_error(BELAY_ERR_INVALID,
                         "a region of %zu bytes cannot be an arena of segments of %zu bytes", region_size,
                         segment_size);
    arena *a = calloc(1, sizeof *a);
    if (!a)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for an arena's state");
    a->base = region;
    a->size = region_size;
    a->segment_size = segment_size;
    a->header = region;
    a->segments = (uint32_t)((region_size - header_size) / segment_size);
    a->free_count = a->segments;
    size_t words = (a->segments + WORD_BITS - 1) / WORD_BITS;
    a->free_map = calloc(2 * words, sizeof *a->free_map);
    if (!a->free_map) {
        free(a);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for an arena's map");
    }
    a->used_map = a->free_map + words;
    for (uint32_t s = 0; s < a->segments; ++s)
        map_set(a->free_map, s);
    arena_count_copies(a, 0);
    format(a);
    *out = a;
    return BELAY_OK;
}

void arena_destroy(arena *a)
{
    if (!a)
        return;
    free(a->free_map);
    free(a);
}

void *arena_base(const arena *a)
{
    return a->base;
}

size_t arena_size(const arena *a)
{
    return a->size;
}

size_t arena_segment_size(const arena *a)
{
    return a->segment_size;
}

struct arena_header *arena_header_of(const arena *a)
{
    return a->header;
}

void *arena_segment(const arena *a, uint32_t segment)
{
    return a->base + arena_segment_offset(a, segment);
}

uint64_t arena_segment_offset(const arena *a, uint32_t segment)
{
    return arena_offset_in(a->header, segment);
}

uint32_t arena_free_segments(const arena *a)
{
    return load32(&a->free_count);
}

uint32_t arena_total_segments(const arena *a)
{
    return a->segments;
}

/* Under the lock: the segments are the caller's from here on. @return whether one of them has been used before. */
static bool claim(arena *a, uint32_t first, uint32_t count)
{
    bool used = false;
    for (uint32_t s = first; s < first + count; ++s) {
        map_clear(a->free_map, s);
        used |= map_has(a->used_map, s);
        map_set(a->used_map, s);
    }
    store32(&a->free_count, a->free_count - count);
    return used;
}

static void zero(arena *a, uint32_t first, uint32_t count)
{
    racy_begin(); /* stale readers: whoever sees the zeroes sees why */
    racy_zero(arena_segment(a, first), count * a->segment_size);
}

static uint32_t left_for_others(const arena *a, enum arena_need need)
{
    switch (need) {
    case ARENA_URGENT: return 0;
    case ARENA_CLEANING: return a->held_back / 2;
    default: return a->held_back;
    }
}

uint32_t arena_take(arena *a, enum arena_need need)
{
    spin_acquire(&a->lock);
    if (a->free_count <= left_for_others(a, need)) {
        spin_release(&a->lock);
        return ARENA_NO_SEGMENT;
    }
    while (!a->free_map[a->lowest])
        a->lowest++;
    uint32_t segment = a->lowest * WORD_BITS + (uint32_t)__builtin_ctzll(a->free_map[a->lowest]);
    bool used = claim(a, segment, 1);
    spin_release(&a->lock);
    if (used)
        zero(a, segment, 1);
    return segment;
}

/* Runs are taken from the far end, out of the way of single segments. @return the first one, or ARENA_NO_SEGMENT. */
static uint32_t find_run(const arena *a, uint32_t count)
{
    uint32_t length = 0;
    for (uint32_t s = a->segments; s-- > 0;) {
        length = map_has(a->free_map, s) ? length + 1 : 0;
        if (length == count)
            return s;
    }
    return ARENA_NO_SEGMENT;
}

uint32_t arena_take_run(arena *a, uint32_t count)
{
    uint32_t first = ARENA_NO_SEGMENT;
    bool used = false;
    spin_acquire(&a->lock);
    if (count > 0 && (uint64_t)count + a->held_back <= a->free_count)
        first = find_run(a, count);
    if (first != ARENA_NO_SEGMENT)
        used = claim(a, first, count);
    spin_release(&a->lock);
    if (used)
        zero(a, first, count);
    return first;
}

void arena_give(arena *a, uint32_t first, uint32_t count)
{
    spin_acquire(&a->lock);
    for (uint32_t s = first; s < first + count; ++s)
        map_set(a->free_map, s);
    store32(&a->free_count, a->free_count + count);
    if (count > 0 && first / WORD_BITS < a->lowest)
        a->lowest = first / WORD_BITS;
    spin_release(&a->lock);
}
