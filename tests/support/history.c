/* SPDX-License-Identifier: BSD-3-Clause */
#include "history.h"

#include <stdlib.h>

void history_create(struct history *history, size_t capacity)
{
    *history = (struct history){.capacity = capacity};
    history->operations = malloc((capacity ? capacity : 1) * sizeof *history->operations);
    if (!history->operations)
        abort();
}

void history_destroy(struct history *history)
{
    free(history->operations);
    *history = (struct history){0};
}

int history_record(struct history *history, const struct history_operation *operation)
{
    if (history->count == history->capacity)
        return 0;
    history->operations[history->count++] = *operation;
    return 1;
}

static int by_key_and_time(const void *left, const void *right)
{
    const struct history_operation *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->invoked > b->invoked) - (a->invoked < b->invoked);
}

void history_sort(struct history *history)
{
    qsort(history->operations, history->count, sizeof *history->operations, by_key_and_time);
}

void history_print(FILE *out, const struct history_operation *operation)
{
    static const char *const names[HISTORY_KINDS] = {
        "get",         "contains",        "put",       "remove", "put_if_absent", "replace",
        "get_and_put", "compare_and_set", "fetch_add",
    };
    const char *name = operation->kind < HISTORY_KINDS ? names[operation->kind] : "?";
    fprintf(out, "  %llu..", (unsigned long long)operation->invoked);
    if (operation->returned == HISTORY_NEVER)
        fprintf(out, "never");
    else
        fprintf(out, "%llu", (unsigned long long)operation->returned);
    fprintf(out, " process %x.%u key %u: %s argument %llx expected %llx -> %d answer %llx version %llu\n",
            operation->process >> 16, operation->process & 0xffff, operation->key, name,
            (unsigned long long)operation->argument, (unsigned long long)operation->expected,
            operation->result, (unsigned long long)operation->answer, (unsigned long long)operation->version);
}
