/* SPDX-License-Identifier: BSD-3-Clause */
/* The forms of `belay stats`, one file each, and the figures that all of them show. All print to standard output. */
#ifndef BELAY_TOOL_STATS_H
#define BELAY_TOOL_STATS_H

#include "tool/attach.h"

#include <stdbool.h>

/* One figure of a node's share in a cache. */
struct stats_figure {
    const char *name, *meaning;
    bool counts; /* only ever grows while the node lives; else it is as it is now */
    bool wide;   /* 64 bits */
    size_t offset;
};
extern const struct stats_figure stats_figures[];
extern const size_t stats_figure_count;
uint64_t stats_value(const struct stats_figure *figure, const struct observed_share *share);

/* Names of the histograms of a share, in their order. */
extern const char *const stats_latency_names[TIMED_KINDS];

void stats_print_table(const struct attached_job *job);
bool stats_print_json(const struct attached_job *job); /* false: no memory, or not written */
void stats_print_prometheus(const struct attached_job *job);

#endif
