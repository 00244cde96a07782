/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file applied.c
 * Which requests were applied, as the log of a rebuilt copy tells: for callers whose primary died before it could answer
 * them, and who ask again. The log still has every entry that may matter: a segment is not reused before the answers to what it
 * holds have arrived (room.c of the mirror layer). The table is open addressing over (client, number).
 *
 * A result comes before the change that it belongs to. A primary that then lacks room for the change asks the function again, later:
 * so of several results of one request, and there may be one without any change, the newest counts.
 */
#include "copy/copy_private.h"

#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

static size_t home_of(const struct applied *applied, uint32_t client, uint32_t number)
{
    uint64_t mixed = ((uint64_t)client << 32 | number) * 0x9e3779b97f4a7c15ull;
    return (size_t)(mixed >> 32) & (applied->capacity - 1);
}

static struct copy_applied *place_of(const struct applied *applied, uint32_t client, uint32_t number)
{
    size_t at = home_of(applied, client, number);
    while (applied->table[at].number != 0 &&
           (applied->table[at].client != client || applied->table[at].number != number))
        at = (at + 1) & (applied->capacity - 1);
    return &applied->table[at];
}

static bool grow(struct applied *applied)
{
    struct applied grown = {.capacity = applied->capacity ? 2 * applied->capacity : CAPACITY_FIRST,
                            .count = applied->count};
    grown.table = calloc(grown.capacity, sizeof *grown.table);
    if (!grown.table)
        return false;
    for (size_t i = 0; i < applied->capacity; ++i)
        if (applied->table[i].number != 0)
            *place_of(&grown, applied->table[i].client, applied->table[i].number) = applied->table[i];
    free(applied->table);
    *applied = grown;
    return true;
}

static void note_change(const copy *c, struct copy_applied *place, uint64_t entry_at,
                        const struct entry_header *header)
{
    place->version = header->version;
    if (header->kind == ENTRY_VALUE && header->value_length == sizeof place->value)
        entry_read(c, entry_at, ENTRY_HEADER + header->key_length, &place->value, sizeof place->value);
}

static void note_result(struct copy_applied *place, uint64_t entry_at, uint64_t version)
{
    if (version <= place->result_version)
        return;
    place->result_version = version;
    place->result_at = entry_at;
}

int applied_note(copy *c, uint64_t entry_at, const struct entry_header *header)
{
    bool result = header->kind == ENTRY_RESULT;
    bool change = header->kind == ENTRY_VALUE || header->kind == ENTRY_REMOVE;
    if (!(change || result) || header->client == 0 || header->number == 0 || !check_whole(c, entry_at))
        return BELAY_OK;
    struct applied *applied = &c->applied;
    if (2 * applied->count >= applied->capacity && !grow(applied))
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to list applied requests");
    struct copy_applied *place = place_of(applied, header->client, header->number);
    applied->count += place->number == 0;
    place->client = header->client;
    place->number = header->number;
    if (result)
        note_result(place, entry_at, header->version);
    else
        note_change(c, place, entry_at, header);
    return BELAY_OK;
}

const struct copy_applied *copy_applied_find(const copy *c, struct copy_origin origin)
{
    if (c->applied.capacity == 0 || origin.number == 0)
        return NULL;
    const struct copy_applied *place = place_of(&c->applied, origin.client, origin.number);
    return place->version != 0 ? place : NULL;
}

/* Its segment may have been reused, if nobody needs it any more: a peer that asks nevertheless must do no harm. */
size_t copy_applied_result(const copy *c, const struct copy_applied *applied, void *buffer, size_t capacity)
{
    uint64_t entry_at = applied->result_at;
    const struct entry_header *header = applied->result_version ? check_entry(c, entry_at) : NULL;
    if (!header || header->kind != ENTRY_RESULT || header->client != applied->client ||
        header->number != applied->number)
        return 0;
    size_t length = header->value_length < capacity ? header->value_length : capacity;
    entry_read(c, entry_at, ENTRY_HEADER, buffer, length);
    return length;
}

void applied_forget(copy *c)
{
    free(c->applied.table);
    c->applied = (struct applied){0};
}
