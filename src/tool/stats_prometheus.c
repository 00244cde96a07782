/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of a job in Prometheus' text format, version 0.0.4: all samples of a metric stand together. */
#include "tool/stats.h"

#include <inttypes.h>
#include <stdio.h>

static void print_head(const char *name, const char *suffix, const char *meaning, bool counts)
{
    printf("# HELP belay_%s%s %s\n# TYPE belay_%s%s %s\n", name, suffix, meaning, name, suffix,
           counts ? "counter" : "gauge");
}

/* For inside of quotes. @p escaped: room for twice as much. */
static void escape_label(const char *text, char *escaped)
{
    for (; *text; ++text) {
        if (*text == '"' || *text == '\\')
            *escaped++ = '\\';
        *escaped++ = *text;
    }
    *escaped = '\0';
}

static void print_label(const char *text)
{
    char escaped[2 * BELAY_CACHE_NAME_MAX + 65];
    escape_label(text, escaped);
    fputs(escaped, stdout);
}

static void print_nodes(const struct attached_job *job, const char *name, const char *meaning, bool counts,
                        size_t offset)
{
    const char *suffix = counts ? "_total" : "";
    print_head(name, suffix, meaning, counts);
    for (uint32_t i = 0; i < job->head->nodes; ++i) {
        const struct observed_node *node = &job->nodes[i];
        printf("belay_%s%s{node=\"%d\",host=\"", name, suffix, node->id);
        print_label(node->host);
        printf("\",role=\"%s\"} %" PRIu64 "\n", attached_role(node->role),
               *(const uint64_t *)(const void *)((const char *)node + offset));
    }
}

static void print_figure(const struct attached_job *job, const struct stats_figure *figure)
{
    const char *suffix = figure->counts ? "_total" : "";
    char name[64];
    snprintf(name, sizeof name, "cache_%s", figure->name);
    print_head(name, suffix, figure->meaning, figure->counts);
    for (uint32_t i = 0; i < job->head->caches; ++i) {
        const struct attached_cache *cache = &job->caches[i];
        for (uint32_t j = 0; j < cache->count; ++j) {
            printf("belay_%s%s{cache=\"", name, suffix);
            print_label(cache->cache->settings.name);
            printf("\",node=\"%d\"} %" PRIu64 "\n", cache->shares[j].node,
                   stats_value(figure, &cache->shares[j]));
        }
    }
}

/* Its own buckets are finer than is of use there: powers of two, to where nothing is above. */
static void print_histogram(const char *name, const char *labels, const belay_latencies *latencies)
{
    enum { FIRST_BITS = 6, LAST_BITS = 34 };
    uint64_t below = 0;
    unsigned next = 0;
    for (unsigned bits = FIRST_BITS; bits <= LAST_BITS; ++bits) {
        for (; next < BELAY_LATENCY_BUCKETS && timing_bucket_end(next) < UINT64_C(1) << bits; ++next)
            below += latencies->buckets[next];
        printf("belay_%s_bucket{%s,le=\"%.9g\"} %" PRIu64 "\n", name, labels,
               (double)(UINT64_C(1) << bits) / 1e9, below);
    }
    printf("belay_%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, labels, latencies->count);
    printf("belay_%s_sum{%s} %.9g\nbelay_%s_count{%s} %" PRIu64 "\n", name, labels,
           (double)latencies->sum_ns / 1e9, name, labels, latencies->count);
}

static void print_latencies(const struct attached_job *job, int kind)
{
    char name[64], cache_name[2 * BELAY_CACHE_NAME_MAX + 1], labels[sizeof cache_name + 64];
    snprintf(name, sizeof name, "cache_%s_duration_seconds", stats_latency_names[kind]);
    printf("# HELP belay_%s durations of one %s in %d\n# TYPE belay_%s histogram\n", name,
           stats_latency_names[kind], TIMED_OF, name);
    for (uint32_t i = 0; i < job->head->caches; ++i) {
        const struct attached_cache *cache = &job->caches[i];
        escape_label(cache->cache->settings.name, cache_name);
        for (uint32_t j = 0; j < cache->count; ++j) {
            snprintf(labels, sizeof labels, "cache=\"%s\",node=\"%d\"", cache_name, cache->shares[j].node);
            print_histogram(name, labels, &cache->shares[j].latencies[kind]);
        }
    }
}

void stats_print_prometheus(const struct attached_job *job)
{
    print_head("view", "", "number of the view that holds", false);
    printf("belay_view %u\n", job->head->view);
    print_nodes(job, "node_arena_bytes", "memory for copies and staging", false,
                offsetof(struct observed_node, arena_size));
    print_nodes(job, "node_arena_used_bytes", "memory of it that is used", false,
                offsetof(struct observed_node, arena_used));
    print_nodes(job, "node_malformed_messages", "malformed messages that were dropped", true,
                offsetof(struct observed_node, malformed));
    print_head("cache_lost_partitions", "", "partitions without any copy", false);
    for (uint32_t i = 0; i < job->head->caches; ++i) {
        printf("belay_cache_lost_partitions{cache=\"");
        print_label(job->caches[i].cache->settings.name);
        printf("\"} %u\n", job->caches[i].cache->lost);
    }
    for (size_t i = 0; i < stats_figure_count; ++i)
        print_figure(job, &stats_figures[i]);
    for (int kind = 0; kind < TIMED_KINDS; ++kind)
        print_latencies(job, kind);
}
