/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file ending.c
 * Finding entries whose time is over. Of each log segment it is known when the first entry that begins there may end, so that only
 * those are looked through that hold something; of the whole copy, too. What is looked through is the log, in its order: entries
 * that were written together mostly end together.
 *
 * An entry found is live: a slot points to it. Whoever asks removes it by an ordinary change, or leaves it (a transaction may have
 * locked it) until the segment is looked through again.
 */
#include "copy/copy_private.h"

enum { AGAIN_NS = 1000000000 }; /* a segment is not looked through again earlier */

static void sooner(uint64_t *due_at, uint64_t ends_at)
{
    if (*due_at == 0 || ends_at < *due_at)
        *due_at = ends_at;
}

void ending_note(copy *c, uint64_t entry_at, uint64_t ends_at)
{
    sooner(&segment_at(c, entry_at)->due_at, ends_at);
    sooner(&c->due_at, ends_at);
}

void ending_reset(copy *c)
{
    c->due_at = c->ending = 0;
    c->ending_begun = false;
}

bool copy_has_endings(const copy *c, uint64_t *due_at)
{
    *due_at = c->due_at;
    return c->due_at != 0;
}

/* ---- One segment ---- */

static bool begin_segment(copy *c, uint64_t now)
{
    struct segment *segment = &c->segments[c->ending];
    if (segment->use != SEGMENT_LOG || segment->due_at == 0 || segment->due_at > now)
        return false;
    segment->due_at = 0; /* what is written from now on notes itself */
    c->ending_due_at = 0;
    c->ending_begun = true;
    log_walk_begin(c, c->ending, &c->ending_walk);
    return true;
}

static void end_segment(copy *c, uint64_t now)
{
    struct segment *segment = &c->segments[c->ending];
    if (c->ending_begun && c->ending_due_at && segment->use == SEGMENT_LOG)
        sooner(&segment->due_at, c->ending_due_at > now + AGAIN_NS ? c->ending_due_at : now + AGAIN_NS);
    c->ending_begun = false;
    c->ending++;
}

static bool is_over(copy *c, uint64_t entry_at, const struct entry_header *header, uint64_t now)
{
    if (header->kind != ENTRY_VALUE || !(header->flags & ENTRY_ENDS))
        return false;
    uint64_t ends_at = entry_ends_at(c, entry_at);
    if (ends_at == 0)
        return false;
    if (ends_at > now || (c->oldest && pending_uses_entry(c, entry_at))) {
        sooner(&c->ending_due_at, ends_at);
        return false;
    }
    if (index_slot_of(c, entry_hash(c, entry_at), entry_at) == NO_ADDRESS)
        return false;
    sooner(&c->ending_due_at, ends_at); /* in case it stays */
    return true;
}

void entry_describe(const copy *c, uint64_t entry_at, struct copy_key *key)
{
    key->length = entry_at_address(c, entry_at)->key_length;
    key->hash = entry_hash(c, entry_at);
    entry_read(c, entry_at, ENTRY_HEADER, key->bytes, key->length);
}

static int look_on(copy *c, uint64_t now, unsigned *looks, struct copy_key *key)
{
    const struct entry_header *header;
    uint64_t entry_at;
    for (; *looks > 0; --*looks) {
        header = log_walk_next(c, &c->ending_walk, &entry_at);
        if (!header)
            return COPY_NOTHING;
        if (!is_over(c, entry_at, header, now))
            continue;
        entry_describe(c, entry_at, key);
        return BELAY_OK;
    }
    return COPY_NEEDS_LOOKS;
}

/* ---- All of them ---- */

static void begin_anew(copy *c)
{
    ending_reset(c);
    for (uint32_t s = 0; s < c->logical_end; ++s)
        if (c->segments[s].use == SEGMENT_LOG && c->segments[s].due_at)
            sooner(&c->due_at, c->segments[s].due_at);
}

int copy_next_ended(copy *c, uint64_t now, unsigned *looks, struct copy_key *key)
{
    for (; c->ending < c->logical_end; end_segment(c, now)) {
        int result = c->ending_begun || begin_segment(c, now) ? look_on(c, now, looks, key) : COPY_NOTHING;
        if (result != COPY_NOTHING)
            return result;
    }
    begin_anew(c);
    return COPY_NOTHING;
}
