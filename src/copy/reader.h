/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reader.h
 * Reading a copy without its owner: from mapped memory (own or a same-host peer's), or piece by piece from bytes that were
 * fetched over the fabric. All of it distrusts what it reads: addresses and lengths are bounded by the arena.
 *
 * Threads: any, no lock; the owner may change the copy at any time. No system call, no allocation.
 */
#ifndef BELAY_READER_H
#define BELAY_READER_H

#include "copy/arena.h"
#include "copy/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    READ_AGAIN = 1 /* still torn or recycled after a bounded number of tries: ask the primary */
};

/* A node's arena as seen from here. */
struct arena_view {
    const unsigned char *base; /* mapped region, or NULL if it is on another host */
    size_t size;               /* of the region */
    uint32_t segment_size, segments, segment_shift;
    uint64_t first_offset;
};

/* Make a view from a header that was read from the peer; checks every field. Errors: PROTOCOL. */
int arena_view_make(const void *base, size_t size, const struct arena_header *header,
                    struct arena_view *view);

/* A key being looked up. */
struct read_key {
    uint64_t hash;
    const void *data;
    size_t length;
};

struct read_result {
    uint64_t version;
    size_t value_length;
    uint64_t ends_at; /* of the entry, see layout.h; 0: never */
    unsigned retries; /* torn or recycled reads that were repeated */
};

/*
 * Get from mapped memory. @p buffer may be NULL with capacity 0 to learn length and version only.
 * @return BELAY_OK, NOT_FOUND, TRUNCATED (result set), READ_AGAIN, or PROTOCOL (the descriptor is not of this partition).
 */
int reader_get(const struct arena_view *view, const struct copy_descriptor *descriptor,
               const struct read_key *key, void *buffer, size_t capacity, struct read_result *result);

/*
 * Get from a mapped backup: what it has at the moment, which may be older than the newest value, or not shown by the primary
 * yet, but is whole. @return BELAY_OK, or READ_AGAIN: ask the primary.
 */
int reader_get_mirrored(const struct arena_view *view, const struct copy_descriptor *descriptor,
                        const struct read_key *key, void *buffer, size_t capacity,
                        struct read_result *result);

/*
 * The same in three steps, for gets that overlap: what a step needs, the one before has asked for, so the cache misses of many
 * keys are waited for at once. The home bucket may be NULL: the index has none yet.
 */
const slot_word *reader_prefetch_bucket(const struct arena_view *view,
                                        const struct copy_descriptor *descriptor, uint64_t hash);
void reader_prefetch_entry(const struct arena_view *view, const struct copy_descriptor *descriptor,
                           const slot_word *home, uint64_t hash);
/* Get from the home bucket found before. READ_AGAIN: it is not that simple, reader_get() has to look. */
int reader_get_ahead(const struct arena_view *view, const struct copy_descriptor *descriptor,
                     const slot_word *home, const struct read_key *key, void *buffer, size_t capacity,
                     struct read_result *result);

/* ---- From fetched bytes ---- */

/* Directory: which page holds @p hash. If the directory lies in segments, *reference_at is the logical address of the
 * reference (4 bytes) to fetch, and *page_at is not set. @return 1: page known, 0: reference to be fetched, <0: PROTOCOL */
int root_page(const struct copy_root *root, uint32_t segment_size, uint64_t hash, uint64_t *page_at,
              uint64_t *reference_at);

/* Logical address of the aligned pair of buckets (128 bytes) that may hold the hash. */
uint64_t bucket_pair_address(uint64_t page_at, uint64_t hash);

/* Slots in a fetched pair of buckets whose fingerprint matches. @return their number (at most 16). */
unsigned bucket_pair_match(const slot_word *pair, uint64_t hash, slot_word *matches, unsigned *positions);

/* Logical address -> offset in the owner's region, from a fetched descriptor. *contiguous: bytes from there to the end of
 * the physically contiguous run. A mapping beyond `direct` is to be fetched at *table_at (offset in the region, 4 bytes).
 * @return 1 known, 0 to be fetched, <0 not attached or out of bounds. */
int descriptor_translate(const struct arena_view *view, const struct copy_descriptor *descriptor,
                         uint64_t address, uint64_t *offset, size_t *contiguous, uint64_t *table_at);
/* The same, given the fetched table word. */
int table_translate(const struct arena_view *view, uint32_t table_word, uint64_t address, uint64_t *offset);

/* Is this header plausible for this slot and key at all (lengths bounded, kind a value)? */
bool entry_header_plausible(const struct entry_header *header, slot_word slot);

/* When an entry ends that was fetched whole and checked; 0: never. */
uint64_t entry_fetched_end(const struct entry_header *header);

/* An entry fetched whole (segment headers within it already left out): seal and key checked.
 * @return BELAY_OK, NOT_FOUND (another key with the same fingerprint), or READ_AGAIN (torn or recycled). */
int entry_check(const void *entry, size_t length, uint64_t entry_at, const struct read_key *key);

#endif
