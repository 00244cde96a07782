/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file clear.c
 * Removal of everything, a few pages at a time. An entry of its own says so first: if the primary dies half-way, its
 * successor finishes. Changes made between the steps are kept, by their version; so are the library's own keys. Pages stay.
 */
#include "base/own_key.h"
#include "copy/copy_private.h"

enum { PAGES_PER_STEP = 8 };

static int begin_clear(copy *c, struct copy_origin origin, struct copy_change *change)
{
    size_t bytes = entry_size(0, 0);
    struct log_place place;
    if (c->oldest)
        return COPY_NEEDS_DRAIN;
    int result = log_plan(c, bytes, &place);
    if (result != BELAY_OK)
        return result;
    uint64_t entry_at = log_take(c, &place, bytes);
    struct entry_draft draft = {.version = ++c->version, .kind = ENTRY_CLEAR, .origin = origin};
    entry_write(c, entry_at, &draft);
    change_begin(change, c->version);
    change_entry(c, change, &place, entry_at, bytes);
    c->clearing = true;
    c->clear_next = 0;
    c->clear_version = c->version;
    log_dead(c, entry_at, bytes);
    return BELAY_OK;
}

bool entry_is_own(const copy *c, uint64_t entry_at)
{
    unsigned char prefix[OWN_KEY_PREFIX_LENGTH];
    if (entry_at_address(c, entry_at)->key_length < sizeof prefix)
        return false;
    entry_read(c, entry_at, ENTRY_HEADER, prefix, sizeof prefix);
    return own_key(prefix, sizeof prefix);
}

/* @return how many slots were cleared. */
unsigned clear_page(copy *c, uint64_t page_at, uint64_t version)
{
    slot_word *page = at_address(c, page_at);
    unsigned cleared = 0;
    for (unsigned i = 0; i < PAGE_SLOTS; ++i)
        if (page[i])
            __builtin_prefetch(entry_at_address(c, slot_address(page[i])));
    for (unsigned i = 0; i < PAGE_SLOTS; ++i) {
        uint64_t entry_at = slot_address(page[i]);
        if (!page[i] || entry_at_address(c, entry_at)->version >= version || entry_is_own(c, entry_at))
            continue;
        store64(&page[i], 0);
        change_entry_dead(c, entry_at);
        ++cleared;
    }
    c->entries -= cleared;
    return cleared;
}

bool copy_is_clearing(const copy *c)
{
    return c->clearing;
}

int copy_clear(copy *c, struct copy_origin origin, struct copy_change *change, bool *finished)
{
    if (!c->clearing) {
        int result = begin_clear(c, origin, change);
        if (result == BELAY_OK)
            *finished = false;
        return result;
    }
    change_begin(change, c->version);
    /* The directory may have grown since the last step. */
    uint32_t depth = index_depth(c), prefix = c->clear_next >> (DEPTH_MAX - depth);
    uint64_t page_at;
    for (uint32_t next = prefix; change->effect_count < PAGES_PER_STEP; prefix = next) {
        if (!index_next_page(c, &next, &page_at)) {
            c->clearing = false;
            break;
        }
        if (c->oldest && pending_uses_page(c, page_at)) {
            if (change->effect_count == 0)
                return COPY_NEEDS_DRAIN;
            break;
        }
        if (clear_page(c, page_at, c->clear_version) > 0)
            change_range(change, page_at, PAGE_SIZE_BYTES, true);
    }
    c->clear_next = prefix << (DEPTH_MAX - depth);
    *finished = !c->clearing;
    return BELAY_OK;
}
