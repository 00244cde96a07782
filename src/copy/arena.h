/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file arena.h
 * A node's memory for copies: the node's region, cut into segments.
 *
 * The region starts with a header that peers read one-sided to find a cache's descriptors; the rest is segments of one
 * size. Copies take single segments; the descriptors of a cache take a run of consecutive ones; staging buffers for
 * one-sided reads are segments too, since they must lie in registered memory.
 *
 * Some free segments are held back for updates that make room: a full arena fails puts, and never the remove that would
 * help. Cleaning may use half of them, and gives them back as it goes on.
 *
 * Threads: all calls may be made by any thread.
 */
#ifndef BELAY_ARENA_H
#define BELAY_ARENA_H

#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_MAGIC      0x31616e6572614c42ull
#define ARENA_NO_SEGMENT UINT32_MAX

/* First bytes of every region. Read one-sided by peers; written by its owner only. */
struct arena_header {
    uint64_t magic;
    uint32_t segment_size; /* bytes, a power of two */
    uint32_t segments;     /* in this arena; segment s lies at first_offset + s * segment_size */
    uint64_t first_offset; /* bytes from the start of the region, a multiple of the segment size */
    uint64_t reserved;
    _Atomic uint64_t
        cache_block[BELAY_CACHES_MAX]; /* offset of cache c's descriptors in the region, 0 if none */
};

typedef struct arena arena;

/* Format a zeroed region that begins on a page. Errors: INVALID (too small for a handful of segments), NO_MEMORY. */
int arena_create(void *region, size_t region_size, size_t segment_size, arena **out);
void arena_destroy(arena *a);

void *arena_base(const arena *a); /* of the region */
size_t arena_size(const arena *a);
size_t arena_segment_size(const arena *a);
struct arena_header *arena_header_of(const arena *a);

/* What a segment is wanted for: puts and the like, removes and what must not fail, cleaning. */
enum arena_need { ARENA_ORDINARY, ARENA_URGENT, ARENA_CLEANING };

/* Take one zeroed segment. @return its number, or ARENA_NO_SEGMENT. */
uint32_t arena_take(arena *a, enum arena_need need);

/* @p by more copies lie here (or fewer): each may need a segment for its next remove, so that many are held back, up to a bound. */
void arena_count_copies(arena *a, int by);

/* Only segments that are held back are left. A momentary answer. */
bool arena_is_short(const arena *a);

/* Take consecutive zeroed segments. @return the first one's number, or ARENA_NO_SEGMENT. */
uint32_t arena_take_run(arena *a, uint32_t count);

/* Give segments back. The caller knows that nobody writes to them any more; stale one-sided readers are fine. */
void arena_give(arena *a, uint32_t first, uint32_t count);

static inline uint64_t arena_offset_in(const struct arena_header *header, uint32_t segment)
{
    return header->first_offset + (uint64_t)segment * header->segment_size;
}

void *arena_segment(const arena *a, uint32_t segment);
uint64_t arena_segment_offset(const arena *a, uint32_t segment);
uint32_t arena_free_segments(const arena *a); /* a momentary count, held-back ones included */
uint32_t arena_total_segments(const arena *a);

#endif
