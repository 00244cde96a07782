/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file log.c
 * Where entries go. The tail is the segment being filled; an entry that does not fit goes on in the next numbers if they
 * are free, else the rest of the tail is given up and another segment is opened. A segment's live bytes are counted, and
 * without any it can be used again.
 */
#include "copy/copy_private.h"

static uint32_t segments_for(const copy *c, size_t bytes)
{
    return (uint32_t)((bytes + log_payload(c) - 1) / log_payload(c));
}

static size_t tail_room(const copy *c)
{
    return c->tail == NO_SEGMENT ? 0 : c->view.segment_size - c->tail_offset;
}

/* Segments that an entry needs behind the tail; 0: it cannot begin in the tail. */
static uint32_t segments_behind_tail(const copy *c, size_t bytes)
{
    return tail_room(c) < ENTRY_HEADER ? 0 : segments_for(c, bytes - tail_room(c));
}

/* ---- Planning ---- */

static bool run_is_free(const copy *c, uint32_t first, uint32_t count)
{
    if (count > c->free.count)
        return false;
    for (uint32_t s = first; s < first + count; ++s)
        if (segment_use(c, s) != SEGMENT_FREE)
            return false;
    return true;
}

int log_plan(const copy *c, size_t bytes, struct log_place *place)
{
    if (bytes <= tail_room(c)) {
        *place = (struct log_place){c->tail, c->tail_offset, 0, false};
        return BELAY_OK;
    }
    uint32_t behind = segments_behind_tail(c, bytes);
    if (behind > 0 && run_is_free(c, c->tail + 1, behind)) {
        *place = (struct log_place){c->tail, c->tail_offset, behind, false};
        return BELAY_OK;
    }
    uint32_t needed = segments_for(c, bytes), first = c->tail + 1;
    if (c->tail == NO_SEGMENT || !run_is_free(c, first, needed))
        first = segment_free_run(c, needed);
    if (first != NO_SEGMENT) {
        *place = (struct log_place){first, LOG_FIRST, needed - 1, true};
        return BELAY_OK;
    }
    uint32_t count;
    log_wanted(c, bytes, &first, &count);
    if (count == 0)
        return log_quiet(BELAY_ERR_NO_SPACE, "a copy of %u segments has no room for %zu bytes", c->segment_limit, bytes);
    return COPY_NEEDS_SEGMENTS;
}

/* Attaching the unattached numbers of [first, first + count) makes all of it free. */
static bool run_can_be_free(const copy *c, uint32_t first, uint32_t count)
{
    if ((uint64_t)first + count > c->segment_limit)
        return false;
    for (uint32_t s = first; s < first + count && s < c->logical_end; ++s)
        if (segment_use(c, s) != SEGMENT_FREE && segment_use(c, s) != SEGMENT_NONE)
            return false;
    return true;
}

static uint32_t find_run_that_can_be_free(const copy *c, uint32_t count)
{
    uint32_t length = 0, s;
    for (s = c->lowest_none; s < c->logical_end && length < count; ++s) {
        bool usable = c->segments[s].use == SEGMENT_FREE || c->segments[s].use == SEGMENT_NONE;
        length = usable ? length + 1 : 0;
    }
    uint32_t first = s - length;
    return (uint64_t)first + count <= c->segment_limit ? first : NO_SEGMENT;
}

/* The first unattached numbers of [first, first + count). */
static void unattached_in(const copy *c, uint32_t first, uint32_t count, uint32_t *from, uint32_t *length)
{
    uint32_t end = first + count;
    while (first < end && segment_use(c, first) != SEGMENT_NONE)
        ++first;
    *from = first;
    while (first < end && segment_use(c, first) == SEGMENT_NONE)
        ++first;
    *length = first - *from;
}

void log_wanted(const copy *c, size_t bytes, uint32_t *first, uint32_t *count)
{
    *first = *count = 0;
    if (bytes <= tail_room(c))
        return;
    uint32_t behind = segments_behind_tail(c, bytes), needed = segments_for(c, bytes);
    uint32_t target = c->tail + 1;
    if (segment_free_run(c, needed) != NO_SEGMENT)
        return;
    if (behind > 0 && run_can_be_free(c, target, behind))
        needed = behind;
    else if (c->tail == NO_SEGMENT || !run_can_be_free(c, target, needed))
        target = find_run_that_can_be_free(c, needed);
    if (target != NO_SEGMENT)
        unattached_in(c, target, needed, first, count);
}

/* ---- Taking ---- */

static void empty_if_dead(copy *c, uint32_t logical)
{
    struct segment *segment = &c->segments[logical];
    if (logical == c->tail || segment->use != SEGMENT_LOG || segment->live > 0 || segment->pins > 0)
        return;
    segment_emptied(c, logical);
    c->log_segments--;
}

static void open_segment(copy *c, uint32_t logical, uint32_t first_entry)
{
    struct segment_header header = {.magic = SEGMENT_LOG_MAGIC,
                                    .first_entry = first_entry,
                                    .sequence = ++c->sequence,
                                    .version = c->version};
    segment_claim(c, logical, SEGMENT_LOG);
    c->log_segments++;
    racy_begin();
    racy_copy(at_address(c, address_of(&c->view, logical, 0)), &header, sizeof header);
}

static void move_tail(copy *c, uint32_t segment, uint32_t offset)
{
    uint32_t before = c->tail;
    c->tail = segment;
    c->tail_offset = offset;
    if (before != NO_SEGMENT && before != segment)
        empty_if_dead(c, before);
}

uint64_t log_take(copy *c, const struct log_place *place, size_t bytes)
{
    if (place->open)
        open_segment(c, place->segment, LOG_FIRST);
    size_t left = bytes;
    uint32_t segment = place->segment, offset = place->offset;
    for (;;) {
        size_t room = c->view.segment_size - offset;
        uint32_t piece = (uint32_t)(left < room ? left : room);
        c->segments[segment].live += piece;
        left -= piece;
        offset += piece;
        if (left == 0)
            break;
        bool next_fits = left + LOG_FIRST + ENTRY_HEADER <= c->view.segment_size;
        open_segment(c, ++segment, next_fits ? (uint32_t)left + LOG_FIRST : 0);
        offset = LOG_FIRST;
    }
    c->log_live += bytes;
    move_tail(c, segment, offset);
    return address_of(&c->view, place->segment, place->offset);
}

/* ---- Accounts ---- */

/* Do something for every segment that holds a piece of an entry, with the bytes of that piece. */
#define FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)                                                                  \
    for (uint32_t logical = segment_of(&(c)->view, entry_at), left_ = (uint32_t)(bytes),                                    \
                  room_ = (uint32_t)piece_at(&(c)->view, entry_at), piece;                                                  \
         (piece = left_ < room_ ? left_ : room_) > 0;                                                                       \
         left_ -= piece, ++logical, room_ = (uint32_t)log_payload(c))

void log_dead(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece) {
        c->segments[logical].live -= piece;
        c->segments[logical].stuck = 0;
        empty_if_dead(c, logical);
    }
    c->log_live -= bytes;
}

void log_pin(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)
        c->segments[logical].pins++;
}

void log_unpin(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece) {
        c->segments[logical].pins--;
        empty_if_dead(c, logical);
    }
}

uint64_t log_dead_bytes(const copy *c)
{
    if (c->log_segments == 0)
        return 0;
    uint64_t in_tail = c->tail == NO_SEGMENT ? 0 : c->segments[c->tail].live;
    uint32_t sealed = c->log_segments - (c->tail != NO_SEGMENT);
    return sealed * (uint64_t)log_payload(c) - (c->log_live - in_tail);
}
