/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file evict.c
 * The entries that were written first, for whom room is worth more than they are: segments of the log in the order in which they were
 * opened. What the cleaner has moved counts as written when it was moved.
 *
 * A segment of which entries stay (locked by transactions, or the library's own) has had its turn, and is left to the cleaner, as it holds little now; when all
 * have had theirs, the oldest one is the first again.
 */
#include "copy/copy_private.h"

enum { SHARE = 16 }; /* that is given up at once: one segment in so many */

/* The oldest one that may be given up, behind those that had their turn. */
static uint32_t oldest_segment(const copy *c, bool with_tail)
{
    uint32_t oldest = NO_SEGMENT;
    for (uint32_t s = 0; s < c->logical_end; ++s) {
        if (c->segments[s].use != SEGMENT_LOG || c->segments[s].pins > 0 || (s == c->tail && !with_tail))
            continue;
        uint64_t sequence = log_header(c, s)->sequence;
        if (sequence > c->evict_sequence &&
            (oldest == NO_SEGMENT || sequence < log_header(c, oldest)->sequence))
            oldest = s;
    }
    return oldest;
}

static bool begin_segment(copy *c, bool with_tail)
{
    uint32_t logical = oldest_segment(c, with_tail);
    if (logical == NO_SEGMENT)
        return false;
    if (logical == c->tail)
        log_close_tail(c);
    if (segment_use(c, logical) != SEGMENT_LOG)
        return false; /* it held nothing */
    if (logical == c->gap)
        c->gap = NO_SEGMENT; /* or it would be filled again, and not come free */
    log_walk_begin(c, logical, &c->evict_walk);
    c->evict_sequence = c->evict_walk.sequence;
    return true;
}

bool copy_evict_begin(copy *c, bool thorough)
{
    uint32_t share = c->log_segments / SHARE;
    bool begun = begin_segment(c, false);
    if (!begun && c->evict_sequence > 0) {
        c->evict_sequence = 0;
        begun = begin_segment(c, false);
    }
    begun = begun || (thorough && begin_segment(c, true));
    c->evict_left = begun ? (share ? share : 1) : 0;
    return begun;
}

static bool can_be_removed(const copy *c, uint64_t entry_at, const struct entry_header *header)
{
    if (header->kind != ENTRY_VALUE || entry_is_own(c, entry_at))
        return false;
    uint64_t slot_at = index_slot_of(c, entry_hash(c, entry_at), entry_at);
    bool changing = c->oldest && (pending_uses_entry(c, entry_at) || pending_uses_slot(c, slot_at));
    return slot_at != NO_ADDRESS && !changing; /* else a newer value would be taken for it */
}

int copy_evict_next(copy *c, unsigned *looks, struct copy_key *key)
{
    uint64_t entry_at;
    for (; c->evict_left > 0 && *looks > 0; --*looks) {
        const struct entry_header *header = log_walk_next(c, &c->evict_walk, &entry_at);
        if (!header) {
            if (--c->evict_left > 0 && !begin_segment(c, false))
                c->evict_left = 0;
            continue;
        }
        if (!can_be_removed(c, entry_at, header))
            continue;
        c->evict_at = entry_at;
        entry_describe(c, entry_at, key);
        return BELAY_OK;
    }
    return c->evict_left == 0 ? COPY_NOTHING : COPY_NEEDS_LOOKS;
}

void copy_evict_again(copy *c)
{
    c->evict_walk.at = c->evict_at;
}
