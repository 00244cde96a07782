/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reader_fetched.c
 * Reading a copy from bytes that came over the fabric: each step says what to fetch next, or what the bytes mean.
 */
#include "copy/address.h"
#include "copy/reader.h"
#include "copy/seal.h"

#include <string.h>

/* ---- The page ---- */

static int page_of_reference(uint32_t reference, uint64_t *page_at)
{
    if (reference == 0)
        return BELAY_ERR_PROTOCOL;
    *page_at = page_reference_address(reference);
    return 1;
}

int root_page(const struct copy_root *root, uint32_t segment_size, uint64_t hash, uint64_t *page_at,
              uint64_t *reference_at)
{
    uint32_t depth = root->depth, segments = root->directory_segments,
             words = segment_size / sizeof(uint32_t);
    if (depth == 0 && segments == 0)
        return BELAY_ERR_NOT_FOUND;
    if (segments == 0)
        return depth == ROOT_DEPTH_INLINE
                   ? page_of_reference(root->directory[hash_prefix(hash, depth)], page_at)
                   : BELAY_ERR_PROTOCOL;
    if (depth > 26 || 2 * (uint64_t)segments - 1 > ROOT_DIRECTORY_SEGMENTS ||
        (uint64_t)segments * words != 1ull << depth)
        return BELAY_ERR_PROTOCOL;
    uint32_t prefix = hash_prefix(hash, depth);
    uint64_t logical = root->directory_segment[segments - 1 + prefix / words];
    *reference_at = logical * segment_size + prefix % words * sizeof(uint32_t);
    return 0;
}

uint64_t bucket_pair_address(uint64_t page_at, uint64_t hash)
{
    return page_at + (uint64_t)(hash_bucket(hash) & ~1u) * BUCKET_SIZE;
}

unsigned bucket_pair_match(const slot_word *pair, uint64_t hash, slot_word *matches, unsigned *positions)
{
    unsigned count = 0, home = (hash_bucket(hash) & 1) * SLOTS_PER_BUCKET;
    for (unsigned i = 0; i < 2 * SLOTS_PER_BUCKET; ++i) {
        unsigned position = i ^ home;
        if (pair[position] == 0 || slot_fingerprint(pair[position]) != hash_fingerprint(hash))
            continue;
        matches[count] = pair[position];
        positions[count++] = position;
    }
    return count;
}

/* ---- Addresses ---- */

int descriptor_translate(const struct arena_view *view, const struct copy_descriptor *descriptor,
                         uint64_t address, uint64_t *offset, size_t *contiguous, uint64_t *table_at)
{
    uint64_t segment = address >> view->segment_shift;
    if (segment >= TABLE_DIRECT) {
        *table_at = table_word_offset(view, descriptor, segment);
        return *table_at ? 0 : BELAY_ERR_PROTOCOL;
    }
    uint32_t word = atomic_load_explicit(&descriptor->direct[segment], memory_order_relaxed);
    uint64_t at = physical_offset(view, word);
    if (at == 0)
        return BELAY_ERR_PROTOCOL;
    size_t run = view->segment_size;
    for (uint32_t next = 1; segment + next < TABLE_DIRECT && word + next <= view->segments; ++next) {
        if (atomic_load_explicit(&descriptor->direct[segment + next], memory_order_relaxed) != word + next)
            break;
        run += view->segment_size;
    }
    *offset = at + offset_of(view, address);
    *contiguous = run - offset_of(view, address);
    return 1;
}

int table_translate(const struct arena_view *view, uint32_t table_word, uint64_t address, uint64_t *offset)
{
    uint64_t at = physical_offset(view, table_word);
    if (at == 0)
        return BELAY_ERR_PROTOCOL;
    *offset = at + offset_of(view, address);
    return 1;
}

/* ---- The entry ---- */

bool entry_header_plausible(const struct entry_header *header, slot_word slot)
{
    size_t length = entry_length(header);
    return header->kind == ENTRY_VALUE && header->version != 0 && header->key_length >= 1 &&
           header->key_length <= BELAY_KEY_MAX && header->value_length <= BELAY_VALUE_MAX &&
           length <= slot_length_bound(slot);
}

uint64_t entry_fetched_end(const struct entry_header *header)
{
    uint64_t ends_at = 0;
    if (header->flags & ENTRY_ENDS)
        memcpy(&ends_at, (const unsigned char *)header + entry_length(header) - ENTRY_END_BYTES,
               sizeof ends_at);
    return ends_at;
}

int entry_check(const void *entry, size_t length, uint64_t entry_at, const struct read_key *key)
{
    struct entry_header header;
    if (length < sizeof header)
        return READ_AGAIN;
    memcpy(&header, entry, sizeof header);
    size_t needed = entry_length(&header);
    if (header.kind != ENTRY_VALUE || !(header.flags & ENTRY_SEALED_WHOLE) || header.version == 0 ||
        needed > length)
        return READ_AGAIN;
    const unsigned char *bytes = entry;
    uint64_t hash = XXH3_64bits(bytes + SEAL_FROM, seal_length(&header));
    if (seal_finish(hash, header.version, entry_at) != header.seal)
        return READ_AGAIN;
    bool same_key = header.key_length == key->length &&
                    memcmp(bytes + sizeof header, key->data, key->length) == 0;
    return same_key ? BELAY_OK : BELAY_ERR_NOT_FOUND;
}
