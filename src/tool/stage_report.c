/* SPDX-License-Identifier: BSD-3-Clause */
/* The table that a stage job prints. */
#include "tool/message.h"
#include "tool/quantity.h"
#include "tool/stage.h"

#include <inttypes.h>
#include <string.h>

static const double percentiles[] = {50, 99, 99.9};

static void print_head(FILE *stream, const struct stage *stage)
{
    char files[QUANTITY_TEXT], megabytes[QUANTITY_TEXT], name[512];
    const struct tree_skipped *skipped = &stage->tree.skipped;
    fprintf(stream, "%s: %s files, %s MB; %u rank%s, %u worker%s each, %u backup%s\n",
            printable(stage->directory_name, strlen(stage->directory_name), name, sizeof name),
            quantity_count(stage->tree.file_count, files), quantity_megabytes(stage->tree.bytes, megabytes),
            stage->ranks, stage->ranks == 1 ? "" : "s", stage->options.jobs,
            stage->options.jobs == 1 ? "" : "s", stage->options.backups,
            stage->options.backups == 1 ? "" : "s");
    fprintf(stream, "skipped: %" PRIu64 " symlinks, %" PRIu64 " special files, %" PRIu64 " unreadable",
            skipped->symlinks, skipped->special, skipped->unreadable);
    if (skipped->long_names)
        fprintf(stream, ", %" PRIu64 " with too long a path", skipped->long_names);
    if (skipped->over_limit)
        fprintf(stream, ", %" PRIu64 " over --limit", skipped->over_limit);
    if (stage->tree.piece_count > stage->tree.file_count) {
        char size[QUANTITY_TEXT];
        fprintf(stream, "; files over %s are staged in parts",
                quantity_binary(stage->options.piece_size, size));
    }
    fputs("\n\n", stream);
}

static void print_step(FILE *stream, const char *mode, const char *step, const struct stage_timing *timing,
                       const struct stage_found *found)
{
    char text[QUANTITY_TEXT], more[QUANTITY_TEXT];
    fprintf(stream, "%-12s %-4s %10s %10s %8.2f %8.0f %8.0f", mode, step, quantity_count(found->files, text),
            quantity_megabytes(found->bytes, more), (double)timing->elapsed / 1e9,
            timing_rate(timing, found) / 1e6, timing_cache_rate(timing) / 1e6);
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; ++i)
        fprintf(stream, " %9s",
                quantity_duration(latency_percentile(&timing->latency, percentiles[i]), text));
    fprintf(stream, " %9s\n", quantity_duration(timing->latency.longest, text));
}

static void print_verify(FILE *stream, const struct stage_outcome *outcome)
{
    const belay_verify_report *report = &outcome->verify;
    char megabytes[QUANTITY_TEXT], entries[QUANTITY_TEXT];
    fprintf(stream,
            "%-12s copies: %" PRIu64 " of %" PRIu64 " partitions, %s entries, %s MB compared in %.2f s: ", "",
            report->copies, report->partitions, quantity_count(report->entries, entries),
            quantity_megabytes(report->bytes, megabytes), (double)outcome->verify_elapsed / 1e9);
    if (outcome->verify_result == BELAY_OK) {
        fputs("identical\n", stream);
        return;
    }
    fprintf(stream, "%" PRIu64 " DIFFERENCES, %" PRIu64 " damaged entries\n", report->differences,
            report->damaged);
    for (size_t i = 0; i < report->listed; ++i) {
        const belay_difference *d = &report->list[i];
        fprintf(stream,
                "%-14s partition %d, node %d, segment %" PRIu32 ": digest %016" PRIx64
                " at the primary, %016" PRIx64 "\n",
                "", d->partition, d->node, d->segment, d->primary_digest, d->backup_digest);
    }
}

static void print_found(FILE *stream, const struct stage_outcome *outcome, bool in_parts)
{
    const struct stage_found *put = &outcome->put, *got = &outcome->got;
    char intact[QUANTITY_TEXT];
    fprintf(stream, "%-12s %s: %s intact", "", in_parts ? "parts" : "files",
            quantity_count(got->intact, intact));
    if (got->changed)
        fprintf(stream, ", %" PRIu64 " changed on disk meanwhile", got->changed);
    if (put->unreadable)
        fprintf(stream, ", %" PRIu64 " could not be read", put->unreadable);
    if (got->differing)
        fprintf(stream, ", %" PRIu64 " DIFFER", got->differing);
    if (got->lost)
        fprintf(stream, ", %" PRIu64 " LOST", got->lost);
    fputc('\n', stream);
}

/* "rank 2 was lost", "ranks 0, 2 were lost" */
static void print_lost(FILE *stream, const struct node_set *lost)
{
    struct node_set left = *lost;
    int count = node_set_count(lost);
    fputs(count == 1 ? "rank" : "ranks", stream);
    for (const char *separator = " "; !node_set_empty(&left); separator = ", ") {
        int rank = node_set_first(&left);
        fprintf(stream, "%s%d", separator, rank);
        node_set_remove(&left, rank);
    }
    fputs(count == 1 ? " was lost" : " were lost", stream);
}

static void print_failover(FILE *stream, const struct stage_outcome *outcome, bool in_parts)
{
    char again[QUANTITY_TEXT], pause[QUANTITY_TEXT];
    if (node_set_empty(&outcome->lost))
        return;
    fprintf(stream, "%-12s ", "");
    print_lost(stream, &outcome->lost);
    fprintf(stream, ": %s %s staged again, pause %s; ", quantity_count(outcome->staged_again, again),
            in_parts ? "parts" : "files", quantity_duration(outcome->tally.pause, pause));
    if (outcome->restored)
        fprintf(stream, "all copies there %.2f s after the last read\n",
                (double)outcome->restore_elapsed / 1e9);
    else
        fputs("NOT ALL COPIES RESTORED\n", stream);
}

/* The last line, for who reads nothing else. */
static void print_verdict(FILE *stream, const struct stage *stage)
{
    unsigned good = 0;
    char text[QUANTITY_TEXT];
    struct node_set lost = {0};
    uint64_t pause = 0;
    for (unsigned i = 0; i < stage->passes; ++i) {
        const struct stage_outcome *outcome = &stage->outcomes[i];
        good += stage_outcome_good(outcome);
        lost = node_set_with(&lost, &outcome->lost);
        if (!node_set_empty(&outcome->lost) && outcome->tally.pause > pause)
            pause = outcome->tally.pause;
    }
    fprintf(stream, "%s files staged in %u mode%s: ", quantity_count(stage->tree.file_count, text),
            stage->passes, stage->passes == 1 ? "" : "s");
    if (good == stage->passes)
        fputs("none lost, none different, all copies identical", stream);
    else
        fprintf(stream, "%u NOT GOOD", stage->passes - good);
    if (!node_set_empty(&lost)) {
        fputs("; ", stream);
        print_lost(stream, &lost);
        fprintf(stream, ", pause %s", quantity_duration(pause, text));
    }
    fputc('\n', stream);
}

static const char legend[] =
    "\nMB/s: of the whole step, with reading and checksumming the files. In cache: MB/s if nothing but the calls\n"
    "to Belay took time. Percentiles: of one call that puts or gets a file's content.\n";

static const char legend_of_loss[] =
    "Seconds, percentiles and pause: as the ranks that are left have seen them. Pause: their longest call that put or\n"
    "got something when they went over to the view without the lost rank, or was begun in the second after that.\n";

void stage_print_table(FILE *stream, const struct stage *stage)
{
    bool loss = false, in_parts = stage->tree.piece_count > stage->tree.file_count;
    print_head(stream, stage);
    fprintf(stream, "%-12s %-4s %10s %10s %8s %8s %8s %9s %9s %9s %9s\n", "mode", "step", "files", "MB",
            "seconds", "MB/s", "in cache", "p50", "p99", "p99.9", "max");
    for (unsigned i = 0; i < stage->passes; ++i) {
        const struct stage_outcome *outcome = &stage->outcomes[i];
        print_step(stream, outcome->mode->name, "put", &outcome->tally.put, &outcome->put);
        print_step(stream, "", "get", &outcome->tally.get, &outcome->got);
        print_found(stream, outcome, in_parts);
        print_failover(stream, outcome, in_parts);
        print_verify(stream, outcome);
        loss = loss || !node_set_empty(&outcome->lost);
    }
    fprintf(stream, "%s%s\n", legend, loss ? legend_of_loss : "");
    print_verdict(stream, stage);
}
