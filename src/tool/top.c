/* SPDX-License-Identifier: BSD-3-Clause */
/* A running job as it goes: what its nodes did since the last look. */
#include "base/clock.h"
#include "tool/attach.h"
#include "tool/command.h"
#include "tool/message.h"
#include "tool/options.h"
#include "tool/quantity.h"
#include "tool/top_screen.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct arguments {
    const char *address_file;
    double delay;
    unsigned count; /* 0: until interrupted */
};

enum { DELAY_MOST = 3600, COUNT_MOST = 1000000 };

static const struct argp_option option_table[] = {
    {"delay", 'd', "SECONDS", 0, "Between two looks (2)", 0},
    {"count", 'c', "N", 0, "Stop after so many looks (when interrupted)", 0},
    {0},
};

static const char doc[] =
    "Show the nodes and caches of a running job and what they do: rates since the look before, hits, copies that are "
    "being restored. On a terminal in place, else one report after the other; ends with the job, by Ctrl-C or q."
    "\v" ATTACH_HELP "\n\n"
    "Exit status: 0 stopped by you, by --count, or because the job ended; 2 wrong usage, 3 the job could not be asked at all.";

static error_t parse_delay(struct argp_state *state, const char *text, double *seconds)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0.05) || value > DELAY_MOST)
        return options_wrong(state, "--delay=%s: not a number of seconds from 0.05 to %d", text, DELAY_MOST);
    *seconds = value;
    return 0;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'd': return parse_delay(state, text, &arguments->delay);
    case 'c': return options_number(state, "--count", text, 1, COUNT_MOST, &arguments->count);
    case ARGP_KEY_ARG: return attach_argument(state, text, &arguments->address_file);
    case ARGP_KEY_END: return attach_argument_end(state, &arguments->address_file);
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Rates ---- */

static const struct observed_share *share_before(const struct attached_job *before, uint32_t cache, int node)
{
    for (uint32_t i = 0; before->head && i < before->head->caches; ++i)
        for (uint32_t j = 0; before->caches[i].cache->number == cache && j < before->caches[i].count; ++j)
            if (before->caches[i].shares[j].node == node)
                return &before->caches[i].shares[j];
    return NULL;
}

/* What happened in between; at the first look nothing is known. */
static void subtract(belay_cache_stats *stats, const belay_cache_stats *before)
{
    stats->gets -= before->gets;
    stats->hits -= before->hits;
    stats->puts -= before->puts;
    stats->removes -= before->removes;
    stats->updates_applied -= before->updates_applied;
    stats->push_bytes -= before->push_bytes;
}

static void add(belay_cache_stats *sum, const belay_cache_stats *part)
{
    sum->gets += part->gets;
    sum->hits += part->hits;
    sum->puts += part->puts;
    sum->removes += part->removes;
    sum->updates_applied += part->updates_applied;
    sum->push_bytes += part->push_bytes;
}

/* A partition whose primary moved takes its count of updates along: what seems to run backwards is not shown. */
static void print_rate(struct top_screen *screen, uint64_t count, double seconds)
{
    char text[QUANTITY_TEXT];
    uint64_t rate = count > UINT64_MAX / 2 ? 0 : (uint64_t)((double)count / seconds + 0.5);
    top_print(screen, " %11s", quantity_count(rate, text));
}

static void print_rates(struct top_screen *screen, const belay_cache_stats *stats, double seconds)
{
    char megabytes[QUANTITY_TEXT];
    if (seconds <= 0) {
        top_print(screen, " %11s %7s %11s %11s %9s", "-", "-", "-", "-", "-");
        return;
    }
    print_rate(screen, stats->gets, seconds);
    if (stats->gets > 0)
        top_print(screen, " %6.1f%%", 100.0 * (double)stats->hits / (double)stats->gets);
    else
        top_print(screen, " %7s", "-");
    print_rate(screen, stats->puts + stats->removes, seconds);
    print_rate(screen, stats->updates_applied, seconds);
    uint64_t bytes = stats->push_bytes > UINT64_MAX / 2 ? 0 : (uint64_t)((double)stats->push_bytes / seconds);
    top_print(screen, " %9s", quantity_megabytes(bytes, megabytes));
}

#define RATES_HEAD "      gets/s    hits    writes/s   updates/s push MB/s"

static belay_cache_stats changes_of(const struct attached_cache *cache, uint32_t share,
                                    const struct attached_job *before)
{
    const struct observed_share *now = &cache->shares[share];
    const struct observed_share *then = share_before(before, cache->cache->number, now->node);
    belay_cache_stats stats = now->stats;
    if (then)
        subtract(&stats, &then->stats);
    return stats;
}

/* p50 and p99 of what all nodes have timed since the cache was opened. */
static void print_latencies(struct top_screen *screen, const belay_latencies *latencies)
{
    static const double percents[] = {50, 99};
    char text[QUANTITY_TEXT];
    for (size_t i = 0; i < 2; ++i)
        top_print(screen, " %9s",
                  latencies->count == 0
                      ? "-"
                      : quantity_duration(belay_latency_percentile(latencies, percents[i]), text));
}

#define LATENCIES_HEAD "   get p50       p99 write p50       p99"

/* ---- The report ---- */

static void print_caches(struct top_screen *screen, const struct attached_job *job,
                         const struct attached_job *before, double seconds)
{
    char entries[QUANTITY_TEXT], megabytes[QUANTITY_TEXT];
    top_print(screen, "%-20s %13s %10s" RATES_HEAD LATENCIES_HEAD "  copies", "cache", "entries", "live MB");
    top_end_line(screen);
    for (uint32_t i = 0; i < job->head->caches; ++i) {
        const struct attached_cache *cache = &job->caches[i];
        const struct observed_share *sum = &cache->sum;
        belay_cache_stats changes = {0};
        for (uint32_t j = 0; j < cache->count; ++j) {
            belay_cache_stats change = changes_of(cache, j, before);
            add(&changes, &change);
        }
        top_print(screen, "%-20.20s %13s %10s", cache->cache->settings.name,
                  quantity_count(sum->stats.entries, entries),
                  quantity_megabytes(sum->stats.bytes_live, megabytes));
        print_rates(screen, &changes, seconds);
        print_latencies(screen, &sum->latencies[BELAY_TIMED_GETS - 1]);
        print_latencies(screen, &sum->latencies[BELAY_TIMED_WRITES - 1]);
        if (sum->restoring + sum->missing + sum->promoting + cache->cache->lost == 0)
            top_print(screen, "  whole");
        else
            top_print(screen, "  %u restoring, %u missing, %u promoting, %u lost", sum->restoring,
                      sum->missing, sum->promoting, cache->cache->lost);
        top_end_line(screen);
    }
}

static void print_nodes(struct top_screen *screen, const struct attached_job *job,
                        const struct attached_job *before, double seconds)
{
    char used[QUANTITY_TEXT], size[QUANTITY_TEXT];
    top_print(screen, "%-4s %-7s %-16s %10s %10s" RATES_HEAD " primaries backups", "node", "role", "host",
              "used MB", "arena MB");
    top_end_line(screen);
    for (uint32_t i = 0; i < job->head->nodes; ++i) {
        const struct observed_node *node = &job->nodes[i];
        belay_cache_stats changes = {0};
        unsigned primaries = 0, backups = 0;
        for (uint32_t c = 0; c < job->head->caches; ++c)
            for (uint32_t j = 0; j < job->caches[c].count; ++j) {
                if (job->caches[c].shares[j].node != node->id)
                    continue;
                belay_cache_stats change = changes_of(&job->caches[c], j, before);
                add(&changes, &change);
                primaries += job->caches[c].shares[j].primaries;
                backups += job->caches[c].shares[j].backups;
            }
        top_print(screen, "%-4d %-7s %-16.16s %10s %10s", node->id, attached_role(node->role), node->host,
                  quantity_megabytes(node->arena_used, used), quantity_megabytes(node->arena_size, size));
        print_rates(screen, &changes, seconds);
        top_print(screen, " %9u %7u", primaries, backups);
        top_end_line(screen);
    }
}

static void print_report(struct top_screen *screen, const struct arguments *arguments,
                         const struct attached_job *job, const struct attached_job *before)
{
    char clock[32];
    time_t now = time(NULL);
    struct tm local;
    double seconds = before->head ? (double)(job->taken_ns - before->taken_ns) / 1e9 : 0;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    top_begin(screen);
    top_print(screen, "%s  %s  view %u, %u nodes, %u caches", clock, arguments->address_file, job->head->view,
              job->head->nodes, job->head->caches);
    top_end_line(screen);
    top_end_line(screen);
    print_caches(screen, job, before, seconds);
    top_end_line(screen);
    print_nodes(screen, job, before, seconds);
    top_show(screen);
}

/* ---- Looking again and again ---- */

static int look_on(const struct arguments *arguments, struct top_screen *screen, struct attached_job *before)
{
    for (unsigned look = 2; arguments->count == 0 || look <= arguments->count; ++look) {
        struct attached_job now;
        if (top_wait(screen, arguments->delay))
            break;
        if (attach(arguments->address_file, &now) != BELAY_OK)
            break; /* it has ended: told by the library */
        print_report(screen, arguments, &now, before);
        attached_free(before);
        *before = now;
    }
    return EXIT_INTACT;
}

int command_top(int argc, char **argv)
{
    const struct argp table = {option_table, parse_option, "[FILE]", doc, NULL, NULL, NULL};
    struct arguments arguments = {.delay = 2};
    static const struct attached_job nothing;
    struct attached_job job;
    switch (options_parse(&table, argc, argv, &arguments)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    if (attach(arguments.address_file, &job) != BELAY_OK)
        return EXIT_BROKEN;
    struct top_screen *screen = top_open();
    if (!screen) {
        message("out of memory");
        attached_free(&job);
        return EXIT_BROKEN;
    }
    print_report(screen, &arguments, &job, &nothing);
    int status = look_on(&arguments, screen, &job);
    top_close(screen);
    attached_free(&job);
    return status;
}
