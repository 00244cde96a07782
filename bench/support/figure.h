/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file figure.h
 * One figure of a suite: a sample per run, their median, and where single operations were timed the distribution.
 * Printed as one line of JSON; bench/run puts the lines together.
 */
#ifndef BENCH_FIGURE_H
#define BENCH_FIGURE_H

#include "tool/latency.h"

#include <stdbool.h>
#include <stddef.h>

enum { FIGURE_SAMPLES = 256 };

struct figure {
    const char *name, *unit;
    unsigned count;
    double samples[FIGURE_SAMPLES];
    double user_ns,
        system_ns; /* processor time of the measuring process, all its threads; of `timed` operations */
    double timed;
    struct latency *latency; /* of single operations, in ns; NULL: they were not timed */
};

/* Samples beyond FIGURE_SAMPLES are dropped. */
void figure_add(struct figure *figure, double sample);

/* The median of @p count numbers, which are put in order. */
double median(double *numbers, size_t count);

double figure_median(const struct figure *figure);

/* One JSON object. @p limit: what the cost is compared with, or NULL. */
void figure_print(const char *suite, const struct figure *figure, const struct figure *limit);

#endif
