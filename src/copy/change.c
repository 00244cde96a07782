/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file change.c
 * Put, remove, publish: an entry is appended, and its key's slot is switched to it when the caller says so.
 */
#include "copy/copy_private.h"

/* ---- Effects ---- */

void change_begin(struct copy_change *change, uint64_t version)
{
    change->version = version;
    change->slot_at = 0;
    change->slot = 0;
    change->effect_count = 0;
    change->hash = 0;
    change->entry_at = 0;
    change->superseded = change->staged = false;
    change->newer = change->older = NULL;
}

void change_range(struct copy_change *change, uint64_t address, uint64_t length, bool changes)
{
    change->effects[change->effect_count++] = (struct copy_effect){address, length, 0, false, changes};
}

void change_word(struct copy_change *change, uint64_t address, uint64_t word)
{
    change->effects[change->effect_count++] = (struct copy_effect){address, sizeof word, word, true, false};
}

uint64_t entry_span(const copy *c, uint64_t entry_at, size_t bytes)
{
    return log_advance(entry_at, bytes - 1, c->view.segment_size) + 1 - entry_at;
}

void change_entry(const copy *c, struct copy_change *change, const struct log_place *place, uint64_t entry_at,
                  size_t bytes)
{
    const struct entry_header *header = entry_at_address(c, entry_at);
    uint64_t opened_at = address_of(&c->view, place->segment, 0);
    uint64_t span = entry_span(c, entry_at, bytes);
    if (header->flags & ENTRY_SEALED_WHOLE) {
        uint64_t from = place->open ? opened_at : entry_at;
        change_range(change, from, entry_at + span - from, false);
        return;
    }
    if (place->open)
        change_range(change, opened_at, sizeof(struct segment_header), false);
    change_range(change, entry_at + ENTRY_HEADER, span - ENTRY_HEADER, false);
    change_range(change, entry_at, ENTRY_HEADER, false);
}

void change_slot(copy *c, struct copy_change *change, uint64_t slot_at, slot_word slot)
{
    change->slot_at = slot_at;
    change->slot = slot;
    change_word(change, slot_at, slot);
    pending_add(c, change);
}

/* ---- Looking ---- */

void key_state(const copy *c, uint64_t hash, const void *key, size_t key_length, struct key_state *state)
{
    const struct copy_change *change = c->newest ? pending_find(c, hash, key, key_length) : NULL;
    if (change) {
        *state = (struct key_state){change->slot_at, change->slot ? change->entry_at : NO_ADDRESS,
                                    change->version};
        return;
    }
    struct index_place place;
    const struct entry_header *header = index_find(c, hash, key, key_length, &place);
    *state = (struct key_state){place.slot_at, header ? slot_address(place.slot) : NO_ADDRESS, 0};
}

int copy_find(const copy *c, uint64_t hash, const void *key, size_t key_length, struct copy_found *found)
{
    struct key_state state;
    key_state(c, hash, key, key_length, &state);
    *found = (struct copy_found){.pending = state.pending};
    if (state.entry_at == NO_ADDRESS)
        return BELAY_ERR_NOT_FOUND;
    const struct entry_header *header = entry_at_address(c, state.entry_at);
    found->version = header->version;
    found->entry_at = state.entry_at;
    found->value_length = header->value_length;
    found->ends_at = entry_ends_at(c, state.entry_at);
    return BELAY_OK;
}

/* ---- Staging ---- */

static int check_key(const void *key, size_t key_length)
{
    if (!key || key_length == 0)
        return log_quiet(BELAY_ERR_INVALID, "a key has at least one byte");
    if (key_length > BELAY_KEY_MAX)
        return log_quiet(BELAY_ERR_TOO_LARGE, "a key of %zu bytes is longer than %u", key_length,
                         BELAY_KEY_MAX);
    return BELAY_OK;
}

int change_check_lengths(const void *key, size_t key_length, size_t value_length)
{
    if (value_length > BELAY_VALUE_MAX)
        return log_quiet(BELAY_ERR_TOO_LARGE, "a value of %zu bytes is longer than %u", value_length,
                         BELAY_VALUE_MAX);
    return check_key(key, key_length);
}

int copy_put(copy *c, uint64_t hash, const void *key, size_t key_length, const void *value,
             size_t value_length, uint64_t ends_at, struct copy_origin origin, struct copy_change *change)
{
    int result = change_check_lengths(key, key_length, value_length);
    if (result != BELAY_OK)
        return result;
    if (!value && value_length > 0)
        return log_quiet(BELAY_ERR_INVALID, "a value of %zu bytes is NULL", value_length);
    struct key_state state;
    key_state(c, hash, key, key_length, &state);
    uint64_t slot_at = state.slot_at != NO_ADDRESS ? state.slot_at : index_vacant(c, hash);
    if (slot_at == NO_ADDRESS)
        return COPY_NEEDS_SPLIT;
    size_t bytes = copy_entry_size(key_length, value_length, ends_at != 0);
    struct log_place place;
    result = log_plan(c, bytes, &place);
    if (result != BELAY_OK)
        return result;

    uint64_t entry_at = log_take(c, &place, bytes);
    struct entry_draft draft = {.version = ++c->version,
                                .key = key,
                                .value = value,
                                .value_length = (uint32_t)value_length,
                                .key_length = (uint16_t)key_length,
                                .kind = ENTRY_VALUE,
                                .ends = ends_at != 0,
                                .origin = origin,
                                .ends_at = ends_at};
    entry_write(c, entry_at, &draft);
    if (ends_at)
        ending_note(c, entry_at, ends_at);
    c->entries += state.entry_at == NO_ADDRESS;
    change_begin(change, c->version);
    change->hash = hash;
    change->entry_at = entry_at;
    change_entry(c, change, &place, entry_at, bytes);
    change_slot(c, change, slot_at, slot_make(hash, entry_at, bytes, (unsigned)c->version));
    return BELAY_OK;
}

int copy_remove(copy *c, uint64_t hash, const void *key, size_t key_length, struct copy_origin origin,
                struct copy_change *change)
{
    int result = check_key(key, key_length);
    if (result != BELAY_OK)
        return result;
    struct key_state state;
    key_state(c, hash, key, key_length, &state);
    if (state.entry_at == NO_ADDRESS)
        return BELAY_ERR_NOT_FOUND;
    size_t bytes = entry_size(key_length, 0);
    struct log_place place;
    result = log_plan(c, bytes, &place);
    if (result != BELAY_OK)
        return result;

    uint64_t entry_at = log_take(c, &place, bytes);
    struct entry_draft draft = {.version = ++c->version,
                                .key = key,
                                .key_length = (uint16_t)key_length,
                                .kind = ENTRY_REMOVE,
                                .origin = origin};
    entry_write(c, entry_at, &draft);
    c->entries--;
    change_begin(change, c->version);
    change->hash = hash;
    change->entry_at = entry_at;
    change_entry(c, change, &place, entry_at, bytes);
    change_slot(c, change, state.slot_at, 0);
    log_dead(c, entry_at, bytes); /* nothing will ever point to it */
    return BELAY_OK;
}

int copy_keep_result(copy *c, struct copy_origin origin, const void *result, size_t length,
                     struct copy_change *change)
{
    size_t bytes = entry_size(0, length);
    struct log_place place;
    int planned = log_plan(c, bytes, &place);
    if (planned != BELAY_OK)
        return planned;
    uint64_t entry_at = log_take(c, &place, bytes);
    struct entry_draft draft = {.version = ++c->version,
                                .value = result,
                                .value_length = (uint32_t)length,
                                .kind = ENTRY_RESULT,
                                .origin = origin};
    entry_write(c, entry_at, &draft);
    change_begin(change, c->version);
    change_entry(c, change, &place, entry_at, bytes);
    log_dead(c, entry_at, bytes);
    return BELAY_OK;
}

/* ---- Publishing ---- */

void change_entry_dead(copy *c, uint64_t entry_at)
{
    log_dead(c, entry_at, entry_bytes(entry_at_address(c, entry_at)));
}

void copy_publish(copy *c, struct copy_change *change)
{
    if (!change->staged)
        return;
    if (change->older)
        pending_supersede(change);
    slot_word *slot = slot_memory(c, change->slot_at);
    slot_word before = change->superseded ? change->slot : *slot;
    if (!change->superseded)
        store64_release(slot, change->slot);
    pending_remove(c, change);
    if (before != 0)
        change_entry_dead(c, slot_address(before));
}
