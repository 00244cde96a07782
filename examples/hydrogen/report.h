/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file report.h
 * What all ranks did together, summed in the cache of the field; and what came out.
 */
#ifndef HYDROGEN_REPORT_H
#define HYDROGEN_REPORT_H

#include "chemistry.h"
#include "crew.h"
#include "rows.h"

struct tally {
    int64_t integrations, hits;
    int64_t computing; /* microseconds that the ranks' own threads have computed, in all */
};

/* Add this rank's part of a run; it has computed for so many microseconds. */
bool report_add(struct rows *rows, const struct chemistry *chemistry, int64_t computing);

/* Wait for the parts of all that live. */
bool report_sum(struct rows *rows, struct crew *crew, struct tally *tally);

/* Read the last step of run @p run: its checksum (equal for equal bits) and a line about it. */
bool report_field(struct rows *rows, const struct problem *problem, int run);

/* The differences between the last steps of runs 0 and 1. */
bool report_differences(struct rows *rows, const struct problem *problem);

/* Draw the kept rows of this run. */
bool report_pictures(struct rows *rows, const struct problem *problem);

#endif
