/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/attach.h"

#include "base/clock.h"
#include "base/log.h"
#include "tool/options.h"

#include <stdlib.h>
#include <string.h>

error_t attach_argument(struct argp_state *state, const char *text, const char **address_file)
{
    if (*address_file)
        return options_wrong(state, "%s: one address file is enough", text);
    *address_file = text;
    return 0;
}

error_t attach_argument_end(struct argp_state *state, const char **address_file)
{
    if (!*address_file)
        *address_file = getenv("BELAY_ADDRESS_FILE");
    if (*address_file && **address_file)
        return 0;
    return options_wrong(state, "no address file: name the one that the job wrote (BELAY_ADDRESS_FILE)");
}

/* All counters are sums, so they add up whatever they are called. */
static void add_stats(belay_cache_stats *sum, const belay_cache_stats *part)
{
    enum { FIGURES = sizeof *sum / sizeof(uint64_t) };
    uint64_t to[FIGURES], from[FIGURES];
    memcpy(to, sum, sizeof to);
    memcpy(from, part, sizeof from);
    for (size_t i = 0; i < FIGURES; ++i)
        to[i] += from[i];
    memcpy(sum, to, sizeof to);
}

static void add_latencies(belay_latencies *sum, const belay_latencies *part)
{
    sum->count += part->count;
    sum->sum_ns += part->sum_ns;
    if (part->longest_ns > sum->longest_ns)
        sum->longest_ns = part->longest_ns;
    for (unsigned i = 0; i < BELAY_LATENCY_BUCKETS; ++i)
        sum->buckets[i] += part->buckets[i];
}

static void add_share(struct observed_share *sum, const struct observed_share *share)
{
    sum->primaries += share->primaries;
    sum->backups += share->backups;
    sum->promoting += share->promoting;
    sum->restoring += share->restoring;
    sum->missing += share->missing;
    add_stats(&sum->stats, &share->stats);
    for (int i = 0; i < TIMED_KINDS; ++i)
        add_latencies(&sum->latencies[i], &share->latencies[i]);
}

static int attach_cache(const char *address_file, struct attached_cache *cache)
{
    struct ask_question question = {.kind = OBSERVE_SHARES, .cache = cache->cache->number};
    void *answer;
    size_t length;
    int result = ask_job(address_file, &question, &answer, &length);
    if (result != BELAY_OK)
        return result;
    cache->shares = answer;
    cache->count = (uint32_t)(length / sizeof *cache->shares);
    cache->sum.node = -1;
    for (uint32_t i = 0; i < cache->count; ++i)
        add_share(&cache->sum, &cache->shares[i]);
    return BELAY_OK;
}

static int take_apart(struct attached_job *job, size_t length)
{
    const struct observed_job *head = job->bytes;
    if (length < sizeof *head || head->caches > BELAY_CACHES_MAX || head->nodes > BELAY_NODES_MAX ||
        length != sizeof *head + head->nodes * sizeof(struct observed_node) +
                      head->caches * sizeof(struct observed_cache))
        return log_error(BELAY_ERR_PROTOCOL, "the job's answer is malformed");
    job->head = head;
    job->nodes = (const struct observed_node *)(const void *)(head + 1);
    const unsigned char *caches = (const unsigned char *)(job->nodes + head->nodes);
    for (uint32_t i = 0; i < head->caches; ++i)
        job->caches[i].cache = (const struct observed_cache *)(const void *)caches + i;
    return BELAY_OK;
}

int attach(const char *address_file, struct attached_job *job)
{
    struct ask_question question = {.kind = OBSERVE_JOB};
    size_t length;
    *job = (struct attached_job){.taken_ns = clock_now()};
    log_init(-1);
    int result = ask_job(address_file, &question, &job->bytes, &length);
    if (result == BELAY_OK)
        result = take_apart(job, length);
    for (uint32_t i = 0; result == BELAY_OK && i < job->head->caches; ++i)
        result = attach_cache(address_file, &job->caches[i]);
    if (result != BELAY_OK)
        attached_free(job);
    return result;
}

void attached_free(struct attached_job *job)
{
    for (uint32_t i = 0; i < BELAY_CACHES_MAX; ++i)
        free(job->caches[i].shares);
    free(job->bytes);
    *job = (struct attached_job){0};
}

int attach_verify(const char *address_file, uint32_t cache, uint32_t first, uint32_t count,
                  belay_verify_report *report)
{
    struct ask_question question = {.kind = OBSERVE_VERIFY, .cache = cache, .first = first, .count = count};
    void *answer;
    size_t length;
    int result = ask_job(address_file, &question, &answer, &length);
    if (result != BELAY_OK)
        return result;
    if (length != sizeof *report) {
        free(answer);
        return log_error(BELAY_ERR_PROTOCOL, "the job's answer is malformed");
    }
    memcpy(report, answer, sizeof *report);
    free(answer);
    return BELAY_OK;
}

const char *attached_role(uint32_t role)
{
    switch (role) {
    case BELAY_ROLE_CLIENT: return "client";
    case BELAY_ROLE_SPARE: return "spare";
    default: return "server";
    }
}
