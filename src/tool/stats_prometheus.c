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

/* Inside of quotes. */
static void print_label(const char *text)
{
    for (; *text; ++text) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
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
}
