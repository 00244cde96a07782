/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file log.c
 * Where entries go. The tail is the segment being filled; an entry that does not fit goes on in the next numbers if they
 * are free, else another segment is opened. The rest of the tail is then the gap, where later entries go that fit: else
 * every long entry would cost half a segment, and cleaning could lose more than it wins. A segment's live bytes are counted,
 * and without any it can be used again.
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

static size_t gap_room(const copy *c)
{
    return c->gap == NO_SEGMENT ? 0 : c->view.segment_size - c->gap_offset;
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

static bool can_be_free(const copy *c, uint32_t logical)
{
    return segment_use(c, logical) == SEGMENT_FREE || segment_use(c, logical) == SEGMENT_NONE;
}

/* Attaching the unattached numbers of [first, first + count) makes all of it free. */
static bool run_can_be_free(const copy *c, uint32_t first, uint32_t count)
{
    if ((uint64_t)first + count > c->segment_limit)
        return false;
    for (uint32_t s = first; s < first + count && s < c->logical_end; ++s)
        if (!can_be_free(c, s))
            return false;
    return true;
}

/* The lowest numbers of which @p count in a row are free or can be. */
static uint32_t lowest_run(const copy *c, uint64_t count)
{
    uint32_t length = 0, s;
    for (s = 0; s < c->logical_end && length < count; ++s)
        length = can_be_free(c, s) ? length + 1 : 0;
    return s - length + count <= c->segment_limit ? s - length : NO_SEGMENT;
}

/* The lowest numbers of which @p count in a row are free, if there is so much free room that it should be used: memory that
 * is in use already costs less than fresh one, even if its holes are not filled to the end. */
static uint32_t lowest_hole(const copy *c, uint32_t count)
{
    uint32_t length = 0;
    if (c->free.count <= c->log_segments / 2)
        return NO_SEGMENT;
    for (uint32_t s = 0; s < c->logical_end; ++s) {
        length = segment_use(c, s) == SEGMENT_FREE ? length + 1 : 0;
        if (length == count)
            return s + 1 - count;
    }
    return NO_SEGMENT;
}

/*
 * Where the log goes on if it cannot behind the tail. A single segment may be any. For long entries it is a place with
 * room for more of them, since every place costs the unused end of its last segment; numbers are plenty.
 */
static uint32_t next_place(const copy *c, uint32_t needed)
{
    enum { ROOM_FOR_MORE = 16 };
    uint32_t hole = needed > 1 ? lowest_hole(c, needed) : NO_SEGMENT;
    if (hole != NO_SEGMENT)
        return hole;
    if (c->tail != NO_SEGMENT && run_can_be_free(c, c->tail + 1, needed))
        return c->tail + 1;
    if (needed == 1)
        return c->lowest_none < c->segment_limit ? c->lowest_none : NO_SEGMENT;
    uint32_t roomy = lowest_run(c, (uint64_t)needed + ROOM_FOR_MORE);
    return roomy != NO_SEGMENT ? roomy : lowest_run(c, needed);
}

int log_plan(const copy *c, size_t bytes, struct log_place *place)
{
    if (bytes <= gap_room(c)) {
        *place = (struct log_place){c->gap, c->gap_offset, 0, false};
        return BELAY_OK;
    }
    if (bytes <= tail_room(c)) {
        *place = (struct log_place){c->tail, c->tail_offset, 0, false};
        return BELAY_OK;
    }
    uint32_t behind = segments_behind_tail(c, bytes);
    if (behind > 0 && run_is_free(c, c->tail + 1, behind)) {
        *place = (struct log_place){c->tail, c->tail_offset, behind, false};
        return BELAY_OK;
    }
    uint32_t needed = segments_for(c, bytes), first = next_place(c, needed);
    if (needed == 1 && (first == NO_SEGMENT || segment_use(c, first) != SEGMENT_FREE) && c->free.count > 0)
        first = c->free.first;
    if (first == NO_SEGMENT)
        return log_quiet(BELAY_ERR_NO_SPACE, "a copy of %u segments has no room for %zu bytes",
                         c->segment_limit, bytes);
    if (!run_is_free(c, first, needed))
        return COPY_NEEDS_SEGMENTS;
    *place = (struct log_place){first, LOG_FIRST, needed - 1, true};
    return BELAY_OK;
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
    struct log_place place;
    *first = *count = 0;
    if (log_plan(c, bytes, &place) != COPY_NEEDS_SEGMENTS)
        return;
    uint32_t behind = segments_behind_tail(c, bytes);
    if (behind > 0 && run_can_be_free(c, c->tail + 1, behind))
        unattached_in(c, c->tail + 1, behind, first, count);
    else
        unattached_in(c, next_place(c, segments_for(c, bytes)), segments_for(c, bytes), first, count);
}

/* ---- Taking ---- */

static void empty_if_dead(copy *c, uint32_t logical)
{
    struct segment *segment = &c->segments[logical];
    if (logical == c->tail || segment->use != SEGMENT_LOG || segment->live > 0 || segment->pins > 0)
        return;
    if (logical == c->gap)
        c->gap = NO_SEGMENT;
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

static void leave_gap(copy *c)
{
    if (tail_room(c) <= gap_room(c))
        return;
    c->gap = c->tail;
    c->gap_offset = c->tail_offset;
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
    if (place->open) {
        leave_gap(c);
        open_segment(c, place->segment, LOG_FIRST);
    }
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
    c->live += bytes;
    if (segment == c->gap)
        c->gap_offset = offset;
    else
        move_tail(c, segment, offset);
    return address_of(&c->view, place->segment, place->offset);
}

/* ---- Accounts ---- */

/* Do something for every segment that holds a piece of an entry, with the bytes of that piece. */
#define FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)                                                   \
    for (uint32_t logical = segment_of(&(c)->view, entry_at), left_ = (uint32_t)(bytes),                     \
                  room_ = (uint32_t)piece_at(&(c)->view, entry_at), piece;                                   \
         (piece = left_ < room_ ? left_ : room_) > 0;                                                        \
         left_ -= piece, ++logical, room_ = (uint32_t)log_payload(c))

void log_dead(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)
    {
        c->segments[logical].live -= piece;
        c->segments[logical].stuck = 0;
        empty_if_dead(c, logical);
    }
    c->live -= bytes;
}

void log_hold(copy *c)
{
    c->held_sequence = c->sequence;
    for (uint32_t s = 0; s < c->logical_end; ++s)
        empty_if_dead(c, s);
}

void log_pin(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)
    c->segments[logical].pins++;
}

void log_unpin(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)
    {
        c->segments[logical].pins--;
        empty_if_dead(c, logical);
    }
}

bool log_live(copy *c, uint64_t entry_at, size_t bytes)
{
    FOR_EACH_PIECE(c, entry_at, bytes, logical, piece)
    {
        if (segment_use(c, logical) != SEGMENT_LOG)
            return false;
        c->segments[logical].live += piece;
    }
    c->live += bytes;
    return true;
}

uint32_t log_sealed_segments(const copy *c)
{
    return c->log_segments - (c->tail != NO_SEGMENT) - (c->gap != NO_SEGMENT);
}

uint64_t log_dead_bytes(const copy *c)
{
    uint64_t in_tail = c->tail == NO_SEGMENT ? 0 : c->segments[c->tail].live;
    uint64_t in_gap = c->gap == NO_SEGMENT ? 0 : c->segments[c->gap].live;
    return log_sealed_segments(c) * (uint64_t)log_payload(c) - (c->live - in_tail - in_gap);
}

void log_close_tail(copy *c)
{
    move_tail(c, NO_SEGMENT, 0);
}

uint64_t log_next(const copy *c, uint64_t entry_at, const struct entry_header *header)
{
    uint64_t end = entry_at + entry_span(c, entry_at, entry_bytes(header));
    if (segment_of(&c->view, end) == segment_of(&c->view, end - 1) && piece_at(&c->view, end) >= ENTRY_HEADER)
        return end;
    uint32_t next = segment_of(&c->view, end - 1) + 1;
    uint32_t first = segment_use(c, next) == SEGMENT_LOG ? log_header(c, next)->first_entry : 0;
    return first ? address_of(&c->view, next, first) : NO_ADDRESS;
}

void log_walk_begin(const copy *c, uint32_t logical, struct log_walk *walk)
{
    const struct segment_header *header = log_header(c, logical);
    *walk = (struct log_walk){.at = header->first_entry ? address_of(&c->view, logical, header->first_entry)
                                                        : NO_ADDRESS,
                              .sequence = header->sequence,
                              .segment = logical};
}

const struct entry_header *log_walk_next(const copy *c, struct log_walk *walk, uint64_t *entry_at)
{
    if (walk->at == NO_ADDRESS || segment_use(c, walk->segment) != SEGMENT_LOG ||
        log_header(c, walk->segment)->sequence != walk->sequence)
        return NULL;
    const struct entry_header *header = entry_at_address(c, walk->at);
    *entry_at = walk->at;
    walk->at = NO_ADDRESS;
    if (!entry_fits(&c->view, c->descriptor, *entry_at, header))
        return NULL;
    uint64_t next = log_next(c, *entry_at, header);
    if (next != NO_ADDRESS && segment_of(&c->view, next) == walk->segment)
        walk->at = next;
    return header;
}
