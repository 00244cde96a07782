/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file entry.c
 * Writing and reading an entry in the log, piece by piece where it goes on in the next segment.
 */
#include "copy/copy_private.h"
#include "copy/seal.h"

#include <string.h>

size_t entry_size(size_t key_length, size_t value_length)
{
    return (ENTRY_HEADER + key_length + value_length + 7) & ~(size_t)7;
}

size_t copy_entry_size(size_t key_length, size_t value_length, bool ends)
{
    return entry_size(key_length, value_length + (ends ? ENTRY_END_BYTES : 0));
}

/* The smallest class whose slot_length_bound() is enough. */
static unsigned length_class(size_t bytes)
{
    size_t units = (bytes + 7) / 8;
    if (units < 16)
        return (unsigned)units;
    unsigned exponent = (unsigned)(63 - __builtin_clzll(units - 1)) - 3;
    return 8 * exponent + (unsigned)((units - 1) >> exponent) + 1;
}

slot_word slot_make(uint64_t hash, uint64_t entry_at, size_t bytes, unsigned tag)
{
    return (slot_word)hash_fingerprint(hash) | entry_at / 8 << 16 | (slot_word)length_class(bytes) << 52 |
           (slot_word)(tag & 15) << 60;
}

/* ---- Bytes ---- */

void entry_read(const copy *c, uint64_t entry_at, uint64_t from, void *to, size_t length)
{
    uint64_t at = log_advance(entry_at, from, c->view.segment_size);
    unsigned char *bytes = to;
    while (length > 0) {
        size_t piece = piece_at(&c->view, at) < length ? piece_at(&c->view, at) : length;
        memcpy(bytes, at_address(c, at), piece);
        bytes += piece;
        length -= piece;
        at = next_piece(&c->view, at);
    }
}

void entry_fill(const copy *c, uint64_t entry_at, uint64_t from, const void *bytes, size_t length)
{
    uint64_t at = log_advance(entry_at, from, c->view.segment_size);
    const unsigned char *source = bytes;
    while (length > 0) {
        size_t piece = piece_at(&c->view, at) < length ? piece_at(&c->view, at) : length;
        racy_copy(at_address(c, at), source, piece);
        source += piece;
        length -= piece;
        at = next_piece(&c->view, at);
    }
}

void copy_value(const copy *c, const struct copy_found *found, uint64_t from, void *buffer, size_t length)
{
    const struct entry_header *header = entry_at_address(c, found->entry_at);
    entry_read(c, found->entry_at, ENTRY_HEADER + header->key_length + from, buffer, length);
}

uint64_t entry_ends_at(const copy *c, uint64_t entry_at)
{
    const struct entry_header *header = entry_at_address(c, entry_at);
    uint64_t ends_at = 0;
    if (header->flags & ENTRY_ENDS)
        entry_read(c, entry_at, entry_length(header) - ENTRY_END_BYTES, &ends_at, sizeof ends_at);
    return ends_at;
}

void copy_written(const copy *c, uint64_t entry_at, struct copy_written *written)
{
    const struct entry_header *header = entry_at_address(c, entry_at);
    *written = (struct copy_written){.version = header->version,
                                     .entry_at = entry_at,
                                     .value_length = header->value_length,
                                     .key_length = header->key_length,
                                     .removes = header->kind == ENTRY_REMOVE};
}

void copy_entry_bytes(const copy *c, const struct copy_written *written, void *buffer, size_t length)
{
    entry_read(c, written->entry_at, ENTRY_HEADER, buffer, length);
}

/* ---- Keys ---- */

bool entry_has_key(const copy *c, uint64_t entry_at, const void *key, size_t key_length)
{
    const struct entry_header *header = entry_at_address(c, entry_at);
    if (header->key_length != key_length)
        return false;
    size_t piece = piece_at(&c->view, entry_at) - ENTRY_HEADER;
    if (key_length <= piece)
        return memcmp(header + 1, key, key_length) == 0;
    unsigned char stored[BELAY_KEY_MAX];
    entry_read(c, entry_at, ENTRY_HEADER, stored, key_length);
    return memcmp(stored, key, key_length) == 0;
}

uint64_t entry_hash(const copy *c, uint64_t entry_at)
{
    const struct entry_header *header = entry_at_address(c, entry_at);
    if (header->key_length <= piece_at(&c->view, entry_at) - ENTRY_HEADER)
        return XXH3_64bits(header + 1, header->key_length);
    unsigned char key[BELAY_KEY_MAX];
    entry_read(c, entry_at, ENTRY_HEADER, key, header->key_length);
    return XXH3_64bits(key, header->key_length);
}

/* ---- Seal ---- */

/* XXH3 over the pieces of an entry. */
static uint64_t hash_pieces(const struct arena_view *view, const struct copy_descriptor *descriptor,
                            uint64_t at, size_t length)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    while (length > 0) {
        size_t piece = piece_at(view, at) < length ? piece_at(view, at) : length;
        const void *memory = memory_at(view, descriptor, at);
        if (!memory)
            return 0;
        XXH3_64bits_update(&state, memory, piece);
        length -= piece;
        at = next_piece(view, at);
    }
    return XXH3_64bits_digest(&state);
}

uint64_t entry_seal(const struct arena_view *view, const struct copy_descriptor *descriptor,
                    uint64_t entry_at, const struct entry_header *header)
{
    size_t length = seal_length(header);
    uint64_t at = entry_at + SEAL_FROM;
    uint64_t hash;
    if (length <= piece_at(view, at)) {
        const void *memory = memory_at(view, descriptor, at);
        if (!memory)
            return 0;
        hash = XXH3_64bits(memory, length);
    } else {
        hash = hash_pieces(view, descriptor, at, length);
    }
    return seal_finish(hash, header->version, entry_at);
}

void entry_begin(const copy *c, uint64_t entry_at, const struct entry_header *header)
{
    struct entry_header *memory = at_address(c, entry_at);
    racy_begin();
    store64(&memory->version, header->version);
    racy_begin();
    racy_copy(&memory->value_length, &header->value_length, ENTRY_HEADER - SEAL_FROM);
}

void entry_end(const copy *c, uint64_t entry_at)
{
    struct entry_header *memory = at_address(c, entry_at);
    store64(&memory->seal, entry_seal(&c->view, c->descriptor, entry_at, memory));
}

void entry_write(const copy *c, uint64_t entry_at, const struct entry_draft *draft)
{
    struct entry_header header = {.version = draft->version,
                                  .value_length = draft->value_length,
                                  .key_length = draft->key_length,
                                  .kind = draft->kind,
                                  .flags = draft->ends ? ENTRY_ENDS : 0,
                                  .client = draft->origin.client,
                                  .number = draft->origin.number};
    bool whole = c->seal_whole || entry_bytes(&header) <= SEAL_WHOLE_BYTES;
    if (whole && draft->kind != ENTRY_RESERVED && draft->kind != ENTRY_DEAD)
        header.flags |= ENTRY_SEALED_WHOLE;
    entry_begin(c, entry_at, &header);
    entry_fill(c, entry_at, ENTRY_HEADER, draft->key, draft->key_length);
    if (draft->value)
        entry_fill(c, entry_at, ENTRY_HEADER + draft->key_length, draft->value, draft->value_length);
    if (draft->ends)
        entry_fill(c, entry_at, ENTRY_HEADER + draft->key_length + (size_t)draft->value_length,
                   &draft->ends_at, ENTRY_END_BYTES);
    entry_end(c, entry_at);
}

void entry_move(const copy *c, uint64_t from_at, uint64_t to_at)
{
    struct entry_header header = *entry_at_address(c, from_at);
    header.flags |= ENTRY_MOVED;
    entry_begin(c, to_at, &header);
    size_t end = entry_length(&header);
    for (size_t at = ENTRY_HEADER, piece; at < end; at += piece) {
        uint64_t from = log_advance(from_at, at, c->view.segment_size);
        piece = piece_at(&c->view, from) < end - at ? piece_at(&c->view, from) : end - at;
        entry_fill(c, to_at, at, at_address(c, from), piece);
    }
    entry_end(c, to_at);
}

/* ---- Plausibility ---- */

static bool lengths_fit(const struct entry_header *header)
{
    switch (header->kind) {
    case ENTRY_VALUE:
    case ENTRY_RESERVED:
    case ENTRY_DEAD:
        return header->key_length >= 1 && header->key_length <= BELAY_KEY_MAX &&
               header->value_length <= BELAY_VALUE_MAX;
    case ENTRY_REMOVE:
        return header->key_length >= 1 && header->key_length <= BELAY_KEY_MAX && header->value_length == 0;
    case ENTRY_CLEAR: return header->key_length == 0 && header->value_length == 0;
    case ENTRY_RESULT: return header->key_length == 0 && header->value_length <= BELAY_INVOKE_RESULT_MAX;
    default: return false;
    }
}

bool entry_fits(const struct arena_view *view, const struct copy_descriptor *descriptor, uint64_t entry_at,
                const struct entry_header *header)
{
    if (!lengths_fit(header))
        return false;
    size_t bytes = entry_bytes(header), piece = piece_at(view, entry_at);
    const struct segment_header *before = memory_at(view, descriptor,
                                                    address_of(view, segment_of(view, entry_at), 0));
    while (bytes > piece) {
        bytes -= piece;
        entry_at = next_piece(view, entry_at);
        piece = piece_at(view, entry_at);
        const struct segment_header *segment = memory_at(view, descriptor,
                                                         address_of(view, segment_of(view, entry_at), 0));
        if (!before || !segment || segment->magic != SEGMENT_LOG_MAGIC ||
            segment->sequence != before->sequence + 1)
            return false;
        before = segment;
    }
    return true;
}
