/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction_record.h"

#include "base/own_key.h"

#include <stdlib.h>

void record_key(unsigned char key[RECORD_KEY_LENGTH], uint64_t id, uint16_t lane)
{
    uint32_t client = (uint32_t)(id >> 32), wide_lane = lane;
    memcpy(key, OWN_KEY_PREFIX, OWN_KEY_PREFIX_LENGTH);
    memcpy(key + OWN_KEY_PREFIX_LENGTH, &client, sizeof client);
    memcpy(key + OWN_KEY_PREFIX_LENGTH + sizeof client, &wide_lane, sizeof wide_lane);
}

/* ---- Reading ---- */

static size_t actions_at(const struct record_reader *reader)
{
    return sizeof reader->header + reader->header.participants * sizeof(struct record_place);
}

void record_rewind(struct record_reader *reader)
{
    reader->at = actions_at(reader);
    reader->actions_left = reader->header.actions;
}

bool record_open(struct record_reader *reader, const void *bytes, size_t length)
{
    if (length < sizeof reader->header)
        return false;
    *reader = (struct record_reader){.bytes = bytes, .length = length};
    memcpy(&reader->header, bytes, sizeof reader->header);
    if (reader->header.participants > length / sizeof(struct record_place) || actions_at(reader) > length)
        return false;
    record_rewind(reader);
    return true;
}

struct record_place record_participant(const struct record_reader *reader, uint32_t i)
{
    struct record_place place;
    memcpy(&place, reader->bytes + sizeof reader->header + i * sizeof place, sizeof place);
    return place;
}

bool record_next(struct record_reader *reader, struct record_action *action, const unsigned char **key,
                 const unsigned char **value)
{
    size_t left = reader->length - reader->at;
    if (reader->actions_left == 0 || left < sizeof *action)
        return false;
    memcpy(action, reader->bytes + reader->at, sizeof *action);
    left -= sizeof *action;
    if (action->key_length == 0 || action->key_length > BELAY_KEY_MAX || action->key_length > left ||
        action->value_length > left - action->key_length || action->kind > RECORD_REMOVE)
        return false;
    *key = reader->bytes + reader->at + sizeof *action;
    *value = *key + action->key_length;
    reader->at += sizeof *action + action->key_length + action->value_length;
    reader->actions_left--;
    return true;
}

bool record_sound(const struct record_reader *reader)
{
    struct record_reader copy = *reader;
    struct record_action action;
    const unsigned char *key, *value;
    record_rewind(&copy);
    while (record_next(&copy, &action, &key, &value))
        if (own_key(key, action.key_length))
            return false;
    return copy.actions_left == 0 && copy.at == copy.length;
}

/* ---- Building ---- */

void record_append(struct record_builder *builder, const void *bytes, size_t length)
{
    enum { CAPACITY_FIRST = 512 };
    if (builder->failed || length == 0)
        return;
    if (builder->capacity - builder->length < length) {
        size_t capacity = builder->capacity ? 2 * builder->capacity : CAPACITY_FIRST;
        while (capacity - builder->length < length)
            capacity *= 2;
        unsigned char *grown = realloc(builder->bytes, capacity);
        if (!grown) {
            builder->failed = true;
            return;
        }
        builder->bytes = grown;
        builder->capacity = capacity;
    }
    memcpy(builder->bytes + builder->length, bytes, length);
    builder->length += length;
}

void record_add(struct record_builder *builder, const struct record_action *action, const void *key,
                const void *value)
{
    record_append(builder, action, sizeof *action);
    record_append(builder, key, action->key_length);
    record_append(builder, value, action->value_length);
}
