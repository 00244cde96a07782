/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy/keys.h"

#include <string.h>

bool key_cursor_valid(const struct key_cursor *cursor)
{
    return cursor->prefix <= KEY_PREFIX_END && cursor->end <= KEY_PREFIX_END && cursor->slot <= PAGE_SLOTS &&
           (cursor->end == 0 ||
            (cursor->end > cursor->prefix && cursor->at >= cursor->prefix && cursor->at <= cursor->end));
}

static const void *at(const struct arena_view *view, const struct copy_descriptor *descriptor,
                      uint64_t address, size_t length)
{
    uint64_t offset, table_at;
    size_t contiguous;
    int known = descriptor_translate(view, descriptor, address, &offset, &contiguous, &table_at);
    if (known == 0) {
        uint32_t word;
        memcpy(&word, view->base + table_at, sizeof word);
        known = table_translate(view, word, address, &offset);
        contiguous = view->segment_size - address % view->segment_size;
    }
    return known == 1 && contiguous >= length ? view->base + offset : NULL;
}

/* The page for the directory's entry number @p index; 0: damaged. */
static uint64_t page_of(const struct arena_view *view, const struct copy_descriptor *descriptor,
                        uint32_t index)
{
    uint64_t page_at, reference_at;
    uint64_t hash = (uint64_t)index << (22 + KEY_PREFIX_BITS - descriptor->root.depth);
    int known = root_page(&descriptor->root, view->segment_size, hash, &page_at, &reference_at);
    if (known == 0) {
        const uint32_t *reference = at(view, descriptor, reference_at, sizeof *reference);
        if (!reference)
            return UINT64_MAX;
        page_at = page_reference_address(*reference);
    }
    return known < 0 ? UINT64_MAX : page_at;
}

/* One more than the last directory entry that refers to the same page as @p index. */
static uint32_t page_end(const struct arena_view *view, const struct copy_descriptor *descriptor,
                         uint32_t index)
{
    uint64_t page = page_of(view, descriptor, index);
    uint32_t end = index + 1;
    while (end < 1u << descriptor->root.depth && page_of(view, descriptor, end) == page)
        ++end;
    return end;
}

/* Appends the key behind a slot. @return false: no room. *damaged is set when there is no entry. */
static bool append_key(const struct arena_view *view, const struct copy_descriptor *descriptor,
                       slot_word slot, unsigned char *buffer, size_t capacity, size_t *used, bool *damaged)
{
    uint64_t address = slot_address(slot);
    const struct entry_header *header = at(view, descriptor, address, sizeof *header);
    if (!header || !entry_header_plausible(header, slot)) {
        *damaged = true;
        return false;
    }
    uint16_t length = header->key_length;
    if (capacity - *used < length + sizeof length)
        return false;
    memcpy(buffer + *used, &length, sizeof length);
    *used += sizeof length;
    uint64_t key_at = log_advance(address, sizeof *header, view->segment_size);
    for (size_t done = 0; done < length;) {
        size_t piece = view->segment_size - key_at % view->segment_size;
        if (piece > length - done)
            piece = length - done;
        const void *bytes = at(view, descriptor, key_at, piece);
        if (!bytes) {
            *damaged = true;
            return false;
        }
        memcpy(buffer + *used, bytes, piece);
        *used += piece;
        done += piece;
        key_at = log_advance(key_at, piece, view->segment_size);
    }
    return true;
}

/* The keys at the slot number at hand, in all pages of the range from `at` on. @return false: no room, or damaged. */
static bool list_slot(const struct arena_view *view, const struct copy_descriptor *descriptor,
                      struct key_cursor *cursor, unsigned char *buffer, size_t capacity, size_t *used,
                      bool *damaged)
{
    uint32_t shift = KEY_PREFIX_BITS - descriptor->root.depth;
    while (cursor->at < cursor->end) {
        uint32_t index = cursor->at >> shift;
        uint64_t page = page_of(view, descriptor, index);
        const slot_word *slot = page == UINT64_MAX
                                    ? NULL
                                    : at(view, descriptor, page + cursor->slot * sizeof *slot, sizeof *slot);
        if (!slot) {
            *damaged = true;
            return false;
        }
        slot_word word = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (word && !append_key(view, descriptor, word, buffer, capacity, used, damaged))
            return false;
        cursor->at = page_end(view, descriptor, index) << shift;
    }
    return true;
}

static bool begin_range(const struct arena_view *view, const struct copy_descriptor *descriptor,
                        struct key_cursor *cursor)
{
    uint32_t shift = KEY_PREFIX_BITS - descriptor->root.depth;
    if (cursor->end == 0) {
        cursor->end = page_end(view, descriptor, cursor->prefix >> shift) << shift;
        cursor->at = cursor->prefix;
        cursor->slot = 0;
    }
    /* A cursor from a peer must name whole pages. */
    uint32_t within = (1u << shift) - 1;
    return (cursor->end & within) == 0 && (cursor->at & within) == 0;
}

long copy_list_keys(const struct arena_view *view, const struct copy_descriptor *descriptor,
                    struct key_cursor *cursor, void *buffer, size_t capacity)
{
    size_t used = 0;
    bool damaged = false;
    if (descriptor->root.generation == 0)
        cursor->prefix = KEY_PREFIX_END;
    while (cursor->prefix < KEY_PREFIX_END) {
        if (!begin_range(view, descriptor, cursor))
            return BELAY_ERR_PROTOCOL;
        while (cursor->slot < PAGE_SLOTS) {
            if (!list_slot(view, descriptor, cursor, buffer, capacity, &used, &damaged))
                return damaged ? BELAY_ERR_PROTOCOL : (long)used;
            cursor->slot++;
            cursor->at = cursor->prefix;
        }
        cursor->prefix = cursor->end;
        cursor->end = 0;
    }
    return (long)used;
}
