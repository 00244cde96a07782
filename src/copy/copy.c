/* SPDX-License-Identifier: BSD-3-Clause */
/* Begin and end of a copy's private state, and its figures. */
#include "copy/copy_private.h"

#include <stdlib.h>
#include <string.h>

/* Numbers that both the table and a slot's address bits can express. */
static uint32_t limit_of(const struct arena_view *view)
{
    uint64_t table = TABLE_DIRECT + (uint64_t)TABLE_INDIRECT * table_words(view);
    uint64_t addresses = (1ull << 39) >> view->segment_shift;
    return (uint32_t)(table < addresses ? table : addresses);
}

int copy_create(arena *a, uint64_t descriptor_offset, uint32_t cache, uint32_t partition, bool seal_whole,
                copy **out)
{
    struct arena_view view;
    int result = arena_view_make(arena_base(a), arena_size(a), arena_header_of(a), &view);
    if (result != BELAY_OK)
        return result;
    if (descriptor_offset % 8 != 0 || descriptor_offset > view.size ||
        view.size - descriptor_offset < sizeof(struct copy_descriptor))
        return log_error(BELAY_ERR_INVALID, "a copy's descriptor cannot lie at offset %llu",
                         (unsigned long long)descriptor_offset);
    copy *c = calloc(1, sizeof *c);
    if (!c)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a copy's state");
    c->arena = a;
    c->view = view;
    c->descriptor = (void *)((unsigned char *)arena_base(a) + descriptor_offset);
    c->descriptor->cache = cache;
    c->descriptor->partition = partition;
    c->seal_whole = seal_whole;
    for (int i = 0; i < MARK_WORDS; ++i)
        atomic_store_explicit(&c->descriptor->marks[i], 0, memory_order_relaxed);
    c->segment_limit = limit_of(&view);
    c->free = c->held = c->emptied = (struct segment_list){NO_SEGMENT, NO_SEGMENT, 0};
    c->tail = c->gap = c->page_segment = c->victim = NO_SEGMENT;
    ending_reset(c);
    arena_count_copies(a, 1);
    *out = c;
    return BELAY_OK;
}

static void give_tables(copy *c)
{
    for (int t = 0; t < TABLE_INDIRECT; ++t) {
        uint32_t word = atomic_exchange_explicit(&c->descriptor->indirect[t], 0, memory_order_relaxed);
        if (word)
            arena_give(c->arena, word - 1, 1);
    }
}

void copy_destroy(copy *c)
{
    if (!c)
        return;
    copy_serve(c, COPY_SERVES_NOBODY);
    fence_full(); /* before others may get its memory, see reader_mirror.c */
    for (uint32_t s = 0; s < c->logical_end; ++s) {
        uint32_t physical = copy_physical(c, s);
        if (c->segments[s].use != SEGMENT_NONE)
            arena_give(c->arena, physical, 1);
        if (s < TABLE_DIRECT)
            atomic_store_explicit(&c->descriptor->direct[s], 0, memory_order_relaxed);
    }
    give_tables(c);
    applied_forget(c);
    racy_zero(&c->descriptor->root, sizeof c->descriptor->root);
    arena_count_copies(c->arena, -1);
    free(c->reservations);
    free(c->segments);
    free(c);
}

void copy_serve(copy *c, enum copy_serving whom)
{
    atomic_store_explicit(&c->descriptor->serving, whom, memory_order_release);
}

void copy_relocate(copy *c, uint64_t descriptor_offset)
{
    struct copy_descriptor *from = c->descriptor;
    c->descriptor = (void *)((unsigned char *)arena_base(c->arena) + descriptor_offset);
    memcpy(c->descriptor, from, sizeof *from);
    memset(from, 0, sizeof *from);
}

uint64_t copy_version(const copy *c)
{
    return c->version;
}

void copy_raise_version(copy *c, uint64_t floor)
{
    uint64_t above = c->version ? c->version + COPY_UNSLOTTED_MAX : 0;
    c->version = above > floor ? above : floor;
}

uint64_t copy_entries(const copy *c)
{
    return c->entries;
}

uint64_t copy_bytes_live(const copy *c)
{
    return c->live;
}
