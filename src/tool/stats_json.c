/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of a job for programs. */
#include "tool/stats.h"

#include <jansson.h>
#include <stdio.h>

static json_t *whole(uint64_t number)
{
    return json_integer((json_int_t)number);
}

static json_t *node_object(const struct observed_node *node)
{
    return json_pack("{s:i, s:s, s:s, s:i, s:o, s:o, s:o}", "node", node->id, "role",
                     attached_role(node->role), "host", node->host, "pid", node->pid, "arena_bytes",
                     whole(node->arena_size), "arena_used_bytes", whole(node->arena_used), "malformed",
                     whole(node->malformed));
}

static json_t *latency_object(const belay_latencies *latencies)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "timed", whole(latencies->count), "sum",
                     whole(latencies->sum_ns), "p50", whole(belay_latency_percentile(latencies, 50)), "p99",
                     whole(belay_latency_percentile(latencies, 99)), "p99.9",
                     whole(belay_latency_percentile(latencies, 99.9)), "max", whole(latencies->longest_ns));
}

static json_t *share_object(const struct observed_share *share)
{
    json_t *object = share->node < 0 ? json_object() : json_pack("{s:i}", "node", share->node);
    for (size_t i = 0; object && i < stats_figure_count; ++i)
        json_object_set_new(object, stats_figures[i].name, whole(stats_value(&stats_figures[i], share)));
    for (int i = 0; object && i < TIMED_KINDS; ++i) {
        char name[32];
        snprintf(name, sizeof name, "%s_latency_ns", stats_latency_names[i]);
        json_object_set_new(object, name, latency_object(&share->latencies[i]));
    }
    return object;
}

static void add_setting(const struct settings_entry *entry, void *context)
{
    json_object_set_new(context, entry->name, json_string(entry->value));
}

static json_t *cache_object(const struct attached_cache *cache)
{
    json_t *settings = json_object(), *nodes = json_array();
    settings_each_cache(&cache->cache->settings, NULL, add_setting, settings);
    for (uint32_t i = 0; i < cache->count; ++i)
        json_array_append_new(nodes, share_object(&cache->shares[i]));
    return json_pack("{s:s, s:o, s:i, s:o, s:o}", "name", cache->cache->settings.name, "settings", settings,
                     "lost_partitions", (int)cache->cache->lost, "all", share_object(&cache->sum), "nodes",
                     nodes);
}

bool stats_print_json(const struct attached_job *job)
{
    json_t *nodes = json_array(), *caches = json_array();
    for (uint32_t i = 0; i < job->head->nodes; ++i)
        json_array_append_new(nodes, node_object(&job->nodes[i]));
    for (uint32_t i = 0; i < job->head->caches; ++i)
        json_array_append_new(caches, cache_object(&job->caches[i]));
    json_t *object = json_pack("{s:i, s:o, s:o}", "view", (int)job->head->view, "nodes", nodes, "caches",
                               caches);
    bool written = object && json_dumpf(object, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(object);
    return written;
}
