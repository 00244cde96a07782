/* SPDX-License-Identifier: BSD-3-Clause */
/* The result of a stage job for programs. Times are in seconds, latencies in nanoseconds, rates in bytes per
 * second. */
#include "config.h"

#include "tool/message.h"
#include "tool/stage.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static json_t *whole(uint64_t number)
{
    return json_integer((json_int_t)number);
}

static json_t *seconds(uint64_t nanoseconds)
{
    return json_real((double)nanoseconds / 1e9);
}

static json_t *timing_object(const struct stage_timing *timing, const struct stage_found *found)
{
    const struct latency *latency = &timing->latency;
    json_t *latencies = json_pack("{s:o, s:o, s:o, s:o}", "p50", whole(latency_percentile(latency, 50)),
                                  "p99", whole(latency_percentile(latency, 99)), "p99.9",
                                  whole(latency_percentile(latency, 99.9)), "max", whole(latency->longest));
    return json_pack("{s:o, s:o, s:o, s:f, s:f, s:o, s:o}", "files", whole(found->files), "bytes",
                     whole(found->bytes), "seconds", seconds(timing->elapsed), "bytes_per_second",
                     timing_rate(timing, found), "bytes_per_second_in_cache", timing_cache_rate(timing),
                     "calls", whole(latency->count), "latency_ns", latencies);
}

static json_t *verify_object(const struct stage_outcome *outcome)
{
    const belay_verify_report *report = &outcome->verify;
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "identical",
                     outcome->verify_result == BELAY_OK, "partitions", whole(report->partitions), "copies",
                     whole(report->copies), "bytes", whole(report->bytes), "entries", whole(report->entries),
                     "damaged", whole(report->damaged), "differences", whole(report->differences), "seconds",
                     seconds(outcome->verify_elapsed));
}

static json_t *failover_object(const struct stage_outcome *outcome)
{
    struct node_set left = outcome->lost;
    json_t *ranks = json_array();
    for (int rank; (rank = node_set_first(&left)) >= 0; node_set_remove(&left, rank))
        json_array_append_new(ranks, whole((uint64_t)rank));
    return json_pack("{s:o, s:o, s:o, s:b, s:o}", "lost_ranks", ranks, "staged_again",
                     whole(outcome->staged_again), "pause_seconds",
                     seconds(node_set_empty(&outcome->lost) ? 0 : outcome->tally.pause), "restored",
                     outcome->restored, "restore_seconds", seconds(outcome->restore_elapsed));
}

static json_t *outcome_object(const struct stage_outcome *outcome)
{
    const struct stage_found *put = &outcome->put, *got = &outcome->got;
    json_t *found = json_pack("{s:o, s:o, s:o, s:o, s:o}", "intact", whole(got->intact), "changed",
                              whole(got->changed), "unreadable", whole(put->unreadable), "differing",
                              whole(got->differing), "lost", whole(got->lost));
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "mode", outcome->mode->name, "cache",
                     outcome->mode->cache, "good", stage_outcome_good(outcome), "put",
                     timing_object(&outcome->tally.put, put), "get", timing_object(&outcome->tally.get, got),
                     "found", found, "failover", failover_object(outcome), "verify", verify_object(outcome));
}

/* A path is bytes, a JSON string is UTF-8: other bytes become question marks. */
static json_t *path_string(const char *path)
{
    json_t *string = json_string(path);
    if (string)
        return string;
    char *copy = strdup(path);
    for (char *byte = copy; byte && *byte; ++byte)
        if (*byte & 0x80)
            *byte = '?';
    string = copy ? json_string(copy) : NULL;
    free(copy);
    return string;
}

static json_t *job_object(const struct stage *stage, json_t *modes)
{
    const struct stage_tree *tree = &stage->tree;
    const struct tree_skipped *skipped = &tree->skipped;
    json_t *left_out = json_pack("{s:o, s:o, s:o, s:o, s:o}", "symlinks", whole(skipped->symlinks), "special",
                                 whole(skipped->special), "unreadable", whole(skipped->unreadable),
                                 "long_names", whole(skipped->long_names), "over_limit",
                                 whole(skipped->over_limit));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "belay", PACKAGE_VERSION, "directory",
                     path_string(stage->directory_name), "files", whole(tree->file_count), "bytes",
                     whole(tree->bytes), "ranks", whole(stage->ranks), "workers", whole(stage->options.jobs),
                     "backups", whole(stage->options.backups), "skipped", left_out, "modes", modes);
}

bool stage_write_json(FILE *stream, const struct stage *stage)
{
    json_t *modes = json_array();
    for (unsigned i = 0; modes && i < stage->passes; ++i)
        if (json_array_append_new(modes, outcome_object(&stage->outcomes[i])) != 0)
            break;
    json_t *job = job_object(stage, modes);
    bool written = job && json_array_size(modes) == stage->passes &&
                   json_dumpf(job, stream, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
                   fputc('\n', stream) != EOF && fflush(stream) == 0;
    if (!written)
        message("cannot write the JSON: %s", strerror(job ? errno : ENOMEM));
    json_decref(job);
    return written;
}
