/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_tally.h"

void found_add(struct stage_found *sum, const struct stage_found *part)
{
    sum->files += part->files;
    sum->bytes += part->bytes;
    sum->unreadable += part->unreadable;
    sum->intact += part->intact;
    sum->changed += part->changed;
    sum->differing += part->differing;
    sum->lost += part->lost;
}

static void timing_add(struct stage_timing *sum, const struct stage_timing *part)
{
    sum->in_cache += part->in_cache;
    sum->bytes += part->bytes;
    sum->workers += part->workers;
    if (part->elapsed > sum->elapsed)
        sum->elapsed = part->elapsed;
    latency_add(&sum->latency, &part->latency);
}

void tally_add(struct stage_tally *sum, const struct stage_tally *part)
{
    timing_add(&sum->put, &part->put);
    timing_add(&sum->get, &part->get);
    if (part->pause > sum->pause)
        sum->pause = part->pause;
}

double timing_rate(const struct stage_timing *timing, const struct stage_found *found)
{
    return timing->elapsed ? (double)found->bytes * 1e9 / (double)timing->elapsed : 0;
}

double timing_cache_rate(const struct stage_timing *timing)
{
    return timing->in_cache ? (double)timing->bytes * 1e9 * (double)timing->workers / (double)timing->in_cache
                            : 0;
}
