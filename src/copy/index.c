/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file index.c
 * From a key's hash to its slot: directory, page, home bucket and its neighbour.
 */
#include "copy/copy_private.h"

uint32_t page_reference(uint64_t page_at)
{
    return (uint32_t)(page_at / PAGE_SIZE_BYTES) + 1;
}

uint32_t index_depth(const copy *c)
{
    return c->descriptor->root.depth;
}

uint32_t *index_reference(const copy *c, uint32_t prefix)
{
    struct copy_root *root = &c->descriptor->root;
    uint32_t n = root->directory_segments;
    if (n == 0)
        return &root->directory[prefix];
    uint32_t words = table_words(&c->view);
    uint32_t *segment = at_address(c, address_of(&c->view, root->directory_segment[n - 1 + prefix / words], 0));
    return &segment[prefix % words];
}

uint64_t index_page(const copy *c, uint64_t hash)
{
    if (index_depth(c) == 0)
        return NO_ADDRESS;
    return page_reference_address(*index_reference(c, hash_prefix(hash, index_depth(c))));
}

bool index_next_page(const copy *c, uint32_t *prefix, uint64_t *page_at)
{
    uint32_t depth = index_depth(c), end = depth ? 1u << depth : 0;
    if (*prefix >= end)
        return false;
    uint32_t reference = *index_reference(c, *prefix);
    do
        ++*prefix;
    while (*prefix < end && *index_reference(c, *prefix) == reference);
    *page_at = page_reference_address(reference);
    return true;
}

/* Slots of a pair, home bucket first. */
static uint64_t pair_slot(uint64_t pair_at, uint64_t hash, unsigned i)
{
    unsigned bucket = (hash_bucket(hash) & 1) ^ i / SLOTS_PER_BUCKET;
    return pair_at + bucket * BUCKET_SIZE + i % SLOTS_PER_BUCKET * sizeof(slot_word);
}

const struct entry_header *index_find(const copy *c, uint64_t hash, const void *key, size_t key_length,
                                      struct index_place *place)
{
    place->slot_at = NO_ADDRESS;
    place->slot = 0;
    uint64_t page_at = index_page(c, hash);
    if (page_at == NO_ADDRESS)
        return NULL;
    uint64_t pair_at = bucket_pair_address(page_at, hash);
    for (unsigned i = 0; i < 2 * SLOTS_PER_BUCKET; ++i) {
        uint64_t slot_at = pair_slot(pair_at, hash, i);
        slot_word slot = *slot_memory(c, slot_at);
        if (slot == 0 || slot_fingerprint(slot) != hash_fingerprint(hash) ||
            !entry_has_key(c, slot_address(slot), key, key_length))
            continue;
        *place = (struct index_place){slot_at, slot};
        return entry_at_address(c, slot_address(slot));
    }
    return NULL;
}

uint64_t index_slot_of(const copy *c, uint64_t hash, uint64_t entry_at)
{
    uint64_t page_at = index_page(c, hash);
    if (page_at == NO_ADDRESS)
        return NO_ADDRESS;
    uint64_t pair_at = bucket_pair_address(page_at, hash);
    for (unsigned i = 0; i < 2 * SLOTS_PER_BUCKET; ++i) {
        slot_word slot = *slot_memory(c, pair_slot(pair_at, hash, i));
        if (slot != 0 && slot_address(slot) == entry_at)
            return pair_slot(pair_at, hash, i);
    }
    return NO_ADDRESS;
}

uint64_t index_vacant(const copy *c, uint64_t hash)
{
    uint64_t page_at = index_page(c, hash);
    if (page_at == NO_ADDRESS)
        return NO_ADDRESS;
    uint64_t pair_at = bucket_pair_address(page_at, hash);
    for (unsigned i = 0; i < 2 * SLOTS_PER_BUCKET; ++i) {
        uint64_t slot_at = pair_slot(pair_at, hash, i);
        if (*slot_memory(c, slot_at) == 0 && !(c->newest && pending_uses_slot(c, slot_at)))
            return slot_at;
    }
    return NO_ADDRESS;
}
