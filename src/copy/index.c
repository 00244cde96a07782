/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file index.c
 * From a key's hash to its slot: directory, page, home bucket and its neighbour.
 */
#include "copy/bucket.h"
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
    uint32_t *segment = at_address(c,
                                   address_of(&c->view, root->directory_segment[n - 1 + prefix / words], 0));
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

/* The two buckets that may hold a hash, home first; where() gives a slot's logical address. */
struct pair {
    const slot_word *home;
    uint64_t home_at;
};

static bool find_pair(const copy *c, uint64_t hash, struct pair *pair)
{
    uint64_t page_at = index_page(c, hash);
    if (page_at == NO_ADDRESS)
        return false;
    pair->home_at = page_at + hash_bucket(hash) * BUCKET_SIZE;
    pair->home = at_address(c, pair->home_at);
    return true;
}

static const slot_word *pair_bucket(const struct pair *pair, unsigned which)
{
    return which == 0 ? pair->home : neighbour_bucket(pair->home);
}

static uint64_t where(const struct pair *pair, unsigned which, unsigned i)
{
    return (pair->home_at ^ which * BUCKET_SIZE) + i * sizeof(slot_word);
}

const struct entry_header *index_find(const copy *c, uint64_t hash, const void *key, size_t key_length,
                                      struct index_place *place)
{
    struct pair pair;
    place->slot_at = NO_ADDRESS;
    place->slot = 0;
    if (!find_pair(c, hash, &pair))
        return NULL;
    for (unsigned which = 0; which < 2; ++which) {
        const slot_word *bucket = pair_bucket(&pair, which);
        for (unsigned match = bucket_match(bucket, hash_fingerprint(hash)); match; match &= match - 1) {
            unsigned i = (unsigned)__builtin_ctz(match);
            if (bucket[i] == 0 || !entry_has_key(c, slot_address(bucket[i]), key, key_length))
                continue;
            *place = (struct index_place){where(&pair, which, i), bucket[i]};
            return entry_at_address(c, slot_address(bucket[i]));
        }
    }
    return NULL;
}

uint64_t index_slot_of(const copy *c, uint64_t hash, uint64_t entry_at)
{
    struct pair pair;
    if (!find_pair(c, hash, &pair))
        return NO_ADDRESS;
    for (unsigned n = 0; n < 2 * SLOTS_PER_BUCKET; ++n) {
        unsigned which = n / SLOTS_PER_BUCKET, i = n % SLOTS_PER_BUCKET;
        slot_word slot = pair_bucket(&pair, which)[i];
        if (slot != 0 && slot_address(slot) == entry_at)
            return where(&pair, which, i);
    }
    return NO_ADDRESS;
}

uint64_t index_vacant(const copy *c, uint64_t hash)
{
    struct pair pair;
    if (!find_pair(c, hash, &pair))
        return NO_ADDRESS;
    for (unsigned n = 0; n < 2 * SLOTS_PER_BUCKET; ++n) {
        unsigned which = n / SLOTS_PER_BUCKET, i = n % SLOTS_PER_BUCKET;
        if (pair_bucket(&pair, which)[i] == 0 && !(c->newest && pending_uses_slot(c, where(&pair, which, i))))
            return where(&pair, which, i);
    }
    return NO_ADDRESS;
}
