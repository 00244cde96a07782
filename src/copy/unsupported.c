/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy/copy.h"
#include "copy/reader.h"

#define UNUSED5(a, b, c, d, e) (void)(a), (void)(b), (void)(c), (void)(d), (void)(e)

int copy_reserve(copy *c, const void *key, size_t key_length, size_t value_length, uint64_t *entry_at, uint64_t *value_at,
                 struct copy_change *change)
{
    UNUSED5(c, key, key_length, value_length, entry_at);
    UNUSED5(value_at, change, 0, 0, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}

void copy_fill(copy *c, uint64_t value_at, uint64_t from, const void *bytes, size_t length)
{
    UNUSED5(c, value_at, from, bytes, length);
}

int copy_commit(copy *c, uint64_t hash, const void *key, size_t key_length, uint64_t entry_at, struct copy_origin origin,
                struct copy_change *change)
{
    UNUSED5(c, hash, key, key_length, entry_at);
    UNUSED5(origin.client, change, 0, 0, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}

int copy_abandon(copy *c, uint64_t entry_at, struct copy_change *change)
{
    UNUSED5(c, entry_at, change, 0, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}

int copy_clear(copy *c, struct copy_origin origin, struct copy_change *change, bool *finished)
{
    UNUSED5(c, origin.client, change, finished, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}

bool copy_worth_cleaning(const copy *c, bool under_pressure)
{
    UNUSED5(c, under_pressure, 0, 0, 0);
    return false;
}

int copy_clean(copy *c, bool under_pressure, struct copy_change *change)
{
    UNUSED5(c, under_pressure, change, 0, 0);
    return COPY_NOTHING;
}

size_t copy_clean_bytes(const copy *c)
{
    (void)c;
    return 0;
}

int copy_rebuild(copy *c, uint64_t *repaired)
{
    UNUSED5(c, repaired, 0, 0, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}

int root_page(const struct copy_root *root, uint32_t segment_size, uint64_t hash, uint64_t *page_at, uint64_t *reference_at)
{
    UNUSED5(root, segment_size, hash, page_at, reference_at);
    return BELAY_ERR_NOT_SUPPORTED;
}

unsigned bucket_pair_match(const slot_word *pair, uint64_t hash, slot_word *matches, unsigned *positions)
{
    UNUSED5(pair, hash, matches, positions, 0);
    return 0;
}

int descriptor_translate(const struct arena_view *view, const struct copy_descriptor *descriptor, uint64_t address,
                         uint64_t *offset, size_t *contiguous, uint64_t *table_at)
{
    UNUSED5(view, descriptor, address, offset, contiguous);
    (void)table_at;
    return BELAY_ERR_NOT_SUPPORTED;
}

int table_translate(const struct arena_view *view, uint32_t table_word, uint64_t address, uint64_t *offset)
{
    UNUSED5(view, table_word, address, offset, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}

bool entry_header_plausible(const struct entry_header *header, slot_word slot)
{
    UNUSED5(header, slot, 0, 0, 0);
    return false;
}

int entry_check(const void *entry, size_t length, uint64_t entry_at, const struct read_key *key)
{
    UNUSED5(entry, length, entry_at, key, 0);
    return BELAY_ERR_NOT_SUPPORTED;
}
