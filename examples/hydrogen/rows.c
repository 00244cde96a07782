/* SPDX-License-Identifier: BSD-3-Clause */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct key {
    int32_t run, row;
    int32_t place; /* step modulo ROWS_KEPT, or ROWS_KEPT + step of a row that stays */
};

struct entry {
    int64_t step;
    double states[];
};

static size_t entry_size(const struct rows *rows)
{
    return sizeof(struct entry) + (size_t)rows->size * sizeof(double);
}

static enum rows_result failed(const char *what, int result)
{
    fprintf(stderr, "hydrogen: %s: %s (%s)\n", what, belay_strerror(result), belay_last_error());
    return ROWS_FAILED;
}

bool rows_open(belay_node *node, int size, struct rows *rows)
{
    /* A row that is lost with all its copies must be an error, not a row that has not been written yet. */
    belay_cache_config config = {.name = "field",
                                 .backups = 1,
                                 .write_synchronization_mode = BELAY_FULL_SYNC,
                                 .partition_loss_policy = BELAY_LOSS_READ_WRITE_SAFE,
                                 .partitions = 64};
    *rows = (struct rows){.size = size};
    rows->entry = malloc(entry_size(rows));
    if (!rows->entry) {
        perror("hydrogen");
        return false;
    }
    int result = belay_cache_open(node, &config, &rows->cache);
    return result == BELAY_OK || failed("opening the cache of the field", result) == ROWS_DONE;
}

void rows_close(struct rows *rows)
{
    belay_cache_close(rows->cache);
    free(rows->entry);
}

static enum rows_result write_at(struct rows *rows, int row, int place, int step, const double *states)
{
    struct key key = {rows->run, row, place};
    struct entry *entry = rows->entry;
    entry->step = step;
    memcpy(entry->states, states, (size_t)rows->size * sizeof *states);
    int result = belay_put(rows->cache, &key, sizeof key, entry, entry_size(rows), NULL);
    return result == BELAY_OK ? ROWS_DONE : failed("writing a row", result);
}

/* Leaves the row in rows->entry. */
static enum rows_result read_at(struct rows *rows, int row, int place)
{
    struct key key = {rows->run, row, place};
    size_t length;
    int result = belay_get(rows->cache, &key, sizeof key, rows->entry, entry_size(rows), &length);
    if (result == BELAY_ERR_NOT_FOUND)
        return ROWS_NOT_YET;
    return result == BELAY_OK ? ROWS_DONE : failed("reading a row", result);
}

static enum rows_result read_step(struct rows *rows, int row, int place, int step, double *states)
{
    const struct entry *entry = rows->entry;
    enum rows_result result = read_at(rows, row, place);
    if (result != ROWS_DONE)
        return result;
    if (entry->step < step)
        return ROWS_NOT_YET;
    if (entry->step > step) {
        fprintf(stderr, "hydrogen: row %d is at step %ld already, wanted is %d\n", row, (long)entry->step,
                step);
        return ROWS_FAILED;
    }
    memcpy(states, entry->states, (size_t)rows->size * sizeof *states);
    return ROWS_DONE;
}

enum rows_result rows_write(struct rows *rows, int row, int step, const double *states)
{
    return write_at(rows, row, step % ROWS_KEPT, step, states);
}

enum rows_result rows_read(struct rows *rows, int row, int step, double *states)
{
    return read_step(rows, row, step % ROWS_KEPT, step, states);
}

enum rows_result rows_last(struct rows *rows, int row, int *step)
{
    const struct entry *entry = rows->entry;
    *step = -1;
    for (int place = 0; place < ROWS_KEPT; ++place) {
        enum rows_result result = read_at(rows, row, place);
        if (result == ROWS_FAILED)
            return result;
        if (result == ROWS_DONE && entry->step > *step)
            *step = (int)entry->step;
    }
    return ROWS_DONE;
}

enum rows_result rows_keep(struct rows *rows, int row, int step, const double *states)
{
    return write_at(rows, row, ROWS_KEPT + step, step, states);
}

enum rows_result rows_read_kept(struct rows *rows, int row, int step, double *states)
{
    return read_step(rows, row, ROWS_KEPT + step, step, states);
}
