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
    c->ending_at = NO_ADDRESS;
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
    const struct segment_header *header = log_header(c, c->ending);
    segment->due_at = 0; /* what is written from now on notes itself */
    c->ending_sequence = header->sequence;
    c->ending_at = header->first_entry ? address_of(&c->view, c->ending, header->first_entry) : NO_ADDRESS;
    c->ending_due_at = 0;
    return c->ending_at != NO_ADDRESS;
}

static void end_segment(copy *c, uint64_t now)
{
    if (c->ending_due_at)
        sooner(&c->segments[c->ending].due_at,
               c->ending_due_at > now + AGAIN_NS ? c->ending_due_at : now + AGAIN_NS);
    c->ending_at = NO_ADDRESS;
    c->ending++;
}

/* The lock was given up in between. */
static bool is_still_there(const copy *c)
{
    return segment_use(c, c->ending) == SEGMENT_LOG &&
           log_header(c, c->ending)->sequence == c->ending_sequence;
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

static void describe(const copy *c, uint64_t entry_at, const struct entry_header *header,
                     struct copy_ended *ended)
{
    ended->key_length = header->key_length;
    ended->hash = entry_hash(c, entry_at);
    entry_read(c, entry_at, ENTRY_HEADER, ended->key, header->key_length);
}

static int look_on(copy *c, uint64_t now, unsigned *looks, struct copy_ended *ended)
{
    while (c->ending_at != NO_ADDRESS && segment_of(&c->view, c->ending_at) == c->ending) {
        uint64_t entry_at = c->ending_at;
        const struct entry_header *header = entry_at_address(c, entry_at);
        if (*looks == 0)
            return COPY_NEEDS_LOOKS;
        --*looks;
        if (!entry_fits(&c->view, c->descriptor, entry_at, header))
            return COPY_NOTHING; /* behind the last one */
        c->ending_at = log_next(c, entry_at, header);
        if (c->ending_at == NO_ADDRESS)
            c->ending_at = address_of(&c->view, c->ending + 1, 0); /* begun, and through */
        if (!is_over(c, entry_at, header, now))
            continue;
        describe(c, entry_at, header, ended);
        return BELAY_OK;
    }
    return COPY_NOTHING;
}

/* ---- All of them ---- */

static void begin_anew(copy *c)
{
    ending_reset(c);
    for (uint32_t s = 0; s < c->logical_end; ++s)
        if (c->segments[s].use == SEGMENT_LOG && c->segments[s].due_at)
            sooner(&c->due_at, c->segments[s].due_at);
}

int copy_next_ended(copy *c, uint64_t now, unsigned *looks, struct copy_ended *ended)
{
    for (; c->ending < c->logical_end; end_segment(c, now)) {
        bool begun = c->ending_at != NO_ADDRESS ? is_still_there(c) : begin_segment(c, now);
        int result = begun ? look_on(c, now, looks, ended) : COPY_NOTHING;
        if (result != COPY_NOTHING)
            return result;
        if (!begun)
            c->ending_due_at = 0;
    }
    begin_anew(c);
    return COPY_NOTHING;
}
