/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include "value.h"

#include <stdlib.h>
#include <string.h>

void model_create(struct model *model, uint64_t first, uint64_t step, size_t count, uint32_t writer)
{
    *model = (struct model){.first = first, .step = step, .writer = writer, .count = count};
    model->entries = calloc(count, sizeof *model->entries);
    if (!model->entries)
        abort();
}

void model_destroy(struct model *model)
{
    free(model->entries);
    *model = (struct model){0};
}

uint64_t model_number(const struct model *model, size_t index)
{
    return model->first + index * model->step;
}

bool model_owns(const struct model *model, uint64_t number, size_t *index)
{
    if (number < model->first || (number - model->first) % model->step != 0)
        return false;
    *index = (number - model->first) / model->step;
    return *index < model->count;
}

void model_next_value(const struct model *model, size_t index, void *value, size_t length)
{
    struct value_origin origin = {.sequence = model->entries[index].sequence + 1, .writer = model->writer};
    value_make(model_number(model, index), origin, value, length);
}

void model_set(struct model *model, size_t index, size_t length)
{
    struct model_entry *entry = &model->entries[index];
    *entry = (struct model_entry){.sequence = entry->sequence + 1, .length = length, .present = true};
}

void model_remove(struct model *model, size_t index)
{
    model->entries[index].present = false;
}

void model_clear(struct model *model)
{
    for (size_t i = 0; i < model->count; ++i)
        model_remove(model, i);
}

size_t model_present(const struct model *model)
{
    size_t present = 0;
    for (size_t i = 0; i < model->count; ++i)
        present += model->entries[i].present;
    return present;
}

const char *model_fault(const struct model *model, size_t index, const void *value, size_t length)
{
    const struct model_entry *entry = &model->entries[index];
    struct value_origin origin;
    if (!entry->present)
        return "the key was removed";
    const char *fault = value_fault(model_number(model, index), value, length, &origin);
    if (fault)
        return fault;
    if (length != entry->length)
        return "a whole value of this key, but not the newest: another length";
    if (length < VALUE_DESCRIBED)
        return NULL;
    if (origin.writer != model->writer)
        return "written by somebody else";
    return origin.sequence == entry->sequence ? NULL : "a whole value of this key, but not the newest";
}

size_t model_random_length(struct random_source *source, size_t longest)
{
    uint64_t dice = random_below(source, 1000);
    size_t length;
    if (dice < 200)
        length = random_below(source, VALUE_DESCRIBED);
    else if (dice < 750)
        length = random_between(source, VALUE_DESCRIBED, 256);
    else if (dice < 975)
        length = random_between(source, 256, 8 * 1024);
    else if (dice < 997)
        length = random_between(source, 8 * 1024, 64 * 1024);
    else
        length = random_between(source, 64 * 1024, 512 * 1024);
    return length < longest ? length : longest;
}
