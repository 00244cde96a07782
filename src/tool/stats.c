/* SPDX-License-Identifier: BSD-3-Clause */
/* What the nodes of a running job have counted. */
#include "tool/stats.h"

#include "tool/command.h"
#include "tool/message.h"
#include "tool/options.h"
#include "tool/quantity.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define SHARE(member)                                                                                        \
    sizeof(((struct observed_share *)0)->member) == 8, offsetof(struct observed_share, member)

const struct stats_figure stats_figures[] = {
    {"gets", "gets begun", true, SHARE(stats.gets)},
    {"hits", "gets that found their key", true, SHARE(stats.hits)},
    {"misses", "gets that did not", true, SHARE(stats.misses)},
    {"gets_local", "gets served from the node's own memory", true, SHARE(stats.gets_local)},
    {"gets_one_sided", "gets that read a peer's memory", true, SHARE(stats.gets_one_sided)},
    {"gets_requested", "gets that asked the primary", true, SHARE(stats.gets_requested)},
    {"gets_from_backup", "gets that read a backup", true, SHARE(stats.gets_from_backup)},
    {"gets_near", "gets from the near cache", true, SHARE(stats.gets_near)},
    {"read_retries", "torn or recycled one-sided reads that were repeated", true, SHARE(stats.read_retries)},
    {"puts", "puts and other writes begun", true, SHARE(stats.puts)},
    {"removes", "removes begun", true, SHARE(stats.removes)},
    {"updates_applied", "updates applied as primary", true, SHARE(stats.updates_applied)},
    {"evicted", "entries removed as primary to make room", true, SHARE(stats.evicted)},
    {"expired", "entries removed as primary, their time to live over", true, SHARE(stats.expired)},
    {"pushes", "updates pushed to backups", true, SHARE(stats.pushes)},
    {"push_bytes", "bytes pushed to backups", true, SHARE(stats.push_bytes)},
    {"entries", "entries in primary copies", false, SHARE(stats.entries)},
    {"live_bytes", "bytes of these entries", false, SHARE(stats.bytes_live)},
    {"held_bytes", "bytes held by all copies", false, SHARE(stats.bytes_held)},
    {"primaries", "primary copies", false, SHARE(primaries)},
    {"backups", "backup copies", false, SHARE(backups)},
    {"promoting", "primary copies that do not serve yet", false, SHARE(promoting)},
    {"restoring", "backups of the node's primaries that are being made", false, SHARE(restoring)},
    {"missing", "backups of the node's primaries that there are not", false, SHARE(missing)},
};
const size_t stats_figure_count = sizeof stats_figures / sizeof stats_figures[0];

uint64_t stats_value(const struct stats_figure *figure, const struct observed_share *share)
{
    const char *at = (const char *)share + figure->offset;
    uint64_t wide;
    uint32_t narrow;
    if (figure->wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

const char *const stats_latency_names[TIMED_KINDS] = {"get", "write"};

/* ---- The table ---- */

static void print_nodes(const struct attached_job *job)
{
    char size[QUANTITY_TEXT], used[QUANTITY_TEXT];
    printf("view %u\n\n%-5s %-7s %-20s %8s %10s %10s\n", job->head->view, "node", "role", "host", "pid",
           "arena MB", "used MB");
    for (uint32_t i = 0; i < job->head->nodes; ++i) {
        const struct observed_node *node = &job->nodes[i];
        printf("%-5d %-7s %-20.63s %8d %10s %10s\n", node->id, attached_role(node->role), node->host,
               node->pid, quantity_megabytes(node->arena_size, size),
               quantity_megabytes(node->arena_used, used));
    }
}

static void print_row(const struct stats_figure *figure, const struct attached_cache *cache)
{
    char text[QUANTITY_TEXT];
    printf("  %-16s", figure->name);
    printf(" %15s", quantity_count(stats_value(figure, &cache->sum), text));
    for (uint32_t i = 0; i < cache->count; ++i)
        printf(" %15s", quantity_count(stats_value(figure, &cache->shares[i]), text));
    putchar('\n');
}

static void print_latency(const char *name, int kind, double percent, const struct attached_cache *cache)
{
    char text[QUANTITY_TEXT];
    printf("  %-5s %-10s", stats_latency_names[kind], name);
    for (uint32_t i = 0; i <= cache->count; ++i) {
        const struct observed_share *share = i == 0 ? &cache->sum : &cache->shares[i - 1];
        const belay_latencies *latencies = &share->latencies[kind];
        printf(" %15s", latencies->count == 0
                            ? "-"
                            : quantity_duration(belay_latency_percentile(latencies, percent), text));
    }
    putchar('\n');
}

static void print_cache(const struct attached_cache *cache)
{
    static const char *const modes[] = {"?", "FULL_SYNC", "PRIMARY_SYNC", "FULL_ASYNC"};
    const struct cache_settings *settings = &cache->cache->settings;
    printf("\ncache %s: %s, %u backups, %s, %u partitions, %u of them lost\n", settings->name,
           settings->cache_mode == BELAY_CACHE_REPLICATED ? "REPLICATED" : "PARTITIONED", settings->backups,
           modes[settings->write_synchronization_mode % 4], settings->partitions, cache->cache->lost);
    printf("  %-16s %15s", "", "all nodes");
    for (uint32_t i = 0; i < cache->count; ++i) {
        char name[24];
        snprintf(name, sizeof name, "node %d", cache->shares[i].node);
        printf(" %15s", name);
    }
    putchar('\n');
    for (size_t i = 0; i < stats_figure_count; ++i)
        print_row(&stats_figures[i], cache);
    for (int kind = 0; kind < TIMED_KINDS; ++kind) {
        print_latency("p50", kind, 50, cache);
        print_latency("p99", kind, 99, cache);
        print_latency("longest", kind, 100, cache);
    }
}

void stats_print_table(const struct attached_job *job)
{
    print_nodes(job);
    for (uint32_t i = 0; i < job->head->caches; ++i)
        print_cache(&job->caches[i]);
}

/* ---- Arguments ---- */

enum form { FORM_TABLE, FORM_JSON, FORM_PROMETHEUS };

struct arguments {
    const char *address_file;
    enum form form;
    bool chosen;
};

static const struct argp_option option_table[] = {
    {"json", 'j', NULL, 0, "As JSON", 0},
    {"prometheus", 'p', NULL, 0, "In Prometheus' text format, for a node exporter's textfile collector", 0},
    {0},
};

static const char doc[] =
    "Tell what the nodes of a running job have counted, for each cache."
    "\v" ATTACH_HELP "\n\n"
    "Counters are those of the nodes that live now: what a node counted goes with it.\n\n"
    "Exit status: 0 all is well, 2 wrong usage, 3 the job cannot be asked.";

static error_t choose(struct argp_state *state, struct arguments *arguments, enum form form)
{
    if (arguments->chosen)
        return options_wrong(state, "--json and --prometheus: one at a time");
    arguments->chosen = true;
    arguments->form = form;
    return 0;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'j': return choose(state, arguments, FORM_JSON);
    case 'p': return choose(state, arguments, FORM_PROMETHEUS);
    case ARGP_KEY_ARG: return attach_argument(state, text, &arguments->address_file);
    case ARGP_KEY_END: return attach_argument_end(state, &arguments->address_file);
    default: return ARGP_ERR_UNKNOWN;
    }
}

int command_stats(int argc, char **argv)
{
    const struct argp table = {option_table, parse_option, "[FILE]", doc, NULL, NULL, NULL};
    struct arguments arguments = {0};
    struct attached_job job;
    bool printed = true;
    switch (options_parse(&table, argc, argv, &arguments)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    if (attach(arguments.address_file, &job) != BELAY_OK)
        return EXIT_BROKEN;
    switch (arguments.form) {
    case FORM_TABLE: stats_print_table(&job); break;
    case FORM_JSON: printed = stats_print_json(&job); break;
    case FORM_PROMETHEUS: stats_print_prometheus(&job); break;
    }
    attached_free(&job);
    if (printed && fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_INTACT;
    message("the figures could not be written");
    return EXIT_BROKEN;
}
