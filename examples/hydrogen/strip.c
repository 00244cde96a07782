/* SPDX-License-Identifier: BSD-3-Clause */
#include "strip.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static double *row_of(const struct strip *strip, double *states, int row)
{
    return states + (ptrdiff_t)(1 + row) * problem_row_size(strip->problem);
}

bool strip_is_open(const struct strip *strip)
{
    return strip->now != NULL;
}

bool strip_is_pictured(const struct problem *problem, int step)
{
    return problem->picture && (long)step * problem->pictures / problem->steps !=
                                   (long)(step - 1) * problem->pictures / problem->steps;
}

/* The last step of which all rows are there; -1: not even the first. */
static bool find_step(struct strip *strip, struct rows *rows, int *step)
{
    *step = strip->problem->steps;
    for (int row = 0; row < strip->count; ++row) {
        int last;
        if (rows_last(rows, strip->first + row, &last) == ROWS_FAILED)
            return false;
        if (last < *step)
            *step = last;
    }
    return true;
}

static bool begin(struct strip *strip, struct rows *rows)
{
    strip->step = 0;
    for (int row = 0; row < strip->count; ++row) {
        problem_begin_row(strip->problem, strip->first + row, row_of(strip, strip->now, row));
        if (rows_write(rows, strip->first + row, 0, row_of(strip, strip->now, row)) != ROWS_DONE)
            return false;
    }
    return true;
}

bool strip_open(struct strip *strip, const struct problem *problem, int number, int strips, struct rows *rows)
{
    *strip = (struct strip){.problem = problem, .first = problem->cells * number / strips};
    strip->count = problem->cells * (number + 1) / strips - strip->first;
    size_t rows_in_all = (size_t)strip->count + 2;
    strip->now = calloc(rows_in_all, (size_t)problem_row_size(problem) * sizeof *strip->now);
    strip->next = calloc(rows_in_all, (size_t)problem_row_size(problem) * sizeof *strip->next);
    if (!strip->now || !strip->next) {
        perror("hydrogen");
        return false;
    }
    if (!find_step(strip, rows, &strip->step))
        return false;
    if (strip->step < 0)
        return begin(strip, rows);
    for (int row = 0; row < strip->count; ++row)
        if (rows_read(rows, strip->first + row, strip->step, row_of(strip, strip->now, row)) != ROWS_DONE)
            return false;
    return true;
}

void strip_close(struct strip *strip)
{
    free(strip->now);
    free(strip->next);
    *strip = (struct strip){0};
}

/* The row beside the strip: the neighbour's, or at the edge of the field, which nothing passes, the strip's own. */
static enum rows_result read_beside(struct strip *strip, struct rows *rows, int row, int own)
{
    int beside = strip->first + row;
    if (beside >= 0 && beside < strip->problem->cells)
        return rows_read(rows, beside, strip->step, row_of(strip, strip->now, row));
    memcpy(row_of(strip, strip->now, row), row_of(strip, strip->now, own),
           (size_t)problem_row_size(strip->problem) * sizeof(double));
    return ROWS_DONE;
}

static void diffuse(struct strip *strip, int row)
{
    const struct problem *problem = strip->problem;
    int size = problem_state_size(problem), last = problem->cells - 1;
    double reach = problem->diffusivity * problem->step / (problem->cell * problem->cell);
    const double *above = row_of(strip, strip->now, row - 1), *here = row_of(strip, strip->now, row);
    const double *below = row_of(strip, strip->now, row + 1);
    double *next = row_of(strip, strip->next, row);
    for (int column = 0; column <= last; ++column) {
        const double *left = here + (column > 0 ? column - 1 : 0) * size;
        const double *right = here + (column < last ? column + 1 : last) * size;
        for (int i = 0; i < size; ++i) {
            int at = column * size + i;
            next[at] = here[at] + reach * ((above[at] + below[at]) + (left[i] + right[i]) - 4 * here[at]);
        }
    }
}

static bool react(struct strip *strip, int row, struct chemistry *chemistry, bool reuse)
{
    int size = problem_state_size(strip->problem);
    double *states = row_of(strip, strip->next, row);
    for (int column = 0; column < strip->problem->cells; ++column)
        if (!chemistry_step(chemistry, reuse, states + column * size))
            return false;
    return true;
}

enum rows_result strip_advance(struct strip *strip, struct rows *rows, struct chemistry *chemistry,
                               bool reuse, bool dies)
{
    enum rows_result result = read_beside(strip, rows, -1, 0);
    if (result == ROWS_DONE)
        result = read_beside(strip, rows, strip->count, strip->count - 1);
    for (int row = 0; result == ROWS_DONE && row < strip->count; ++row) {
        if (dies && row == strip->count / 2)
            raise(SIGKILL);
        diffuse(strip, row);
        if (!react(strip, row, chemistry, reuse))
            return ROWS_FAILED;
        if (strip_is_pictured(strip->problem, strip->step + 1))
            result = rows_keep(rows, strip->first + row, strip->step + 1, row_of(strip, strip->next, row));
        if (result == ROWS_DONE)
            result = rows_write(rows, strip->first + row, strip->step + 1, row_of(strip, strip->next, row));
    }
    if (result != ROWS_DONE)
        return result;
    double *then = strip->now;
    strip->now = strip->next;
    strip->next = then;
    ++strip->step;
    return ROWS_DONE;
}
