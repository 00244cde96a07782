/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/whole.h"

#include "base/log.h"
#include "cache/async.h"
#include "cache/client.h"
#include "cache/wire.h"
#include "mirror/verify.h"

#include <stdlib.h>
#include <string.h>

/* Calls to many nodes or partitions, a window of them in flight. */
enum { WINDOW = 32 };

int whole_size(belay_cache *cache, uint64_t *entries)
{
    belay_node *node = cache->node;
    uint64_t sum = 0;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        struct waited_call call;
        uint64_t part = 0;
        if (!node->view->members[peer].server || !view_alive(node->view, peer))
            continue;
        waited_call_init(&call, peer, &part, sizeof part);
        int result = node_call_wait(node, peer,
                                    (struct message_header){.type = MESSAGE_SIZE, .cache = cache->number},
                                    NULL, 0, &call, node_deadline(node), "belay_size");
        if (result != BELAY_OK)
            return result;
        sum += part;
    }
    *entries = sum;
    return BELAY_OK;
}

static int begin_clear(belay_cache *cache, uint32_t partition, struct waited_call *call)
{
    struct message_header header = {.type = MESSAGE_CLEAR, .cache = cache->number};
    struct iovec part = {&partition, sizeof partition};
    int primary = cache_primary(cache, partition);
    waited_call_init(call, primary, NULL, 0);
    async_mark_dirty(cache->node, primary);
    return node_call(cache->node, primary, header, &part, 1, &call->call, node_deadline(cache->node));
}

int whole_clear(belay_cache *cache)
{
    struct waited_call calls[WINDOW];
    int result = BELAY_OK;
    for (uint32_t first = 0; first < cache->partition_count && result == BELAY_OK; first += WINDOW) {
        uint32_t begun = 0;
        for (; begun < WINDOW && first + begun < cache->partition_count && result == BELAY_OK; ++begun)
            result = begin_clear(cache, first + begun, &calls[begun]);
        begun -= result != BELAY_OK;
        for (uint32_t i = 0; i < begun; ++i) {
            int cleared = node_finish_call(cache->node, &calls[i], node_deadline(cache->node), "belay_clear");
            result = result == BELAY_OK ? cleared : result;
        }
    }
    return result == BELAY_OK ? async_flush(cache->node, node_deadline(cache->node)) : result;
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
        int status = visit_key(iteration, keys + at, length);
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
        struct waited_call call;
        struct iovec part = {&wire, sizeof wire};
        struct message_header header = {.type = MESSAGE_KEYS, .cache = cache->number};
        int primary = cache_primary(cache, partition);
        waited_call_init(&call, primary, &answer, sizeof answer);
        int status = node_call_wait(cache->node, primary, header, &part, 1, &call, node_deadline(cache->node),
                                    "belay_iterate");
        if (status != BELAY_OK)
            return status;
        if (call.length < offsetof(struct wire_keys_answer, keys) || call.length > sizeof answer ||
            !key_cursor_valid(&answer.cursor))
            return log_error(BELAY_ERR_PROTOCOL, "belay_iterate: node %d gave a malformed answer", primary);
        wire.cursor = answer.cursor;
        status = visit_keys(iteration, answer.keys, call.length - offsetof(struct wire_keys_answer, keys));
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

int whole_verify(belay_cache *cache, belay_verify_report *report)
{
    belay_verify_report found = {0};
    for (uint32_t partition = 0; partition < cache->partition_count; ++partition) {
        const int *nodes = cache->holders + (size_t)partition * (size_t)cache->copies;
        int result = verify_partition(cache->node, cache->number, partition, nodes, cache->copies, &found);
        if (result != BELAY_OK)
            return result;
    }
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
            stats->entries += copy_entries(partition->copy);
            stats->bytes_live += copy_bytes_live(partition->copy);
            stats->updates_applied += partition->updates;
            stats->pushes += partition->pushes;
            stats->push_bytes += partition->push_bytes;
        }
        spin_release(&partition->lock);
    }
}
