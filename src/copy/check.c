/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file check.c
 * Proof: digests for the comparison of copies, and a check of all that the index says.
 */
#include "copy/copy_private.h"
#include "copy/seal.h"

uint64_t copy_digest(const copy *c, uint32_t logical)
{
    if (logical == UINT32_MAX)
        return XXH3_64bits(&c->descriptor->root, sizeof c->descriptor->root);
    const void *memory = at_address(c, address_of(&c->view, logical, 0));
    return memory ? XXH3_64bits(memory, c->view.segment_size) : 0;
}

/* A header that may be believed, or NULL. */
const struct entry_header *check_entry(const copy *c, uint64_t entry_at)
{
    const struct entry_header *header = at_address(c, entry_at);
    if (!header || piece_at(&c->view, entry_at) < ENTRY_HEADER || offset_of(&c->view, entry_at) < LOG_FIRST)
        return NULL;
    const struct segment_header *segment = at_address(
        c, address_of(&c->view, segment_of(&c->view, entry_at), 0));
    if (segment->magic != SEGMENT_LOG_MAGIC || !entry_fits(&c->view, c->descriptor, entry_at, header) ||
        header->version == 0)
        return NULL;
    return header->seal == entry_seal(&c->view, c->descriptor, entry_at, header) ? header : NULL;
}

bool check_whole(const copy *c, uint64_t entry_at)
{
    const struct entry_header *header = entry_at_address(c, entry_at);
    return (header->kind == ENTRY_VALUE &&
            index_slot_of(c, entry_hash(c, entry_at), entry_at) != NO_ADDRESS) ||
           check_entry(c, entry_at);
}

/* Is the slot where its entry's key belongs, and does it say the truth about it? */
static bool slot_is_sound(const copy *c, uint64_t page_at, unsigned position, slot_word slot)
{
    uint64_t entry_at = slot_address(slot);
    const struct entry_header *header = check_entry(c, entry_at);
    if (!header || header->kind != ENTRY_VALUE)
        return false;
    uint64_t hash = entry_hash(c, entry_at);
    slot_word expected = slot_make(hash, entry_at, entry_bytes(header), slot_tag(slot));
    return slot == expected && index_page(c, hash) == page_at &&
           position / SLOTS_PER_BUCKET / 2 == hash_bucket(hash) / 2;
}

void copy_check(const copy *c, struct copy_check *check)
{
    *check = (struct copy_check){0};
    uint32_t prefix = 0;
    uint64_t page_at;
    while (index_next_page(c, &prefix, &page_at)) {
        const slot_word *page = at_address(c, page_at);
        for (unsigned i = 0; i < PAGE_SLOTS; ++i) {
            if (page[i] == 0)
                continue;
            if (slot_is_sound(c, page_at, i, page[i]))
                check->entries++;
            else
                check->damaged++;
        }
    }
}
