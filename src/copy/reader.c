/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reader.c
 * Reading a copy in mapped memory while its owner changes it. The protocol is described in layout.h, its fences in
 * racy.h. Of a get, two lines are usually not in the cache: the bucket and the entry. Everything else is kept off their
 * way: few branches, and the entry's further lines are asked for together with its first.
 */
#include "copy/reader.h"

#include "base/log.h"
#include "base/spin.h"
#include "copy/address.h"
#include "copy/bucket.h"

#include <string.h>

enum {
    READ_TRIES = 32,
    CACHE_LINE = 64,
    OTHER_KEY = 2 /* beside READ_AGAIN: the slot is of another key with the same fingerprint */
};

int arena_view_make(const void *base, size_t size, const struct arena_header *header, struct arena_view *view)
{
    uint64_t magic = load64_acquire(&header->magic), first_offset = load64(&header->first_offset);
    uint32_t segment_size = load32(&header->segment_size), segments = load32(&header->segments);
    bool power_of_two = segment_size >= PAGE_SIZE_BYTES && (segment_size & (segment_size - 1)) == 0;
    if (magic != ARENA_MAGIC || !power_of_two || segments == 0 || (uintptr_t)base % PAGE_SIZE_BYTES != 0 ||
        first_offset < sizeof *header || first_offset % segment_size != 0 || first_offset > size ||
        (size - first_offset) / segment_size < segments)
        return log_error(BELAY_ERR_PROTOCOL,
                         "a region of %zu bytes does not hold the arena that its header describes", size);
    *view = (struct arena_view){.base = base,
                                .size = size,
                                .segment_size = segment_size,
                                .segments = segments,
                                .segment_shift = (uint32_t)__builtin_ctz(segment_size),
                                .first_offset = first_offset};
    return BELAY_OK;
}

/* ---- The bucket ---- */

/* The reference to the page of a hash, or 0: none, or the root makes no sense at the moment. */
static inline uint32_t page_reference_of(const struct arena_view *view,
                                         const struct copy_descriptor *descriptor, uint64_t hash)
{
    const struct copy_root *root = &descriptor->root;
    uint64_t size_word = load64(&root->depth);
    uint32_t depth = (uint32_t)size_word, segments = (uint32_t)(size_word >> 32);
    if (__builtin_expect(segments == 0, 1))
        return depth == ROOT_DEPTH_INLINE ? load32(&root->directory[hash_prefix(hash, ROOT_DEPTH_INLINE)])
                                          : 0;
    if (depth > 26 || 2 * (uint64_t)segments - 1 > ROOT_DIRECTORY_SEGMENTS ||
        (uint64_t)segments * table_words(view) != 1ull << depth)
        return 0;
    uint32_t prefix = hash_prefix(hash, depth), words = table_words(view);
    uint32_t logical = load32(&root->directory_segment[segments - 1 + prefix / words]);
    const unsigned char *memory = memory_at(view, descriptor, (uint64_t)logical << view->segment_shift);
    return memory ? load32(memory + prefix % words * sizeof(uint32_t)) : 0;
}

/* The home bucket of a hash, or NULL. */
static inline const slot_word *home_bucket(const struct arena_view *view,
                                           const struct copy_descriptor *descriptor, uint64_t hash)
{
    uint32_t reference = page_reference_of(view, descriptor, hash);
    if (__builtin_expect(reference == 0, 0))
        return NULL;
    const unsigned char *page = memory_at(view, descriptor, page_reference_address(reference));
    return page ? (const slot_word *)(const void *)(page + hash_bucket(hash) * BUCKET_SIZE) : NULL;
}

/* ---- The entry ---- */

struct reading {
    const struct arena_view *view;
    const struct copy_descriptor *descriptor;
    const struct read_key *key;
    void *buffer;
    size_t capacity;
    struct read_result *result;
};

/* The lines of an entry behind the first; beyond a few the hardware follows. An entry may begin anywhere in its first
 * line, so its last one is named by its last byte; no branch depends on where that is. */
static inline void prefetch_further_lines(const unsigned char *memory, size_t bound)
{
    if (bound <= CACHE_LINE) {
        __builtin_prefetch(memory + bound - 1);
        return;
    }
    __builtin_prefetch(memory + CACHE_LINE);
    if (bound > 2 * CACHE_LINE)
        __builtin_prefetch(memory + 2 * CACHE_LINE);
    __builtin_prefetch(memory + (bound < 4 * CACHE_LINE ? bound - 1 : 3 * CACHE_LINE));
}

static inline bool short_equal(const unsigned char *a, const unsigned char *b, size_t length)
{
#ifndef BELAY_TSAN
    if (length >= 8 && length <= 16) {
        uint64_t first[2], last[2];
        memcpy(&first[0], a, 8);
        memcpy(&first[1], b, 8);
        memcpy(&last[0], a + length - 8, 8);
        memcpy(&last[1], b + length - 8, 8);
        return ((first[0] ^ first[1]) | (last[0] ^ last[1])) == 0;
    }
#endif
    return racy_equal(a, b, length);
}

static inline void short_copy(unsigned char *to, const unsigned char *from, size_t length)
{
    if (length == 64)
        racy_copy(to, from, 64);
    else if (length > 0)
        racy_copy(to, from, length);
}

/* Compare with, or copy, the bytes of an entry behind @p at. @return false: they differ, or lie outside the copy. */
static bool walk_pieces(const struct reading *reading, uint64_t at, const unsigned char *equal_to,
                        unsigned char *copy_to, size_t length)
{
    while (length > 0) {
        size_t piece = piece_at(reading->view, at) < length ? piece_at(reading->view, at) : length;
        const unsigned char *memory = memory_at(reading->view, reading->descriptor, at);
        if (!memory)
            return false;
        if (equal_to) {
            if (!racy_equal(equal_to, memory, piece))
                return false;
            equal_to += piece;
        } else {
            racy_copy(copy_to, memory, piece);
            copy_to += piece;
        }
        length -= piece;
        at = next_piece(reading->view, at);
    }
    return true;
}

/* An entry that goes on in other segments. @return as get_entry(), before anything is checked again. */
static __attribute__((noinline)) int read_pieces(const struct reading *reading, uint64_t entry_at,
                                                 size_t value_length)
{
    const struct read_key *key = reading->key;
    uint64_t key_at = log_advance(entry_at, sizeof(struct entry_header), reading->view->segment_size);
    if (!walk_pieces(reading, key_at, key->data, NULL, key->length))
        return OTHER_KEY;
    if (value_length > reading->capacity)
        return BELAY_ERR_TRUNCATED;
    if (value_length == 0)
        return BELAY_OK;
    uint64_t value_at = log_advance(entry_at, sizeof(struct entry_header) + key->length,
                                    reading->view->segment_size);
    return walk_pieces(reading, value_at, NULL, reading->buffer, value_length) ? BELAY_OK : READ_AGAIN;
}

static inline int read_in_one(const struct reading *reading, const unsigned char *key_memory,
                              size_t value_length)
{
    const struct read_key *key = reading->key;
    if (!short_equal(key_memory, key->data, key->length))
        return OTHER_KEY;
    if (value_length > reading->capacity)
        return BELAY_ERR_TRUNCATED;
    short_copy(reading->buffer, key_memory + key->length, value_length);
    return BELAY_OK;
}

/* When the entry ends, of which this is so. */
static __attribute__((noinline)) uint64_t read_end(const struct reading *reading, uint64_t entry_at,
                                                   size_t length)
{
    uint64_t at = log_advance(entry_at, length - ENTRY_END_BYTES, reading->view->segment_size), ends_at = 0;
    walk_pieces(reading, at, NULL, (unsigned char *)&ends_at, sizeof ends_at);
    return ends_at;
}

/* @return BELAY_OK, TRUNCATED, OTHER_KEY, or READ_AGAIN. */
static inline int get_entry(const struct reading *reading, const slot_word *slot_memory, slot_word slot)
{
    uint64_t entry_at = slot_address(slot);
    const struct entry_header *memory = memory_at(reading->view, reading->descriptor, entry_at);
    size_t piece = piece_at(reading->view, entry_at), bound = slot_length_bound(slot);
    if (__builtin_expect(!memory || piece < sizeof *memory, 0))
        return READ_AGAIN;
    prefetch_further_lines((const unsigned char *)memory, bound);

    uint64_t version = load64_acquire(&memory->version);
    struct entry_header header;
    racy_copy(&header.value_length, &memory->value_length, 8);
    size_t length = entry_length(&header);
    int result;
    if (header.key_length != reading->key->length)
        result = OTHER_KEY;
    else if (header.kind != ENTRY_VALUE || length > bound)
        result = READ_AGAIN;
    else if (__builtin_expect(length <= piece, 1))
        result = read_in_one(reading, (const unsigned char *)(memory + 1), header.value_length);
    else
        result = read_pieces(reading, entry_at, header.value_length);
    if (__builtin_expect(header.flags & ENTRY_ENDS, 0) && result <= 0)
        reading->result->ends_at = read_end(reading, entry_at, length);

    racy_end();
    if (load64(slot_memory) != slot || load64(&memory->version) != version)
        return READ_AGAIN;
    reading->result->version = version;
    reading->result->value_length = header.value_length;
    return result;
}

/* ---- A get ---- */

/* The slots with the key's fingerprint in a bucket. @return as get_entry(). */
static inline int get_in_bucket(const struct reading *reading, const slot_word *bucket)
{
    uint16_t fingerprint = hash_fingerprint(reading->key->hash);
    for (unsigned match = bucket_match(bucket, fingerprint); match; match &= match - 1) {
        const slot_word *memory = &bucket[__builtin_ctz(match)];
        slot_word slot = load64_acquire(memory);
        if (slot == 0 || slot_fingerprint(slot) != fingerprint)
            continue; /* an empty slot, or removed since */
        int result = get_entry(reading, memory, slot);
        if (result != OTHER_KEY)
            return result;
    }
    return OTHER_KEY;
}

static inline int get_once(const struct reading *reading)
{
    const struct copy_root *root = &reading->descriptor->root;
    uint64_t generation = atomic_load_explicit(&root->generation, memory_order_acquire);
    const slot_word *home = home_bucket(reading->view, reading->descriptor, reading->key->hash);
    if (home) {
        int result = get_in_bucket(reading, home);
        if (__builtin_expect(result != OTHER_KEY, 1))
            return result;
        result = get_in_bucket(reading, neighbour_bucket(home));
        if (result != OTHER_KEY)
            return result;
    } else if (load32(&root->depth) != 0) {
        return READ_AGAIN;
    }
    racy_end();
    bool same = atomic_load_explicit(&root->generation, memory_order_relaxed) == generation;
    return same && generation % 2 == 0 ? BELAY_ERR_NOT_FOUND : READ_AGAIN;
}

static bool descriptor_lies_in(const struct arena_view *view, const struct copy_descriptor *descriptor)
{
    uintptr_t at = (uintptr_t)descriptor - (uintptr_t)view->base;
    return view->base && at % 8 == 0 && at < view->size && view->size - at >= sizeof *descriptor;
}

int reader_get(const struct arena_view *view, const struct copy_descriptor *descriptor,
               const struct read_key *key, void *buffer, size_t capacity, struct read_result *result)
{
    struct read_result read = {0};
    struct reading reading = {view, descriptor, key, buffer, capacity, &read};
    if (__builtin_expect(!descriptor_lies_in(view, descriptor), 0))
        return log_quiet(BELAY_ERR_PROTOCOL, "a copy's descriptor lies outside of its region");
    if (__builtin_expect(atomic_load_explicit(&descriptor->serving, memory_order_acquire) != COPY_SERVES,
                         0)) {
        result->retries = 0;
        return READ_AGAIN;
    }
    for (unsigned tries = 0; tries < READ_TRIES; ++tries) {
        int done = get_once(&reading);
        if (__builtin_expect(done != READ_AGAIN, 1)) {
            result->version = read.version;
            result->value_length = read.value_length;
            result->ends_at = read.ends_at;
            result->retries = tries;
            return done;
        }
        read.ends_at = 0;
        for (unsigned pause = 0; pause < tries; ++pause)
            spin_pause();
    }
    result->retries = READ_TRIES;
    return READ_AGAIN;
}

/* ---- Ahead of a get ---- */

const slot_word *reader_prefetch_bucket(const struct arena_view *view,
                                        const struct copy_descriptor *descriptor, uint64_t hash)
{
    const slot_word *home = home_bucket(view, descriptor, hash);
    if (home)
        __builtin_prefetch(home);
    return home;
}

void reader_prefetch_entry(const struct arena_view *view, const struct copy_descriptor *descriptor,
                           const slot_word *home, uint64_t hash)
{
    uint16_t fingerprint = hash_fingerprint(hash);
    unsigned match = home ? bucket_match(home, fingerprint) : 0;
    if (home && !match) {
        home = neighbour_bucket(home);
        match = bucket_match(home, fingerprint);
    }
    slot_word slot = match ? load64(&home[__builtin_ctz(match)]) : 0;
    if (slot == 0)
        return;
    const unsigned char *memory = memory_at(view, descriptor, slot_address(slot));
    if (!memory)
        return;
    __builtin_prefetch(memory);
    prefetch_further_lines(memory, slot_length_bound(slot));
}

/* A slot found in a page that has been split since is 0 by now, or still right: nothing else is ever written there. */
int reader_get_ahead(const struct arena_view *view, const struct copy_descriptor *descriptor,
                     const slot_word *home, const struct read_key *key, void *buffer, size_t capacity,
                     struct read_result *result)
{
    struct reading reading = {view, descriptor, key, buffer, capacity, result};
    bool serving = atomic_load_explicit(&descriptor->serving, memory_order_acquire) == COPY_SERVES;
    result->ends_at = 0;
    int done = home && serving ? get_in_bucket(&reading, home) : READ_AGAIN;
    if (done == OTHER_KEY)
        done = get_in_bucket(&reading, neighbour_bucket(home));
    result->retries = 0;
    return done == OTHER_KEY ? READ_AGAIN : done;
}
