/* SPDX-License-Identifier: BSD-3-Clause */
#include "fabric/verbs_overflow.h"

#include "base/parts.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 4096, ALIGNMENT = 8 };

static size_t entry_size(const struct verbs_operation *operation)
{
    size_t body = operation->copied ? operation->length : 0;
    return sizeof *operation + (body + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_empty(const struct verbs_overflow *overflow)
{
    return overflow->head == overflow->tail;
}

/* Entries move to the front when that frees half of the memory, so each byte is moved at most once per byte appended. */
static bool make_room(struct verbs_overflow *overflow, size_t size)
{
    size_t used = overflow->tail - overflow->head;
    if (overflow->tail + size <= overflow->capacity)
        return true;
    if (used + size <= overflow->capacity / 2) {
        memmove(overflow->bytes, overflow->bytes + overflow->head, used);
    } else {
        size_t capacity = overflow->capacity ? overflow->capacity : CAPACITY_MIN;
        while (capacity < used + size)
            capacity *= 2;
        capacity *= 2;
        unsigned char *bytes = malloc(capacity);
        if (!bytes)
            return false;
        if (used > 0)
            memcpy(bytes, overflow->bytes + overflow->head, used);
        free(overflow->bytes);
        overflow->bytes = bytes;
        overflow->capacity = capacity;
    }
    overflow->last -= overflow->head;
    overflow->tail = used;
    overflow->head = 0;
    return true;
}

bool verbs_overflow_append(struct verbs_overflow *overflow, const struct verbs_operation *operation,
                           const struct iovec *parts, int count)
{
    size_t size = entry_size(operation);
    if (is_empty(overflow))
        overflow->head = overflow->tail = overflow->last = 0;
    if (!make_room(overflow, size))
        return false;
    unsigned char *place = overflow->bytes + overflow->tail;
    memcpy(place, operation, sizeof *operation);
    if (operation->copied)
        parts_copy(place + sizeof *operation, parts, count);
    overflow->last = overflow->tail;
    overflow->tail += size;
    return true;
}

static struct verbs_operation *entry_at(struct verbs_overflow *overflow, size_t position)
{
    return (struct verbs_operation *)(void *)(overflow->bytes + position);
}

struct verbs_operation *verbs_overflow_first(struct verbs_overflow *overflow, struct iovec *body)
{
    if (is_empty(overflow))
        return NULL;
    struct verbs_operation *operation = entry_at(overflow, overflow->head);
    body->iov_base = operation + 1;
    body->iov_len = operation->copied ? operation->length : 0;
    return operation;
}

void verbs_overflow_remove_first(struct verbs_overflow *overflow)
{
    overflow->head += entry_size(entry_at(overflow, overflow->head));
}

struct verbs_operation *verbs_overflow_last(struct verbs_overflow *overflow)
{
    return is_empty(overflow) ? NULL : entry_at(overflow, overflow->last);
}

void verbs_overflow_clear(struct verbs_overflow *overflow)
{
    free(overflow->bytes);
    *overflow = (struct verbs_overflow){0};
}
