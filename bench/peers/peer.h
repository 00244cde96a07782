/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs that measure other stores share: their keys, and timing of calls one at a time. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "support/clock.h"
#include "support/figure.h"
#include "support/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 16, VALUE_SIZE = 64, BATCH = 32, RUNS = 9, LOADED_AT_ONCE = 1000 };

/* Printable, since memcached's keys have to be. */
static inline void key_make(uint64_t number, char key[KEY_SIZE + 1])
{
    snprintf(key, KEY_SIZE + 1, "k%015llx", (unsigned long long)(random_mix(number) >> 4));
}

static inline void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* RUNS samples of the mean over the calls of @p nanoseconds each, and the distribution of single calls.
 * @p per_call: operations in one call. */
static inline void measure(const char *name, const char *unit, void (*call)(void *), void *context,
                           double per_call, uint64_t nanoseconds)
{
    static struct latency latency;
    struct figure figure = {.name = name, .unit = unit, .latency = &latency};
    memset(&latency, 0, sizeof latency);
    for (int i = 0; i < 100; ++i)
        call(context);
    for (int run = 0; run < RUNS; ++run) {
        uint64_t begun = clock_ns(), now = begun, calls = 0;
        while (now - begun < nanoseconds) {
            call(context);
            uint64_t ended = clock_ns();
            latency_record(&latency, ended - now);
            now = ended;
            ++calls;
        }
        figure_add(&figure, (double)(now - begun) / (double)calls / per_call);
    }
    if (per_call > 1)
        figure.latency = NULL;
    figure_print("host", &figure, NULL);
}

#endif
