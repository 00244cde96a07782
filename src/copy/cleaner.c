/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file cleaner.c
 * Makes dead bytes usable: the live entries of the emptiest log segment are appended again at the tail, one per call
 * (greedy cleaning of a log, Rosenblum and Ousterhout 1992). Readers follow the slot; the old place stays readable until
 * its segment is reused.
 */
#include "copy/copy_private.h"

enum {
    SEALED_SEGMENTS_MIN = 4, /* fewer are not worth the work unless memory is short */
    DEAD_PERCENT = 50,
    DEAD_PERCENT_UNDER_PRESSURE = 5,
    DEAD_SHARE_OF_VICTIM = 16, /* at least 1/16 of a segment must be won */
    MOVED_SEGMENTS_MAX =
        16 /* larger entries stay where they are: they waste less than what two segments hold */
};

bool copy_worth_cleaning(const copy *c, bool under_pressure)
{
    uint64_t sealed = log_sealed_segments(c);
    unsigned percent = under_pressure ? DEAD_PERCENT_UNDER_PRESSURE : DEAD_PERCENT;
    if ((!under_pressure && sealed < SEALED_SEGMENTS_MIN) || log_dead_bytes(c) < log_payload(c))
        return false; /* nothing much, or not even a segment to be won */
    return log_dead_bytes(c) * 100 > sealed * log_payload(c) * percent;
}

bool copy_is_cleaning(const copy *c)
{
    return c->victim != NO_SEGMENT;
}

size_t copy_clean_bytes(const copy *c)
{
    return c->clean_bytes;
}

/* ---- The victim ---- */

static bool can_be_victim(const copy *c, uint32_t logical)
{
    const struct segment *segment = &c->segments[logical];
    return segment->use == SEGMENT_LOG && logical != c->tail && logical != c->gap && segment->pins == 0 &&
           !segment->stuck && segment->live + log_payload(c) / DEAD_SHARE_OF_VICTIM <= log_payload(c);
}

static uint32_t choose_victim(const copy *c)
{
    uint32_t best = NO_SEGMENT;
    for (uint32_t s = 0; s < c->logical_end; ++s)
        if (can_be_victim(c, s) && (best == NO_SEGMENT || c->segments[s].live < c->segments[best].live))
            best = s;
    return best;
}

/* Where to start looking for entries that reach into a segment: at its own first one, or in an earlier segment of
 * which an entry may go on here. @return NO_ADDRESS: nowhere. */
static uint64_t first_reaching_into(const copy *c, uint32_t victim)
{
    const struct segment_header *header = log_header(c, victim);
    uint32_t s = victim;
    while (log_header(c, s)->first_entry != LOG_FIRST && victim - s < MOVED_SEGMENTS_MAX && s > 0 &&
           segment_use(c, s - 1) == SEGMENT_LOG &&
           log_header(c, s - 1)->sequence + (victim - (s - 1)) == header->sequence) {
        --s;
        if (log_header(c, s)->first_entry != 0)
            break;
    }
    for (; s <= victim; ++s)
        if (log_header(c, s)->first_entry != 0)
            return address_of(&c->view, s, log_header(c, s)->first_entry);
    return NO_ADDRESS;
}

/* ---- Its entries ---- */

static uint64_t victim_end(const copy *c)
{
    return address_of(&c->view, c->victim + 1, 0);
}

static bool reaches_into_victim(const copy *c, uint64_t entry_at, size_t bytes)
{
    return entry_at + entry_span(c, entry_at, bytes) > address_of(&c->view, c->victim, 0);
}

static uint64_t first_of_victim(const copy *c)
{
    uint32_t first = log_header(c, c->victim)->first_entry;
    return first ? address_of(&c->view, c->victim, first) : NO_ADDRESS;
}

/* Go on to the entry behind; behind the last one lie zeroes or what an earlier use left. */
static void advance(copy *c, const struct entry_header *header)
{
    uint64_t next = entry_fits(&c->view, c->descriptor, c->clean_at, header)
                        ? log_next(c, c->clean_at, header)
                        : NO_ADDRESS;
    bool before_victim = segment_of(&c->view, c->clean_at) < c->victim;
    c->clean_at = next == NO_ADDRESS && before_victim ? first_of_victim(c) : next;
}

static int move(copy *c, uint64_t hash, uint64_t slot_at, struct copy_change *change)
{
    const struct entry_header *header = entry_at_address(c, c->clean_at);
    size_t bytes = entry_bytes(header);
    struct log_place place;
    int result = log_plan(c, bytes, &place);
    if (result != BELAY_OK) {
        c->clean_bytes = bytes;
        return result;
    }
    uint64_t entry_at = log_take(c, &place, bytes);
    entry_move(c, c->clean_at, entry_at);
    ending_note_found(c, entry_at, header);
    change_begin(change, header->version);
    change->hash = hash;
    change->entry_at = entry_at;
    change_entry(c, change, &place, entry_at, bytes);
    change_slot(c, change, slot_at, slot_make(hash, entry_at, bytes, slot_tag(*slot_memory(c, slot_at)) + 1));
    return BELAY_OK;
}

/* Move the entry at clean_at if it is live. @return COPY_NOTHING: it need not be, or cannot. */
static int move_if_live(copy *c, const struct entry_header *header, struct copy_change *change)
{
    if (header->kind != ENTRY_VALUE || !entry_fits(&c->view, c->descriptor, c->clean_at, header))
        return COPY_NOTHING;
    size_t bytes = entry_bytes(header);
    if (!reaches_into_victim(c, c->clean_at, bytes) || bytes > MOVED_SEGMENTS_MAX * log_payload(c))
        return COPY_NOTHING;
    uint64_t hash = entry_hash(c, c->clean_at), slot_at = index_slot_of(c, hash, c->clean_at);
    if (c->oldest &&
        (pending_uses_entry(c, c->clean_at) || (slot_at != NO_ADDRESS && pending_uses_slot(c, slot_at))))
        return COPY_NEEDS_DRAIN;
    return slot_at == NO_ADDRESS ? COPY_NOTHING : move(c, hash, slot_at, change);
}

/* @return BELAY_OK: staged; COPY_NOTHING: the victim holds no more that can be moved. */
static int move_next(copy *c, struct copy_change *change)
{
    if (c->clean_at != NO_ADDRESS && segment_use(c, segment_of(&c->view, c->clean_at)) != SEGMENT_LOG)
        c->clean_at = first_of_victim(c); /* an earlier segment, emptied since the last call */
    while (c->clean_at != NO_ADDRESS && c->clean_at < victim_end(c)) {
        const struct entry_header *header = entry_at_address(c, c->clean_at);
        int result = move_if_live(c, header, change);
        if (result != COPY_NOTHING && result != BELAY_OK)
            return result;
        advance(c, header);
        if (result == BELAY_OK)
            return BELAY_OK;
    }
    return COPY_NOTHING;
}

int copy_clean(copy *c, bool under_pressure, struct copy_change *change)
{
    c->clean_bytes = 0;
    for (;;) {
        if (c->victim == NO_SEGMENT) {
            uint32_t victim = copy_worth_cleaning(c, under_pressure) ? choose_victim(c) : NO_SEGMENT;
            if (victim == NO_SEGMENT)
                return COPY_NOTHING;
            c->victim = victim;
            c->clean_at = first_reaching_into(c, victim);
        }
        if (segment_use(c, c->victim) != SEGMENT_LOG || c->victim == c->tail) {
            c->victim = NO_SEGMENT; /* it has been emptied */
            change_begin(change, c->version);
            return BELAY_OK;
        }
        int result = move_next(c, change);
        if (result != COPY_NOTHING)
            return result;
        c->segments[c->victim].stuck = 1;
        c->victim = NO_SEGMENT;
    }
}
