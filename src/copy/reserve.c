/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reserve.c
 * Entries whose value is filled in place before they get a version. Which places are reserved is kept here, not read
 * from the log: the address that a commit names may come from another node.
 */
#include "copy/copy_private.h"

#include <stdlib.h>

static struct reservation *find_reservation(copy *c, uint64_t entry_at)
{
    for (uint32_t i = 0; i < c->reservation_count; ++i)
        if (c->reservations[i].entry_at == entry_at)
            return &c->reservations[i];
    return NULL;
}

static int provide_reservation(copy *c)
{
    if (c->reservation_count < c->reservation_capacity)
        return BELAY_OK;
    uint32_t capacity = c->reservation_capacity ? 2 * c->reservation_capacity : 4;
    struct reservation *grown = realloc(c->reservations, capacity * sizeof *grown);
    if (!grown)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for %u reservations", capacity);
    c->reservations = grown;
    c->reservation_capacity = capacity;
    return BELAY_OK;
}

static void forget(copy *c, struct reservation *reservation)
{
    log_unpin(c, reservation->entry_at,
              copy_entry_size(reservation->key_length, reservation->value_length, reservation->ends));
    *reservation = c->reservations[--c->reservation_count];
}

/* Header and key, and the last segment's header, without which a log scan would miss what is appended there next. All
 * else is pushed with the commit. */
static void reserve_effects(const copy *c, struct copy_change *change, const struct log_place *place,
                            uint64_t entry_at, size_t key_length)
{
    uint64_t from = place->open ? address_of(&c->view, place->segment, 0) : entry_at;
    change_range(change, from, entry_at + entry_span(c, entry_at, ENTRY_HEADER + key_length) - from, true);
    if (place->further > 0)
        change_range(change, address_of(&c->view, place->segment + place->further, 0), LOG_FIRST, false);
}

int copy_reserve(copy *c, const void *key, size_t key_length, size_t value_length, bool ends, uint32_t client,
                 uint64_t *entry_at, uint64_t *value_at, struct copy_change *change)
{
    int result = change_check_lengths(key, key_length, value_length);
    if (result != BELAY_OK)
        return result;
    size_t bytes = copy_entry_size(key_length, value_length, ends);
    struct log_place place;
    result = log_plan(c, bytes, &place);
    if (result == BELAY_OK)
        result = provide_reservation(c);
    if (result != BELAY_OK)
        return result;

    uint64_t at = log_take(c, &place, bytes);
    struct entry_draft draft = {.kind = ENTRY_RESERVED,
                                .key = key,
                                .key_length = (uint16_t)key_length,
                                .value_length = (uint32_t)value_length,
                                .ends = ends};
    entry_write(c, at, &draft);
    log_pin(c, at, bytes);
    c->reservations[c->reservation_count++] = (struct reservation){.entry_at = at,
                                                                   .value_length = (uint32_t)value_length,
                                                                   .client = client,
                                                                   .key_length = (uint16_t)key_length,
                                                                   .ends = ends};
    change_begin(change, c->version);
    reserve_effects(c, change, &place, at, key_length);
    *value_at = log_advance(at, ENTRY_HEADER + key_length, c->view.segment_size);
    *entry_at = at;
    return BELAY_OK;
}

void copy_fill(copy *c, uint64_t value_at, uint64_t from, const void *bytes, size_t length)
{
    entry_fill(c, value_at, from, bytes, length);
}

/* The header goes last: behind a valid one lies a whole value. */
static void commit_effects(const copy *c, struct copy_change *change, uint64_t entry_at, size_t bytes)
{
    uint64_t span = entry_span(c, entry_at, bytes);
    change_range(change, entry_at + ENTRY_HEADER, span - ENTRY_HEADER, false);
    change_range(change, entry_at, ENTRY_HEADER, false);
}

int copy_commit(copy *c, uint64_t hash, const void *key, size_t key_length, uint64_t entry_at,
                uint64_t ends_at, struct copy_origin origin, struct copy_change *change)
{
    struct reservation *reservation = find_reservation(c, entry_at);
    if (!reservation || !key || !entry_has_key(c, entry_at, key, key_length) ||
        (ends_at && !reservation->ends))
        return log_quiet(BELAY_ERR_INVALID, "nothing is reserved for this key at %llu",
                         (unsigned long long)entry_at);
    struct key_state state;
    key_state(c, hash, key, key_length, &state);
    uint64_t slot_at = state.slot_at != NO_ADDRESS ? state.slot_at : index_vacant(c, hash);
    if (slot_at == NO_ADDRESS)
        return COPY_NEEDS_SPLIT;

    size_t bytes = copy_entry_size(key_length, reservation->value_length, reservation->ends);
    struct entry_draft draft = {.version = ++c->version,
                                .kind = ENTRY_VALUE,
                                .key = key,
                                .key_length = (uint16_t)key_length,
                                .value_length = reservation->value_length,
                                .ends = reservation->ends,
                                .origin = origin,
                                .ends_at = ends_at};
    entry_write(c, entry_at, &draft);
    if (ends_at)
        ending_note(c, entry_at, ends_at);
    forget(c, reservation);
    c->entries += state.entry_at == NO_ADDRESS;
    change_begin(change, c->version);
    change->hash = hash;
    change->entry_at = entry_at;
    commit_effects(c, change, entry_at, bytes);
    change_slot(c, change, slot_at, slot_make(hash, entry_at, bytes, (unsigned)c->version));
    return BELAY_OK;
}

int copy_abandon(copy *c, uint64_t entry_at, struct copy_change *change)
{
    struct reservation *reservation = find_reservation(c, entry_at);
    if (!reservation)
        return log_quiet(BELAY_ERR_INVALID, "nothing is reserved at %llu", (unsigned long long)entry_at);
    struct entry_header header = *entry_at_address(c, entry_at);
    header.kind = ENTRY_DEAD;
    entry_begin(c, entry_at, &header);
    entry_end(c, entry_at);
    size_t bytes = entry_bytes(&header);
    change_begin(change, c->version);
    commit_effects(c, change, entry_at, bytes); /* copies must be equal, what was filled in included */
    log_dead(c, entry_at, bytes);
    forget(c, reservation);
    return BELAY_OK;
}

bool copy_reserved_by(const copy *c, uint32_t client, uint64_t *entry_at)
{
    for (uint32_t i = 0; i < c->reservation_count; ++i)
        if (c->reservations[i].client == client) {
            *entry_at = c->reservations[i].entry_at;
            return true;
        }
    return false;
}
