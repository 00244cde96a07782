/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file address.h
 * From logical addresses to memory. Nothing read from a copy is believed here: every number is bounded by the view, and
 * what does not fit gives NULL.
 */
#ifndef BELAY_ADDRESS_H
#define BELAY_ADDRESS_H

#include "base/racy.h"
#include "copy/reader.h"

/* Mappings in one segment of an indirect table. */
static inline uint32_t table_words(const struct arena_view *view)
{
    return view->segment_size / sizeof(uint32_t);
}

static inline uint32_t segment_of(const struct arena_view *view, uint64_t address)
{
    return (uint32_t)(address >> view->segment_shift);
}

static inline uint32_t offset_of(const struct arena_view *view, uint64_t address)
{
    return (uint32_t)address & (view->segment_size - 1);
}

static inline uint64_t address_of(const struct arena_view *view, uint32_t segment, uint32_t offset)
{
    return ((uint64_t)segment << view->segment_shift) + offset;
}

/* Offset in the region of physical segment @p word - 1, or 0: there is none. */
static inline uint64_t physical_offset(const struct arena_view *view, uint32_t word)
{
    uint32_t physical = word - 1;
    if (__builtin_expect(physical >= view->segments, 0))
        return 0;
    return view->first_offset + ((uint64_t)physical << view->segment_shift);
}

/* Where the mapping of a logical segment beyond the direct ones lies in the region; 0: nowhere. */
static inline uint64_t table_word_offset(const struct arena_view *view,
                                         const struct copy_descriptor *descriptor, uint64_t segment)
{
    uint64_t index = segment - TABLE_DIRECT;
    uint64_t table = index / table_words(view);
    if (table >= TABLE_INDIRECT)
        return 0;
    uint64_t at = physical_offset(view,
                                  atomic_load_explicit(&descriptor->indirect[table], memory_order_relaxed));
    return at ? at + index % table_words(view) * sizeof(uint32_t) : 0;
}

/* Physical + 1 of a logical segment, as the copy says; 0: not attached. */
static inline uint32_t mapping_of(const struct arena_view *view, const struct copy_descriptor *descriptor,
                                  uint64_t segment)
{
    if (__builtin_expect(segment < TABLE_DIRECT, 1))
        return atomic_load_explicit(&descriptor->direct[segment], memory_order_relaxed);
    uint64_t at = table_word_offset(view, descriptor, segment);
    return at ? load32(view->base + at) : 0;
}

/* The memory at a logical address, up to the end of its segment; NULL: not there. */
static inline void *memory_at(const struct arena_view *view, const struct copy_descriptor *descriptor,
                              uint64_t address)
{
    uint64_t at = physical_offset(view, mapping_of(view, descriptor, address >> view->segment_shift));
    if (__builtin_expect(at == 0, 0))
        return NULL;
    return (unsigned char *)(uintptr_t)view->base + at + offset_of(view, address);
}

/* Bytes of an entry between @p address and the end of its segment. */
static inline size_t piece_at(const struct arena_view *view, uint64_t address)
{
    return view->segment_size - offset_of(view, address);
}

/* Where an entry that fills its segment goes on. */
static inline uint64_t next_piece(const struct arena_view *view, uint64_t address)
{
    return address_of(view, segment_of(view, address) + 1, sizeof(struct segment_header));
}

#endif
