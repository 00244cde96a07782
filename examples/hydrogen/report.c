/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include "picture.h"
#include "strip.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURNT 2000.0 /* K */

enum { PIXELS = 4 };

static bool add(struct rows *rows, const char *what, int64_t amount, int64_t *before)
{
    char key[32];
    int length = snprintf(key, sizeof key, "%s %d", what, rows->run);
    int result = belay_fetch_add(rows->cache, key, (size_t)length, amount, NULL, before);
    if (result != BELAY_OK)
        fprintf(stderr, "hydrogen: %s: %s (%s)\n", what, belay_strerror(result), belay_last_error());
    return result == BELAY_OK;
}

bool report_add(struct rows *rows, const struct chemistry *chemistry, int64_t computing)
{
    return add(rows, "integrations", (int64_t)chemistry->integrations, NULL) &&
           add(rows, "hits", (int64_t)chemistry->hits, NULL) && add(rows, "computing", computing, NULL) &&
           add(rows, "ranks", 1, NULL);
}

bool report_sum(struct rows *rows, struct crew *crew, struct tally *tally)
{
    int64_t ranks = 0;
    while (ranks < crew_living(crew)) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        if (!add(rows, "ranks", 0, &ranks))
            return false;
    }
    return add(rows, "integrations", 0, &tally->integrations) && add(rows, "hits", 0, &tally->hits) &&
           add(rows, "computing", 0, &tally->computing);
}

/* All rows of one step; to be freed. NULL, with a message, on failure. */
static double *read_field(struct rows *rows, const struct problem *problem, int step, bool kept)
{
    size_t size = (size_t)problem_row_size(problem);
    double *field = malloc(size * (size_t)problem->cells * sizeof *field);
    for (int row = 0; field && row < problem->cells; ++row)
        if ((kept ? rows_read_kept : rows_read)(rows, row, step, field + size * (size_t)row) != ROWS_DONE) {
            free(field);
            field = NULL;
        }
    if (!field)
        fprintf(stderr, "hydrogen: the field of step %d cannot be read\n", step);
    return field;
}

/* FNV-1a. */
static uint64_t checksum(const double *field, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)field;
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < count * sizeof *field; ++i)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

bool report_field(struct rows *rows, const struct problem *problem, int run)
{
    size_t size = (size_t)problem_state_size(problem),
           cells = (size_t)problem->cells * (size_t)problem->cells;
    rows->run = run;
    double *field = read_field(rows, problem, problem->steps, false), hottest = 0;
    size_t burnt = 0;
    if (!field)
        return false;
    for (size_t cell = 0; cell < cells; ++cell) {
        hottest = fmax(hottest, field[cell * size]);
        burnt += field[cell * size] > BURNT;
    }
    printf("field: %016" PRIx64 ", %.1f %% burnt, at most %.0f K\n", checksum(field, cells * size),
           100.0 * (double)burnt / (double)cells, hottest);
    free(field);
    return true;
}

bool report_differences(struct rows *rows, const struct problem *problem)
{
    size_t size = (size_t)problem_state_size(problem),
           cells = (size_t)problem->cells * (size_t)problem->cells;
    double *fields[2] = {NULL, NULL}, sum = 0, most = 0;
    for (int run = 0; run < 2; ++run) {
        rows->run = run;
        fields[run] = read_field(rows, problem, problem->steps, false);
    }
    bool good = fields[0] && fields[1];
    for (size_t cell = 0; good && cell < cells; ++cell) {
        double difference = fabs(fields[0][cell * size] - fields[1][cell * size]);
        sum += difference;
        most = fmax(most, difference);
    }
    if (good)
        printf("differences by reuse: %.3f K on average, %.3f K at most\n", sum / (double)cells, most);
    free(fields[0]);
    free(fields[1]);
    return good;
}

/* Temperature on the left, OH on the right. */
static bool draw(const struct problem *problem, const double *field, int step)
{
    int cells = problem->cells, size = problem_state_size(problem),
        oh = mechanism_find(&problem->mechanism, "OH");
    char path[4096];
    struct picture *picture = picture_new(2 * cells, cells, PIXELS);
    if (!picture)
        return false;
    for (int row = 0; row < cells; ++row)
        for (int column = 0; column < cells; ++column) {
            const double *state = field + (row * cells + column) * size;
            picture_set(picture, column, row, state[0], 800, 3200);
            picture_set(picture, cells + column, row, oh >= 0 ? state[1 + oh] : 0, 0, 0.04);
        }
    snprintf(path, sizeof path, "%s-%05d.png", problem->picture, step);
    bool good = picture_write(picture, path);
    if (good)
        printf("picture: %s, after %.1f us: temperature and OH\n", path, 1e6 * step * problem->step);
    picture_free(picture);
    return good;
}

bool report_pictures(struct rows *rows, const struct problem *problem)
{
    bool good = true;
    for (int step = 1; good && step <= problem->steps; ++step) {
        if (!strip_is_pictured(problem, step))
            continue;
        double *field = read_field(rows, problem, step, true);
        good = field && draw(problem, field, step);
        free(field);
    }
    return good;
}
