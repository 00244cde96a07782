/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/observe.h"

#include "base/log.h"
#include "cache/cache.h"
#include "cache/whole.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- This node's part ---- */

static int handle_node(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct observed_node observed = {.id = node->id,
                                     .pid = (int32_t)getpid(),
                                     .role = node->settings.role,
                                     .malformed = atomic_load(&node->malformed)};
    (void)body;
    if (length != 0)
        return BELAY_ERR_PROTOCOL;
    gethostname(observed.host, sizeof observed.host - 1);
    if (node_is_server(node)) {
        uint64_t total = arena_total_segments(node->arena), unused = arena_free_segments(node->arena);
        observed.arena_size = total * arena_segment_size(node->arena);
        observed.arena_used = (total - unused) * arena_segment_size(node->arena);
    }
    node_reply(node, peer, header->call, BELAY_OK, &observed, sizeof observed);
    return BELAY_OK;
}

static void count_partition(struct partition *partition, unsigned wanted, struct observed_share *share)
{
    unsigned complete, restoring;
    spin_acquire(&partition->lock);
    if (partition_is_primary(partition)) {
        share->primaries++;
        share->promoting += !partition->ready;
        partition_count_copies(partition, &complete, &restoring);
        share->restoring += restoring;
        share->missing += wanted > complete + restoring ? wanted - complete - restoring : 0;
    } else if (partition->copy) {
        share->backups++;
    }
    spin_release(&partition->lock);
}

static int handle_share(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct observed_share share = {.node = node->id};
    belay_cache *cache = cache_find(node, header->cache);
    (void)body;
    if (length != 0)
        return BELAY_ERR_PROTOCOL;
    if (!cache) {
        node_reply(node, peer, header->call, BELAY_ERR_NOT_FOUND, NULL, 0);
        return BELAY_OK;
    }
    whole_stats(cache, &share.stats);
    for (int calls = BELAY_TIMED_GETS; calls <= BELAY_TIMED_WRITES; ++calls)
        timings_sum(cache->timings, (belay_timed)calls, &share.latencies[calls - 1]);
    for (uint32_t i = 0; i < cache->partition_count; ++i)
        count_partition(&cache->partitions[i], (unsigned)cache->copies, &share);
    node_reply(node, peer, header->call, BELAY_OK, &share, sizeof share);
    return BELAY_OK;
}

/* ---- All nodes' ---- */

/* One part of @p size from every node that has one; *end is moved behind them. */
static int collect(belay_node *node, enum message_type type, uint16_t cache, size_t size, unsigned char **end)
{
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        struct waited_call call;
        struct message_header header = {.type = (uint8_t)type, .cache = cache};
        if (!view_alive(node->view, peer))
            continue;
        waited_call_init(&call, peer, *end, size);
        int result = node_call_wait(node, peer, header, NULL, 0, &call, node_deadline(node), "observing");
        if (result == BELAY_OK && call.length == size)
            *end += size;
        else if (result != BELAY_ERR_NODE_FAILED && result != BELAY_ERR_NOT_FOUND)
            return result == BELAY_OK ? BELAY_ERR_PROTOCOL : result;
    }
    return BELAY_OK;
}

static int answer_job(belay_node *node, void **answer, size_t *length)
{
    size_t nodes = (size_t)node->view->nodes;
    struct observed_job *job = calloc(1, sizeof *job + nodes * sizeof(struct observed_node) +
                                             BELAY_CACHES_MAX * sizeof(struct observed_cache));
    if (!job)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to describe %zu nodes", nodes);
    unsigned char *first = (unsigned char *)(job + 1), *end = first;
    int result = collect(node, MESSAGE_OBSERVE_NODE, 0, sizeof(struct observed_node), &end);
    if (result != BELAY_OK) {
        free(job);
        return result;
    }
    job->view = node->view->number;
    job->nodes = (uint32_t)((size_t)(end - first) / sizeof(struct observed_node));
    for (uint16_t number = 0; number < BELAY_CACHES_MAX; ++number) {
        const belay_cache *cache = cache_find(node, number);
        if (!cache)
            continue;
        struct observed_cache observed = {
            .number = number, .lost = atomic_load(&cache->lost_count), .settings = cache->settings};
        memcpy(end, &observed, sizeof observed);
        end += sizeof observed;
        job->caches++;
    }
    *answer = job;
    *length = (size_t)(end - (unsigned char *)job);
    return BELAY_OK;
}

static int answer_shares(belay_cache *cache, void **answer, size_t *length)
{
    belay_node *node = cache->node;
    size_t share_size = sizeof(struct observed_share);
    unsigned char *shares = calloc((size_t)node->view->nodes, share_size);
    if (!shares)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to describe a cache");
    unsigned char *end = shares;
    int result = collect(node, MESSAGE_OBSERVE_SHARE, cache->number, share_size, &end);
    if (result != BELAY_OK) {
        free(shares);
        return result;
    }
    *answer = shares;
    *length = (size_t)(end - shares);
    return BELAY_OK;
}

static int answer_verify(belay_cache *cache, const struct ask_question *question, void **answer,
                         size_t *length)
{
    belay_verify_report *report = calloc(1, sizeof *report);
    if (!report)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a report");
    int result = whole_verify_some(cache, question->first, question->count, report);
    if (result != BELAY_OK) {
        free(report);
        return result;
    }
    *answer = report;
    *length = sizeof *report;
    return BELAY_OK;
}

/* Clients know the caches that they have opened, servers all. */
static int answer(belay_node *node, const struct ask_question *question, void **bytes, size_t *length)
{
    if (!node_is_server(node))
        return ASK_ELSEWHERE;
    if (question->kind == OBSERVE_JOB)
        return answer_job(node, bytes, length);
    belay_cache *cache = question->cache < BELAY_CACHES_MAX ? cache_find(node, (uint16_t)question->cache)
                                                            : NULL;
    if (!cache)
        return log_quiet(BELAY_ERR_NOT_FOUND, "the job has no cache number %u", question->cache);
    switch (question->kind) {
    case OBSERVE_SHARES: return answer_shares(cache, bytes, length);
    case OBSERVE_VERIFY: return answer_verify(cache, question, bytes, length);
    default: return log_quiet(BELAY_ERR_PROTOCOL, "an unknown question");
    }
}

void observe_register(belay_node *node)
{
    node_handle(node, MESSAGE_OBSERVE_NODE, handle_node);
    node_handle(node, MESSAGE_OBSERVE_SHARE, handle_share);
    node->answer_question = answer;
}
