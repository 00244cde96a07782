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

static void print_step(FILE *stream, const char *mode, const char *step, const struct stage_timing *timing)
{
    char text[QUANTITY_TEXT], more[QUANTITY_TEXT];
    fprintf(stream, "%-12s %-4s %10s %10s %8.2f %8.0f %8.0f", mode, step, quantity_count(timing->files, text),
            quantity_megabytes(timing->bytes, more), (double)timing->elapsed / 1e9, timing_rate(timing) / 1e6,
            timing_cache_rate(timing) / 1e6);
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
    const struct stage_tally *tally = &outcome->tally;
    char intact[QUANTITY_TEXT];
    fprintf(stream, "%-12s %s: %s intact", "", in_parts ? "parts" : "files",
            quantity_count(tally->intact, intact));
    if (tally->changed)
        fprintf(stream, ", %" PRIu64 " changed on disk meanwhile", tally->changed);
    if (tally->unreadable)
        fprintf(stream, ", %" PRIu64 " could not be read", tally->unreadable);
    if (tally->differing)
        fprintf(stream, ", %" PRIu64 " DIFFER", tally->differing);
    if (tally->lost)
        fprintf(stream, ", %" PRIu64 " LOST", tally->lost);
    fputc('\n', stream);
}

/* The last line, for who reads nothing else. */
static void print_verdict(FILE *stream, const struct stage *stage, const struct stage_outcome *outcomes,
                          unsigned count)
{
    unsigned good = 0;
    char files[QUANTITY_TEXT];
    for (unsigned i = 0; i < count; ++i)
        good += stage_outcome_good(&outcomes[i]);
    fprintf(stream, "%s files staged in %u mode%s: ", quantity_count(stage->tree.file_count, files), count,
            count == 1 ? "" : "s");
    if (good == count)
        fputs("none lost, none different, all copies identical\n", stream);
    else
        fprintf(stream, "%u NOT GOOD\n", count - good);
}

void stage_print_table(FILE *stream, const struct stage *stage, const struct stage_outcome *outcomes,
                       unsigned count)
{
    print_head(stream, stage);
    fprintf(stream, "%-12s %-4s %10s %10s %8s %8s %8s %9s %9s %9s %9s\n", "mode", "step", "files", "MB",
            "seconds", "MB/s", "in cache", "p50", "p99", "p99.9", "max");
    for (unsigned i = 0; i < count; ++i) {
        print_step(stream, outcomes[i].mode->name, "put", &outcomes[i].tally.put);
        print_step(stream, "", "get", &outcomes[i].tally.get);
        print_found(stream, &outcomes[i], stage->tree.piece_count > stage->tree.file_count);
        print_verify(stream, &outcomes[i]);
    }
    fputs(
        "\nMB/s: of the whole step, with reading and checksumming the files. In cache: MB/s if nothing but the calls\n"
        "to Belay took time. Percentiles: of one call that puts or gets a file's content.\n\n",
        stream);
    print_verdict(stream, stage, outcomes, count);
}
