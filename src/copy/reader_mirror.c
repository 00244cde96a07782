/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reader_mirror.c
 * Reading a backup's copy from mapped memory, for whom something slightly old will do. Who writes there is the primary's NIC, which
 * keeps to no order within a write, so nothing counts but the seal, computed over what was copied. What is not simple (an
 * entry over several segments, a buffer that is too short, nothing found: the index may be half-way through a split) is left
 * to a read of the primary.
 */
#include "copy/address.h"
#include "copy/bucket.h"
#include "copy/reader.h"
#include "copy/seal.h"

struct mirror_reading {
    const struct arena_view *view;
    const struct copy_descriptor *descriptor;
    const struct read_key *key;
    unsigned char *buffer;
    size_t capacity;
    struct read_result *result;
};

/* The seal of header, key, the copied value and end. */
static bool is_sealed(const struct mirror_reading *reading, const struct entry_header *header,
                      uint64_t ends_at, uint64_t entry_at)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, (const unsigned char *)header + SEAL_FROM, sizeof *header - SEAL_FROM);
    XXH3_64bits_update(&state, reading->key->data, reading->key->length);
    if (header->value_length > 0)
        XXH3_64bits_update(&state, reading->buffer, header->value_length);
    if (header->flags & ENTRY_ENDS)
        XXH3_64bits_update(&state, &ends_at, ENTRY_END_BYTES);
    return seal_finish(XXH3_64bits_digest(&state), header->version, entry_at) == header->seal;
}

static bool get_entry(const struct mirror_reading *reading, slot_word slot)
{
    uint64_t entry_at = slot_address(slot);
    const unsigned char *memory = memory_at(reading->view, reading->descriptor, entry_at);
    size_t piece = piece_at(reading->view, entry_at);
    struct entry_header header;
    if (!memory || piece < sizeof header)
        return false;
    racy_copy(&header, memory, sizeof header);
    size_t length = entry_length(&header);
    uint64_t ends_at = 0;
    if (!entry_header_plausible(&header, slot) || !(header.flags & ENTRY_SEALED_WHOLE) || length > piece ||
        header.value_length > reading->capacity || header.key_length != reading->key->length ||
        !racy_equal(memory + sizeof header, reading->key->data, header.key_length))
        return false;
    if (header.value_length > 0)
        racy_copy(reading->buffer, memory + sizeof header + header.key_length, header.value_length);
    if (header.flags & ENTRY_ENDS)
        racy_copy(&ends_at, memory + length - ENTRY_END_BYTES, sizeof ends_at);
    if (!is_sealed(reading, &header, ends_at, entry_at))
        return false;
    reading->result->version = header.version;
    reading->result->value_length = header.value_length;
    reading->result->ends_at = ends_at;
    return true;
}

static bool get_in_bucket(const struct mirror_reading *reading, const slot_word *bucket)
{
    uint16_t fingerprint = hash_fingerprint(reading->key->hash);
    for (unsigned match = bucket_match(bucket, fingerprint); match; match &= match - 1) {
        slot_word slot = load64_acquire(&bucket[__builtin_ctz(match)]);
        if (slot != 0 && slot_fingerprint(slot) == fingerprint && get_entry(reading, slot))
            return true;
    }
    return false;
}

static bool is_mirror(const struct copy_descriptor *descriptor)
{
    return atomic_load_explicit(&descriptor->serving, memory_order_acquire) == COPY_MIRRORS;
}

int reader_get_mirrored(const struct arena_view *view, const struct copy_descriptor *descriptor,
                        const struct read_key *key, void *buffer, size_t capacity, struct read_result *result)
{
    struct mirror_reading reading = {view, descriptor, key, buffer, capacity, result};
    if (!is_mirror(descriptor))
        return READ_AGAIN;
    const slot_word *home = reader_prefetch_bucket(view, descriptor, key->hash);
    if (!home || !(get_in_bucket(&reading, home) || get_in_bucket(&reading, neighbour_bucket(home))))
        return READ_AGAIN;
    racy_end();
    return is_mirror(descriptor) ? BELAY_OK
                                 : READ_AGAIN; /* or another copy may have got the memory meanwhile */
}
