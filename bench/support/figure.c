/* SPDX-License-Identifier: BSD-3-Clause */
#include "figure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void figure_add(struct figure *figure, double sample)
{
    if (figure->count < FIGURE_SAMPLES)
        figure->samples[figure->count++] = sample;
}

static int ascending(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

double median(double *numbers, size_t count)
{
    if (count == 0)
        return 0;
    qsort(numbers, count, sizeof *numbers, ascending);
    return (numbers[(count - 1) / 2] + numbers[count / 2]) / 2;
}

double figure_median(const struct figure *figure)
{
    double sorted[FIGURE_SAMPLES];
    memcpy(sorted, figure->samples, figure->count * sizeof *sorted);
    return median(sorted, figure->count);
}

static void print_samples(const struct figure *figure)
{
    double sorted[FIGURE_SAMPLES];
    memcpy(sorted, figure->samples, figure->count * sizeof *sorted);
    qsort(sorted, figure->count, sizeof *sorted, ascending);
    printf(", \"runs\": %u, \"least\": %.6g, \"most\": %.6g", figure->count, sorted[0],
           sorted[figure->count - 1]);
}

/* Of the measuring process per operation: what it did itself, and what the kernel did for it (on Soft-RoCE: the device). */
static void print_processor_time(const struct figure *figure)
{
    if (figure->timed > 0)
        printf(", \"user_ns\": %.4g, \"system_ns\": %.4g", figure->user_ns / figure->timed,
               figure->system_ns / figure->timed);
}

static void print_latency(const struct latency *l)
{
    printf(", \"p50\": %llu, \"p99\": %llu, \"p99.9\": %llu, \"max\": %llu, \"operations\": %llu",
           (unsigned long long)latency_percentile(l, 50), (unsigned long long)latency_percentile(l, 99),
           (unsigned long long)latency_percentile(l, 99.9), (unsigned long long)l->longest,
           (unsigned long long)l->count);
    printf(", \"distribution\": [");
    static const double percents[] = {0.1, 1,  5,  10, 20, 30, 40,   50,   60,
                                      70,  80, 90, 95, 98, 99, 99.5, 99.9, 99.99};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; ++i)
        printf("%s[%g, %llu]", i ? ", " : "", percents[i],
               (unsigned long long)latency_percentile(l, percents[i]));
    printf("]");
}

void figure_print(const char *suite, const struct figure *figure, const struct figure *limit)
{
    if (figure->count == 0)
        return;
    double value = figure_median(figure);
    printf("{\"suite\": \"%s\", \"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"", suite, figure->name,
           value, figure->unit);
    if (limit && limit->count > 0) {
        double bare = figure_median(limit);
        printf(", \"limit_name\": \"%s\", \"limit\": %.6g, \"ratio\": %.4g", limit->name, bare, value / bare);
    }
    print_samples(figure);
    print_processor_time(figure);
    if (figure->latency && figure->latency->count > 0)
        print_latency(figure->latency);
    printf("}\n");
}
