/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file rows.h
 * The field, row by row, in a Belay cache with one backup. Who dies leaves every row he has written; neighbours get
 * each other's rows here, and nothing goes through MPI once the ranks compute.
 *
 * A row's last ROWS_KEPT steps are kept. That is enough: a rank is at most two steps ahead of a neighbour that stands
 * still, for it needs the neighbour's rows.
 */
#ifndef HYDROGEN_ROWS_H
#define HYDROGEN_ROWS_H

#include <belay.h>
#include <stdbool.h>

enum { ROWS_KEPT = 4 };

struct rows {
    belay_cache *cache;
    int run;     /* which of the program's runs */
    int size;    /* doubles of a row */
    void *entry; /* room for one */
};

enum rows_result { ROWS_FAILED = -1, ROWS_DONE, ROWS_NOT_YET };

/* All but rows_close() print what failed. */
bool rows_open(belay_node *node, int size, struct rows *rows);
void rows_close(struct rows *rows);

enum rows_result rows_write(struct rows *rows, int row, int step, const double *states);

/* ROWS_NOT_YET: its owner has not come that far. */
enum rows_result rows_read(struct rows *rows, int row, int step, double *states);

/* The last step of a row that has been written; -1 if none. */
enum rows_result rows_last(struct rows *rows, int row, int *step);

/* The same for rows that stay: those of pictures. */
enum rows_result rows_keep(struct rows *rows, int row, int step, const double *states);
enum rows_result rows_read_kept(struct rows *rows, int row, int step, double *states);

#endif
