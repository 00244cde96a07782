/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/many.h"

#include "base/log.h"
#include "cache/async.h"
#include "cache/client.h"
#include "cache/expiry.h"
#include "cache/route.h"

#include <stdlib.h>

enum {
    PREFETCH_BATCH = 32, /* keys whose cache misses overlap */
    IN_FLIGHT = 16       /* requests or remote lookups */
};

/* ---- Gets ---- */

struct ahead {
    uint64_t hash;
    int primary;
    const struct arena_view *view;
    const struct copy_descriptor *descriptor; /* NULL: not mapped */
    const slot_word *home;                    /* bucket; NULL: none yet */
};

static void look_ahead(belay_cache *cache, const belay_get_item *item, struct ahead *ahead)
{
    ahead->descriptor = NULL;
    if (item->status != BELAY_OK)
        return;
    ahead->hash = key_hash(item->key.data, item->key.length);
    uint32_t partition = hash_partition(ahead->hash, cache->partition_count);
    ahead->primary = cache_primary(cache, partition);
    if (ahead->primary < 0)
        return;
    ahead->descriptor = cache_mapped_descriptor(cache, ahead->primary, partition);
    if (!ahead->descriptor)
        return;
    ahead->view = &cache->node->caches->arenas[ahead->primary].view;
    ahead->home = reader_prefetch_bucket(ahead->view, ahead->descriptor, ahead->hash);
}

/* With leases, what was read has to be checked afterwards: not here. */
static bool may_be_read(const belay_cache *cache, const struct ahead *ahead)
{
    const belay_node *node = cache->node;
    return route_is_clear(cache, ahead->primary) && !node->liveness.several_hosts &&
           (ahead->primary == node->id || !async_unsettled(node, ahead->primary, ahead->hash));
}

/* @return whether it was as simple as most are; else the item was got as a single one is. */
static bool get_one_mapped(belay_cache *cache, belay_get_item *item, const struct ahead *ahead)
{
    struct read_key key = {.hash = ahead->hash, .data = item->key.data, .length = item->key.length};
    struct read_result result;
    int status = READ_AGAIN;
    if (may_be_read(cache, ahead))
        status = reader_get_ahead(ahead->view, ahead->descriptor, ahead->home, &key, item->buffer,
                                  item->capacity, &result);
    bool simple = status != READ_AGAIN && !expiry_concerns(status, &result);
    if (!simple)
        status = lookup_get(cache, key.data, key.length, item->buffer, item->capacity, &result);
    item->status = status;
    if (status == BELAY_OK || status == BELAY_ERR_TRUNCATED)
        item->length = result.value_length;
    return simple;
}

struct pipeline {
    belay_cache *cache;
    struct belay_request *requests; /* IN_FLIGHT */
    void *items[IN_FLIGHT];         /* whose request it is; NULL: free */
};

static int pipeline_open(struct pipeline *pipeline, belay_cache *cache)
{
    *pipeline = (struct pipeline){.cache = cache};
    pipeline->requests = malloc(IN_FLIGHT * sizeof *pipeline->requests);
    return pipeline->requests ? BELAY_OK
                              : log_error(BELAY_ERR_NO_MEMORY, "no memory for %d requests", IN_FLIGHT);
}

static void finish_get(struct pipeline *pipeline, int i)
{
    belay_get_item *item = pipeline->items[i];
    if (!item)
        return;
    item->status = client_finish(&pipeline->requests[i]);
    pipeline->items[i] = NULL;
}

static void get_mapped(belay_cache *cache, belay_get_item *items, const struct ahead *ahead, size_t count)
{
    unsigned here = 0, there = 0, hits = 0;
    for (size_t i = 0; i < count; ++i)
        if (ahead[i].descriptor)
            reader_prefetch_entry(ahead[i].view, ahead[i].descriptor, ahead[i].home, ahead[i].hash);
    for (size_t i = 0; i < count; ++i) {
        if (!ahead[i].descriptor || !get_one_mapped(cache, &items[i], &ahead[i]))
            continue;
        here += ahead[i].primary == cache->node->id;
        there += ahead[i].primary != cache->node->id;
        hits += items[i].status != BELAY_ERR_NOT_FOUND;
    }
    unsigned shard = counter_shard();
    counter_add(cache->counters, shard, COUNT_GETS, here + there);
    counter_add(cache->counters, shard, COUNT_HITS, hits);
    counter_add(cache->counters, shard, COUNT_GETS_LOCAL, here);
    counter_add(cache->counters, shard, COUNT_GETS_ONE_SIDED, there);
}

/* The rest of a batch, by reads or requests that overlap. */
static void get_unmapped(belay_cache *cache, belay_get_item *items, const struct ahead *ahead, size_t count,
                         struct pipeline *pipeline)
{
    int next = 0;
    for (size_t i = 0; i < count; ++i) {
        if (ahead[i].descriptor || items[i].status != BELAY_OK)
            continue;
        if (!pipeline->requests && pipeline_open(pipeline, cache) != BELAY_OK) {
            items[i].status = BELAY_ERR_NO_MEMORY;
            continue;
        }
        finish_get(pipeline, next);
        pipeline->items[next] = &items[i];
        client_begin_get(&pipeline->requests[next], cache, items[i].key.data, items[i].key.length,
                         items[i].buffer, items[i].capacity, &items[i].length);
        next = (next + 1) % IN_FLIGHT;
    }
    for (int i = 0; i < IN_FLIGHT; ++i)
        finish_get(pipeline, i);
}

void many_get(belay_cache *cache, belay_get_item *items, size_t count)
{
    struct pipeline pipeline = {0};
    struct ahead ahead[PREFETCH_BATCH];
    while (count > 0) {
        size_t batch = count < PREFETCH_BATCH ? count : PREFETCH_BATCH;
        bool all_mapped = true;
        for (size_t i = 0; i < batch; ++i) {
            look_ahead(cache, &items[i], &ahead[i]);
            all_mapped = all_mapped && ahead[i].descriptor;
        }
        get_mapped(cache, items, ahead, batch);
        if (!all_mapped)
            get_unmapped(cache, items, ahead, batch, &pipeline);
        items += batch;
        count -= batch;
    }
    free(pipeline.requests);
}

/* ---- Puts ---- */

static void finish_put(struct pipeline *pipeline, int i)
{
    belay_put_item *item = pipeline->items[i];
    if (!item)
        return;
    item->status = client_finish(&pipeline->requests[i]);
    pipeline->items[i] = NULL;
}

void many_put(belay_cache *cache, belay_put_item *items, size_t count, const belay_write_options *options)
{
    struct pipeline pipeline;
    int next = 0;
    if (pipeline_open(&pipeline, cache) != BELAY_OK) {
        for (size_t i = 0; i < count; ++i)
            items[i].status = BELAY_ERR_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        belay_put_item *item = &items[i];
        if (item->status != BELAY_OK)
            continue;
        finish_put(&pipeline, next);
        struct belay_request *request = &pipeline.requests[next];
        client_operation(request, OPERATION_PUT, item->key.data, item->key.length, item->value.data,
                         item->value.length);
        pipeline.items[next] = item;
        client_begin(request, cache, options);
        next = (next + 1) % IN_FLIGHT;
    }
    for (int i = 0; i < IN_FLIGHT; ++i)
        finish_put(&pipeline, i);
    free(pipeline.requests);
}
