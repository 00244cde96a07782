/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file segments.c
 * Logical segments: which physical one each is, and what it is used for. Free and emptied ones are in lists linked by
 * number, so that any of them can be taken out at once.
 */
#include "copy/copy_private.h"

#include <stdlib.h>
#include <string.h>

static void list_add(copy *c, struct segment_list *list, uint32_t logical)
{
    struct segment *segment = &c->segments[logical];
    segment->next = NO_SEGMENT;
    segment->prev = list->last;
    if (list->last == NO_SEGMENT)
        list->first = logical;
    else
        c->segments[list->last].next = logical;
    list->last = logical;
    list->count++;
}

static void list_remove(copy *c, struct segment_list *list, uint32_t logical)
{
    struct segment *segment = &c->segments[logical];
    if (segment->prev == NO_SEGMENT)
        list->first = segment->next;
    else
        c->segments[segment->prev].next = segment->next;
    if (segment->next == NO_SEGMENT)
        list->last = segment->prev;
    else
        c->segments[segment->next].prev = segment->prev;
    list->count--;
}

/* ---- The table ---- */

uint32_t copy_physical(const copy *c, uint32_t logical)
{
    uint32_t word = mapping_of(&c->view, c->descriptor, logical);
    return word ? word - 1 : ARENA_NO_SEGMENT;
}

uint32_t copy_logical_end(const copy *c)
{
    return c->logical_end;
}

static int grow(copy *c, uint32_t end)
{
    if (end <= c->segment_capacity)
        return BELAY_OK;
    uint32_t capacity = c->segment_capacity ? c->segment_capacity : 4;
    while (capacity < end)
        capacity *= 2;
    struct segment *grown = realloc(c->segments, capacity * sizeof *grown);
    if (!grown)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the state of %u segments", capacity);
    memset(grown + c->segment_capacity, 0, (capacity - c->segment_capacity) * sizeof *grown);
    c->segments = grown;
    c->segment_capacity = capacity;
    return BELAY_OK;
}

/* The table segment that a logical number needs is there. */
static int provide_table(copy *c, uint32_t logical, enum arena_need need)
{
    if (logical < TABLE_DIRECT || table_word_offset(&c->view, c->descriptor, logical))
        return BELAY_OK;
    uint32_t physical = arena_take(c->arena, need);
    if (physical == ARENA_NO_SEGMENT)
        return log_quiet(BELAY_ERR_NO_SPACE, "no free segment for a table of segments");
    uint32_t table = (logical - TABLE_DIRECT) / table_words(&c->view);
    atomic_store_explicit(&c->descriptor->indirect[table], physical + 1, memory_order_release);
    return BELAY_OK;
}

static void set_mapping(copy *c, uint32_t logical, uint32_t word)
{
    if (logical < TABLE_DIRECT) {
        atomic_store_explicit(&c->descriptor->direct[logical], word, memory_order_release);
    } else {
        unsigned char *base = arena_base(c->arena);
        uint32_t *at = (uint32_t *)(base + table_word_offset(&c->view, c->descriptor, logical));
        __atomic_store_n(at, word, __ATOMIC_RELEASE);
    }
}

int copy_attach(copy *c, uint32_t logical, uint32_t physical, enum arena_need need)
{
    if (logical >= c->segment_limit)
        return log_quiet(BELAY_ERR_NO_SPACE, "a copy has at most %u segments of %u bytes", c->segment_limit,
                         c->view.segment_size);
    if (physical >= c->view.segments || segment_use(c, logical) != SEGMENT_NONE)
        return log_error(BELAY_ERR_INVALID, "logical segment %u cannot be attached as %u", logical, physical);
    int result = grow(c, logical + 1);
    if (result == BELAY_OK)
        result = provide_table(c, logical, need);
    if (result != BELAY_OK)
        return result;
    set_mapping(c, logical, physical + 1);
    if (logical >= c->logical_end)
        c->logical_end = logical + 1;
    c->segments[logical] = (struct segment){.use = SEGMENT_FREE};
    list_add(c, &c->free, logical);
    while (c->lowest_none < c->logical_end && c->segments[c->lowest_none].use != SEGMENT_NONE)
        c->lowest_none++;
    return BELAY_OK;
}

int copy_detach(copy *c, uint32_t logical)
{
    if (segment_use(c, logical) != SEGMENT_FREE)
        return log_error(BELAY_ERR_INVALID, "logical segment %u is not free", logical);
    uint32_t physical = copy_physical(c, logical);
    list_remove(c, &c->free, logical);
    c->segments[logical].use = SEGMENT_NONE;
    if (logical < c->lowest_none)
        c->lowest_none = logical;
    set_mapping(c, logical, 0);
    arena_give(c->arena, physical, 1);
    return BELAY_OK;
}

/* ---- Their use ---- */

void segments_reset(copy *c)
{
    c->free = c->held = c->emptied = (struct segment_list){NO_SEGMENT, NO_SEGMENT, 0};
    c->held_sequence = 0;
    for (uint32_t s = 0; s < c->logical_end; ++s) {
        if (c->segments[s].use == SEGMENT_NONE)
            continue;
        c->segments[s] = (struct segment){.use = SEGMENT_FREE};
        list_add(c, &c->free, s);
    }
}

void segment_claim(copy *c, uint32_t logical, enum segment_use use)
{
    list_remove(c, &c->free, logical);
    c->segments[logical] = (struct segment){.use = use};
}

void segment_emptied(copy *c, uint32_t logical)
{
    bool held = log_header(c, logical)->sequence <= c->held_sequence;
    /* The next version's change, too, may need what lies here: a function's result comes right before its change. */
    c->segments[logical] = (struct segment){.use = held ? SEGMENT_HELD : SEGMENT_EMPTIED,
                                            .live = (uint32_t)c->version + 1};
    list_add(c, held ? &c->held : &c->emptied, logical);
}

void copy_let_go(copy *c)
{
    c->held_sequence = 0;
    while (c->held.first != NO_SEGMENT) {
        uint32_t logical = c->held.first;
        list_remove(c, &c->held, logical);
        c->segments[logical].use = SEGMENT_EMPTIED;
        list_add(c, &c->emptied, logical);
    }
}

/* Changes that were pending when a segment was emptied must be published before it is reused: copy_rebuild() takes a
 * version that is no more in the log for one whose slot, and all older ones, have been switched. */
bool copy_next_freed(copy *c, uint32_t *logical)
{
    uint32_t first = c->emptied.first;
    if (first == NO_SEGMENT || c->clearing)
        return false;
    if (c->oldest && (int32_t)((uint32_t)c->oldest->version - c->segments[first].live) <= 0)
        return false;
    list_remove(c, &c->emptied, first);
    c->segments[first].use = SEGMENT_HANDED_OUT;
    *logical = first;
    return true;
}

void copy_recycle(copy *c, uint32_t logical)
{
    if (segment_use(c, logical) != SEGMENT_HANDED_OUT)
        return;
    c->segments[logical].use = SEGMENT_FREE;
    list_add(c, &c->free, logical);
}

bool copy_releasable(const copy *c, uint32_t *logical)
{
    if (c->free.first == NO_SEGMENT)
        return false;
    *logical = c->free.first;
    return true;
}

/* ---- What to attach ---- */

/* The lowest unattached number, leaving the one behind the tail to the log if there is another. */
static uint32_t lowest_apart_from_log(const copy *c)
{
    uint32_t s = c->lowest_none;
    if (s != c->tail + 1 || c->tail == NO_SEGMENT)
        return s;
    do
        ++s;
    while (segment_use(c, s) != SEGMENT_NONE);
    return s < c->segment_limit ? s : c->lowest_none;
}

void copy_wanted(const copy *c, size_t bytes, uint32_t *first, uint32_t *count)
{
    *first = *count = 0;
    if (bytes > 0) {
        log_wanted(c, bytes, first, count);
        return;
    }
    uint32_t needed = c->directory_wanted ? c->directory_wanted : !index_has_spare_page(c);
    if (c->free.count >= needed)
        return;
    *first = lowest_apart_from_log(c);
    *count = *first < c->segment_limit;
    while (*count > 0 && *count < needed - c->free.count && *first + *count < c->segment_limit &&
           segment_use(c, *first + *count) == SEGMENT_NONE)
        ++*count;
}
