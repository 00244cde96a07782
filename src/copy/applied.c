/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file applied.c
 * Which requests were applied, as the log of a rebuilt copy tells: for callers whose primary died before it could answer
 * them, and who ask again. The log still has every entry that may matter: a segment is not reused before the answers to what it
 * holds have arrived (room.c of the mirror layer). The table is open addressing over (client, number).
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
    while (applied->table[at].version != 0 &&
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
        if (applied->table[i].version != 0)
            *place_of(&grown, applied->table[i].client, applied->table[i].number) = applied->table[i];
    free(applied->table);
    *applied = grown;
    return true;
}

int applied_note(copy *c, uint64_t entry_at, const struct entry_header *header)
{
    bool change = header->kind == ENTRY_VALUE || header->kind == ENTRY_REMOVE;
    if (!change || header->client == 0 || header->number == 0 || !check_whole(c, entry_at))
        return BELAY_OK;
    struct applied *applied = &c->applied;
    if (2 * applied->count >= applied->capacity && !grow(applied))
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to list applied requests");
    struct copy_applied *place = place_of(applied, header->client, header->number);
    applied->count += place->version == 0;
    *place = (struct copy_applied){
        .client = header->client, .number = header->number, .version = header->version};
    if (header->kind == ENTRY_VALUE && header->value_length == sizeof place->value)
        entry_read(c, entry_at, ENTRY_HEADER + header->key_length, &place->value, sizeof place->value);
    return BELAY_OK;
}

const struct copy_applied *copy_applied_find(const copy *c, struct copy_origin origin)
{
    if (c->applied.capacity == 0 || origin.number == 0)
        return NULL;
    const struct copy_applied *place = place_of(&c->applied, origin.client, origin.number);
    return place->version != 0 ? place : NULL;
}

void applied_forget(copy *c)
{
    free(c->applied.table);
    c->applied = (struct applied){0};
}
