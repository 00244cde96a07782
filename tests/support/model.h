/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file model.h
 * What a cache must hold of the keys that one thread alone writes: a plain table by key
 * number. Since values follow from (key, writer, sequence, length), the table has no bytes.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_entry {
    uint64_t sequence; /* of the last update; goes on growing when the key is removed and put again */
    size_t length;
    bool present;
};

struct model {
    uint64_t first, step; /* index i is the key number first + i * step */
    uint32_t writer;
    size_t count;
    struct model_entry *entries;
};

void model_create(struct model *model, uint64_t first, uint64_t step, size_t count, uint32_t writer);
void model_destroy(struct model *model);

uint64_t model_number(const struct model *model, size_t index);
bool model_owns(const struct model *model, uint64_t number, size_t *index);

/* The bytes of this key's next value; to be followed by model_set() once it is written. */
void model_next_value(const struct model *model, size_t index, void *value, size_t length);
void model_set(struct model *model, size_t index, size_t length);
void model_remove(struct model *model, size_t index);
void model_clear(struct model *model);

size_t model_present(const struct model *model);

/* How this value differs from the one the key must have now, or NULL. */
const char *model_fault(const struct model *model, size_t index, const void *value, size_t length);

/* A length as programs have them: mostly small, sometimes none, rarely more than a message or a segment. */
size_t model_random_length(struct random_source *source, size_t longest);

#endif
