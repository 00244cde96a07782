/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/whole.h"

#include "base/log.h"
#include "base/own_key.h"
#include "cache/async.h"
#include "cache/client.h"
#include "cache/route.h"
#include "cache/transaction_locks.h"
#include "cache/wire.h"
#include "mirror/verify.h"

#include <stdlib.h>
#include <string.h>

int whole_ask_primary(belay_cache *cache, uint32_t partition, const struct whole_question *question,
                      void *answer, size_t capacity, size_t *length, const char *what)
{
    belay_node *node = cache->node;
    struct message_header header = {.type = (uint8_t)question->type, .cache = cache->number};
    struct iovec part = part_of(question->body, question->length);
    struct waited_call call;
    struct route route;
    int result;
    route_begin(&route, cache, partition);
    do {
        int primary = cache_primary(cache, partition);
        waited_call_init(&call, primary, answer, capacity);
        result = route_check(cache, partition);
        if (result == BELAY_OK)
            result = node_call_wait(node, primary, header, &part, 1, &call, node_deadline(node), what);
    } while (route_repeats(&route, &result));
    *length = call.length;
    return result;
}

/* ---- Size ---- */

static int size_of_partition(belay_cache *cache, uint32_t partition, uint64_t *entries)
{
    struct whole_question question = {.type = MESSAGE_SIZE, .body = &partition, .length = sizeof partition};
    size_t length;
    return whole_ask_primary(cache, partition, &question, entries, sizeof *entries, &length, "belay_size");
}

/* What a node has as a primary is asked of it at once; only partitions that change over are asked for one by one. */
static int sizes_at(belay_cache *cache, int peer, uint64_t *sizes)
{
    belay_node *node = cache->node;
    for (uint32_t first = 0; first < cache->partition_count; first += WHOLE_SIZES_PER_MESSAGE) {
        struct waited_call call;
        struct message_header header = {.type = MESSAGE_SIZES, .cache = cache->number};
        struct iovec part = part_of(&first, sizeof first);
        uint64_t answer[WHOLE_SIZES_PER_MESSAGE];
        waited_call_init(&call, peer, answer, sizeof answer);
        int result = node_call_wait(node, peer, header, &part, 1, &call, node_deadline(node), "belay_size");
        if (result != BELAY_OK)
            return result;
        for (uint32_t i = 0; i < call.length / sizeof answer[0] && first + i < cache->partition_count; ++i)
            if (answer[i] != WHOLE_SIZE_UNKNOWN)
                sizes[first + i] = answer[i];
    }
    return BELAY_OK;
}

int whole_size(belay_cache *cache, uint64_t *entries)
{
    belay_node *node = cache->node;
    uint64_t *sizes = malloc(cache->partition_count * sizeof *sizes), sum = 0;
    int result = BELAY_OK;
    if (!sizes)
        return log_error(BELAY_ERR_NO_MEMORY, "belay_size: no memory");
    for (uint32_t i = 0; i < cache->partition_count; ++i)
        sizes[i] = WHOLE_SIZE_UNKNOWN;
    for (int peer = 0; peer < node->view->nodes && result == BELAY_OK; ++peer)
        if (node->view->members[peer].server && view_alive(node->view, peer))
            result = sizes_at(cache, peer, sizes);
    if (result == BELAY_ERR_NODE_FAILED)
        result = BELAY_OK; /* its partitions have other primaries soon */
    for (uint32_t i = 0; i < cache->partition_count && result == BELAY_OK; ++i) {
        if (sizes[i] == WHOLE_SIZE_UNKNOWN)
            result = size_of_partition(cache, i, &sizes[i]);
        sum += sizes[i];
    }
    free(sizes);
    if (result == BELAY_OK)
        *entries = sum;
    return result;
}

/* ---- Clear ---- */

static int clear_partition(belay_cache *cache, uint32_t partition)
{
    struct whole_question question = {.type = MESSAGE_CLEAR, .body = &partition, .length = sizeof partition};
    struct node_wait wait;
    size_t length;
    int result;
    bool in_time = true;
    node_wait_begin(&wait, cache->node, node_deadline(cache->node));
    do {
        async_mark_dirty(cache->node, cache_primary(cache, partition));
        result = whole_ask_primary(cache, partition, &question, NULL, 0, &length, "belay_clear");
        in_time = node_wait_more(&wait);
    } while (result == OPERATION_LOCKED && in_time);
    node_wait_end(&wait);
    return result == OPERATION_LOCKED
               ? log_quiet(BELAY_ERR_TIMEOUT, "belay_clear: transactions have locked keys of partition %u",
                           partition)
               : result;
}

/* A primary that dies may take its clearing with it: once more. */
int whole_clear(belay_cache *cache)
{
    belay_node *node = cache->node;
    int result, live;
    do {
        live = view_live_count(node->view);
        result = BELAY_OK;
        for (uint32_t i = 0; i < cache->partition_count && result == BELAY_OK; ++i)
            result = clear_partition(cache, i);
        if (result == BELAY_OK)
            result = async_settle(node, node_deadline(node));
    } while (result == BELAY_OK && view_live_count(node->view) < live);
    return result;
}

/* ---- Iteration: keys are listed by their primary, values are then read as by belay_get() ---- */

struct iteration {
    belay_cache *cache;
    belay_visitor visit;
    void *context;
    unsigned char *value;
    size_t capacity;
};

static int visit_key(struct iteration *iteration, const void *key, size_t length)
{
    struct read_result result;
    int status;
    while ((status = lookup_get(iteration->cache, key, length, iteration->value, iteration->capacity,
                                &result)) == BELAY_ERR_TRUNCATED) {
        unsigned char *grown = realloc(iteration->value, result.value_length);
        if (!grown)
            return log_error(BELAY_ERR_NO_MEMORY, "belay_iterate: no memory for a value of %zu bytes",
                             result.value_length);
        iteration->value = grown;
        iteration->capacity = result.value_length;
    }
    if (status == BELAY_ERR_NOT_FOUND) /* removed meanwhile */
        return BELAY_OK;
    if (status != BELAY_OK)
        return status;
    return iteration->visit((belay_bytes){key, length}, (belay_bytes){iteration->value, result.value_length},
                            iteration->context);
}

static int visit_keys(struct iteration *iteration, const unsigned char *keys, size_t used)
{
    for (size_t at = 0; at < used;) {
        uint16_t length;
        if (used - at < sizeof length)
            return log_error(BELAY_ERR_PROTOCOL, "belay_iterate: malformed list of keys");
        memcpy(&length, keys + at, sizeof length);
        at += sizeof length;
        if (length == 0 || length > BELAY_KEY_MAX || length > used - at)
            return log_error(BELAY_ERR_PROTOCOL, "belay_iterate: malformed list of keys");
        int status = own_key(keys + at, length) ? BELAY_OK : visit_key(iteration, keys + at, length);
        if (status != 0)
            return status;
        at += length;
    }
    return BELAY_OK;
}

static int iterate_partition(struct iteration *iteration, uint32_t partition)
{
    belay_cache *cache = iteration->cache;
    struct wire_keys wire = {.partition = partition};
    struct wire_keys_answer answer;
    while (wire.cursor.prefix < KEY_PREFIX_END) {
        struct whole_question question = {.type = MESSAGE_KEYS, .body = &wire, .length = sizeof wire};
        size_t length;
        int status = whole_ask_primary(cache, partition, &question, &answer, sizeof answer, &length,
                                       "belay_iterate");
        if (status != BELAY_OK)
            return status;
        if (length < offsetof(struct wire_keys_answer, keys) || length > sizeof answer ||
            !key_cursor_valid(&answer.cursor))
            return log_error(BELAY_ERR_PROTOCOL, "belay_iterate: malformed answer for partition %u",
                             partition);
        wire.cursor = answer.cursor;
        status = visit_keys(iteration, answer.keys, length - offsetof(struct wire_keys_answer, keys));
        if (status != 0)
            return status;
    }
    return BELAY_OK;
}

int whole_iterate(belay_cache *cache, int local_only, belay_visitor visit, void *context)
{
    struct iteration iteration = {.cache = cache, .visit = visit, .context = context, .capacity = 4096};
    int status = BELAY_OK;
    iteration.value = malloc(iteration.capacity);
    if (!iteration.value)
        return log_error(BELAY_ERR_NO_MEMORY, "belay_iterate: no memory");
    for (uint32_t partition = 0; partition < cache->partition_count && status == 0; ++partition)
        if (!local_only || cache_primary(cache, partition) == cache->node->id)
            status = iterate_partition(&iteration, partition);
    free(iteration.value);
    return status;
}

/* ---- Verify ---- */

static int verify_once(belay_cache *cache, uint32_t partition, belay_verify_report *found)
{
    int nodes[PARTITION_BACKUPS_MAX + 1];
    int result = route_check(cache, partition);
    if (result != BELAY_OK)
        return result;
    for (int i = 0; i < cache->places; ++i)
        nodes[i] = cache_holder(cache, partition, i);
    return verify_partition(cache->node, cache->number, partition, nodes, cache->places, found);
}

/* From the beginning, if holders change meanwhile. */
static int verify_settled(belay_cache *cache, uint32_t partition, belay_verify_report *report)
{
    struct route route;
    belay_verify_report before = *report;
    int result;
    route_begin(&route, cache, partition);
    do {
        *report = before;
        result = verify_once(cache, partition, report);
        if (result == VERIFY_AGAIN)
            result = OPERATION_ELSEWHERE;
    } while (route_repeats(&route, &result));
    return result;
}

int whole_verify_some(belay_cache *cache, uint32_t first, uint32_t count, belay_verify_report *report)
{
    for (uint32_t partition = first; partition < cache->partition_count && partition - first < count;
         ++partition) {
        if (cache_is_lost(cache, partition))
            continue;
        int result = verify_settled(cache, partition, report);
        if (result != BELAY_OK)
            return result;
    }
    return BELAY_OK;
}

int whole_verify(belay_cache *cache, belay_verify_report *report)
{
    belay_verify_report found = {0};
    int result = whole_verify_some(cache, 0, cache->partition_count, &found);
    if (result != BELAY_OK)
        return result;
    *report = found;
    if (found.differences == 0 && found.damaged == 0)
        return BELAY_OK;
    return log_error(
        BELAY_ERR_DIFFERS, "cache %s: %llu segments differ from their primary's, %llu entries are damaged",
        cache->settings.name, (unsigned long long)found.differences, (unsigned long long)found.damaged);
}

void whole_stats(belay_cache *cache, belay_cache_stats *stats)
{
    const struct counters *counters = cache->counters;
    *stats = (belay_cache_stats){
        .gets = counter_sum(counters, COUNT_GETS),
        .hits = counter_sum(counters, COUNT_HITS),
        .gets_local = counter_sum(counters, COUNT_GETS_LOCAL),
        .gets_one_sided = counter_sum(counters, COUNT_GETS_ONE_SIDED),
        .gets_requested = counter_sum(counters, COUNT_GETS_REQUESTED),
        .gets_from_backup = counter_sum(counters, COUNT_GETS_FROM_BACKUP),
        .gets_near = counter_sum(counters, COUNT_GETS_NEAR),
        .read_retries = counter_sum(counters, COUNT_READ_RETRIES),
        .puts = counter_sum(counters, COUNT_PUTS),
        .removes = counter_sum(counters, COUNT_REMOVES),
    };
    stats->misses = stats->gets - stats->hits;
    for (uint32_t i = 0; i < cache->partition_count; ++i) {
        struct partition *partition = &cache->partitions[i];
        if (!partition->copy)
            continue;
        spin_acquire(&partition->lock);
        for (uint32_t logical = 0; logical < copy_logical_end(partition->copy); ++logical)
            if (copy_physical(partition->copy, logical) != ARENA_NO_SEGMENT)
                stats->bytes_held += arena_segment_size(cache->node->arena);
        if (partition_is_primary(partition)) {
            stats->entries += transactions_visible(partition);
            stats->bytes_live += copy_bytes_live(partition->copy);
            stats->updates_applied += partition->updates;
            stats->expired += partition->expired;
            stats->evicted += partition->evicted;
            stats->pushes += partition->pushes;
            stats->push_bytes += partition->push_bytes;
        }
        spin_release(&partition->lock);
    }
}
