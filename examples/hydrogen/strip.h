/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file strip.h
 * Some rows of the field, computed step by step: diffusion, then chemistry. All a strip needs to go on is in the
 * cache: so any rank can, and gets the same bits.
 */
#ifndef HYDROGEN_STRIP_H
#define HYDROGEN_STRIP_H

#include "chemistry.h"
#include "rows.h"

struct strip {
    const struct problem *problem;
    int first, count; /* rows of the field */
    int step;         /* that `now` is at */
    double *now;      /* the rows, with one of the neighbour's before and one behind */
    double *next;
};

/* Strip number @p number of @p strips, at the last step of which all rows are in the cache, or at the beginning. False,
 * with a message, on failure. */
bool strip_open(struct strip *strip, const struct problem *problem, int number, int strips,
                struct rows *rows);

bool strip_is_open(const struct strip *strip);

/* One step, if the neighbours have come far enough. @p dies: in the middle of it. */
enum rows_result strip_advance(struct strip *strip, struct rows *rows, struct chemistry *chemistry,
                               bool reuse, bool dies);

void strip_close(struct strip *strip);

/* True if the rows of this step are kept for a picture. */
bool strip_is_pictured(const struct problem *problem, int step);

#endif
