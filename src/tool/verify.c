/* SPDX-License-Identifier: BSD-3-Clause */
/* All copies of all caches of a running job, compared. */
#include "base/clock.h"
#include "tool/attach.h"
#include "tool/command.h"
#include "tool/message.h"
#include "tool/options.h"
#include "tool/quantity.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* So few at once that other processes need not wait long for their turn with the server that answers. */
enum { AT_ONCE = 8, AGAIN_MOST = 1000 };

struct arguments {
    const char *address_file, *cache;
    unsigned again;
    bool quiet;
};

static const struct argp_option option_table[] = {
    {"cache", 'n', "NAME", 0, "This cache only", 0},
    {"again", 'a', "N", 0, "Look again at what differs, up to N times, a tenth of a second apart (10)", 0},
    {"quiet", 'q', NULL, 0, "Only what is wrong", 0},
    {0},
};

static const char doc[] =
    "Compare all copies of all caches of a running job with their primaries, byte by byte, and check the "
    "primaries' entries."
    "\v" ATTACH_HELP "\n\n"
    "Copies differ for a moment while updates are on their way, so what differs is looked at again before it counts. "
    "While keys are written without a pause, copies cannot be proved equal: compare them when writes have ended.\n\n"
    "Exit status: 0 all copies agree and no partition is lost, 1 some differ, are damaged, lost or missing, 2 wrong "
    "usage, 3 the job cannot be asked.";

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'n': arguments->cache = text; return 0;
    case 'a': return options_number(state, "--again", text, 0, AGAIN_MOST, &arguments->again);
    case 'q': arguments->quiet = true; return 0;
    case ARGP_KEY_ARG: return attach_argument(state, text, &arguments->address_file);
    case ARGP_KEY_END: return attach_argument_end(state, &arguments->address_file);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int compare_some(const struct arguments *arguments, uint32_t cache, uint32_t first,
                        belay_verify_report *report)
{
    for (unsigned left = arguments->again;; --left) {
        int result = attach_verify(arguments->address_file, cache, first, AT_ONCE, report);
        if (result != BELAY_OK || (report->differences == 0 && report->damaged == 0) || left == 0)
            return result;
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
}

static void add(belay_verify_report *sum, const belay_verify_report *part)
{
    sum->partitions += part->partitions;
    sum->copies += part->copies;
    sum->bytes += part->bytes;
    sum->entries += part->entries;
    sum->damaged += part->damaged;
    sum->differences += part->differences;
}

static void print_differences(const char *name, const belay_verify_report *report)
{
    for (size_t i = 0; i < report->listed; ++i) {
        const belay_difference *d = &report->list[i];
        printf("%s: partition %d: segment %u on node %d differs from the primary's\n", name, d->partition,
               d->segment, d->node);
    }
    if (report->damaged > 0)
        printf("%s: %llu entries are damaged\n", name, (unsigned long long)report->damaged);
}

static void print_sum(const char *name, const struct attached_cache *cache, const belay_verify_report *sum,
                      uint64_t nanoseconds)
{
    char copies[QUANTITY_TEXT], entries[QUANTITY_TEXT], megabytes[QUANTITY_TEXT], time[QUANTITY_TEXT];
    printf("%s: %s copies of %llu partitions, %s entries, %s MB, in %s: ", name,
           quantity_count(sum->copies, copies), (unsigned long long)sum->partitions,
           quantity_count(sum->entries, entries), quantity_megabytes(sum->bytes, megabytes),
           quantity_duration(nanoseconds, time));
    if (sum->differences == 0 && sum->damaged == 0)
        printf("all agree");
    else
        printf("%llu segments differ, %llu entries are damaged", (unsigned long long)sum->differences,
               (unsigned long long)sum->damaged);
    if (cache->cache->lost > 0)
        printf("; %u partitions are lost", cache->cache->lost);
    if (cache->sum.missing + cache->sum.restoring > 0)
        printf("; %u copies are missing, %u of them being made", cache->sum.missing + cache->sum.restoring,
               cache->sum.restoring);
    putchar('\n');
}

static int verify_cache(const struct arguments *arguments, const struct attached_cache *cache)
{
    const struct cache_settings *settings = &cache->cache->settings;
    belay_verify_report sum = {0};
    uint64_t began = clock_now();
    for (uint32_t first = 0; first < settings->partitions; first += AT_ONCE) {
        belay_verify_report report;
        if (compare_some(arguments, cache->cache->number, first, &report) != BELAY_OK)
            return EXIT_BROKEN;
        print_differences(settings->name, &report);
        add(&sum, &report);
    }
    bool good = sum.differences == 0 && sum.damaged == 0 && cache->cache->lost == 0 &&
                cache->sum.missing == 0 && cache->sum.restoring == 0;
    if (!good || !arguments->quiet)
        print_sum(settings->name, cache, &sum, clock_now() - began);
    return good ? EXIT_INTACT : EXIT_DIFFERS;
}

static int verify_job(const struct arguments *arguments, const struct attached_job *job)
{
    int worst = EXIT_INTACT;
    bool found = false;
    for (uint32_t i = 0; i < job->head->caches && worst != EXIT_BROKEN; ++i) {
        if (arguments->cache && strcmp(arguments->cache, job->caches[i].cache->settings.name) != 0)
            continue;
        int status = verify_cache(arguments, &job->caches[i]);
        worst = status > worst ? status : worst;
        found = true;
    }
    if (found || (!arguments->cache && worst == EXIT_INTACT))
        return worst;
    message("the job has no cache %s", arguments->cache);
    return EXIT_BROKEN;
}

int command_verify(int argc, char **argv)
{
    const struct argp table = {option_table, parse_option, "[FILE]", doc, NULL, NULL, NULL};
    struct arguments arguments = {.again = 10};
    struct attached_job job;
    switch (options_parse(&table, argc, argv, &arguments)) {
    case OPTIONS_ANSWERED: return EXIT_INTACT;
    case OPTIONS_WRONG: return EXIT_USAGE;
    case OPTIONS_GO_ON: break;
    }
    if (attach(arguments.address_file, &job) != BELAY_OK)
        return EXIT_BROKEN;
    int status = verify_job(&arguments, &job);
    attached_free(&job);
    return status;
}
