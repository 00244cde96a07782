/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/lookup.h"

#include "base/log.h"
#include "cache/async.h"
#include "cache/expiry.h"
#include "cache/operation.h"
#include "cache/route.h"
#include "cache/wire.h"

#include <string.h>

/* ---- Mapped memory ---- */

const struct arena_view *cache_arena_of(belay_node *node, int peer)
{
    struct peer_arena *known = &node->caches->arenas[peer];
    int state = atomic_load_explicit(&known->state, memory_order_acquire);
    if (state == ARENA_VIEW_MADE)
        return known->view.base ? &known->view : NULL; /* NULL: on another host */
    bool own = peer == node->id;
    const void *base = own ? arena_base(node->arena) : fabric_map(node->fabric, peer);
    if (!base || state != ARENA_VIEW_UNKNOWN)
        return NULL;
    size_t size = own ? arena_size(node->arena) : fabric_peer_region_size(node->fabric, peer);
    int unknown = ARENA_VIEW_UNKNOWN;
    if (!atomic_compare_exchange_strong(&known->state, &unknown, ARENA_VIEW_BEING_MADE))
        return NULL;
    int result = arena_view_make(base, size, base, &known->view);
    atomic_store_explicit(&known->state, result == BELAY_OK ? ARENA_VIEW_MADE : ARENA_VIEW_BAD,
                          memory_order_release);
    return result == BELAY_OK ? &known->view : NULL;
}

static const struct copy_descriptor *find_descriptors(belay_cache *cache, int peer)
{
    const struct arena_view *view = cache_arena_of(cache->node, peer);
    if (!view)
        return NULL;
    const struct arena_header *header = (const struct arena_header *)view->base;
    uint64_t block = atomic_load_explicit(&header->cache_block[cache->number], memory_order_acquire);
    uint64_t length = (uint64_t)cache->partition_count * DESCRIPTOR_SIZE;
    if (block == 0 || block % 64 != 0 || block > view->size || length > view->size - block)
        return NULL;
    const struct copy_descriptor *descriptors = (const struct copy_descriptor *)(view->base + block);
    atomic_store_explicit(&cache->peers[peer].descriptors, descriptors, memory_order_release);
    return descriptors;
}

const struct copy_descriptor *cache_mapped_descriptor(belay_cache *cache, int peer, uint32_t partition)
{
    const struct copy_descriptor *first = atomic_load_explicit(&cache->peers[peer].descriptors,
                                                               memory_order_acquire);
    if (!first && !(first = find_descriptors(cache, peer)))
        return NULL;
    return (const struct copy_descriptor *)((const unsigned char *)first +
                                            (size_t)partition * DESCRIPTOR_SIZE);
}

/* ---- By request ---- */

/* One piece of a value from the primary. *length: bytes that came. */
static int request_piece(belay_cache *cache, int primary, const struct read_key *key,
                         const struct wire_get *wire, void *piece, struct wire_value *value, size_t *length)
{
    struct {
        struct wire_value value;
        unsigned char bytes[WIRE_VALUE_ROOM];
    } answer;
    struct waited_call call;
    struct message_header header = {.type = MESSAGE_GET, .cache = cache->number};
    struct iovec parts[2] = {part_of(wire, sizeof *wire), part_of(key->data, key->length)};
    waited_call_init(&call, primary, &answer, sizeof answer);
    int result = node_call_wait(cache->node, primary, header, parts, 2, &call, node_deadline(cache->node),
                                "get");
    if (result != BELAY_OK)
        return result;
    if (call.length < sizeof answer.value || call.length > sizeof answer ||
        call.length - sizeof answer.value > wire->wanted)
        return log_error(BELAY_ERR_PROTOCOL, "get: node %d gave a malformed answer", primary);
    *value = answer.value;
    *length = call.length - sizeof answer.value;
    if (*length > 0)
        memcpy(piece, answer.bytes, *length);
    return BELAY_OK;
}

/* All pieces must be of one version: begins anew when the value changes in between. */
static int request_value(belay_cache *cache, int primary, const struct read_key *key, void *buffer,
                         size_t capacity, struct read_result *result)
{
    struct wire_get wire = {.key_length = (uint32_t)key->length};
    struct wire_value value;
    do {
        size_t room = capacity - wire.from, came;
        wire.wanted = (uint32_t)(room < WIRE_VALUE_ROOM ? room : WIRE_VALUE_ROOM);
        unsigned char *piece = buffer ? (unsigned char *)buffer + wire.from : NULL;
        int status = request_piece(cache, primary, key, &wire, piece, &value, &came);
        if (status != BELAY_OK)
            return status;
        result->version = value.version;
        result->value_length = value.value_length;
        result->ends_at = value.ends_at;
        if (value.value_length > capacity)
            return BELAY_ERR_TRUNCATED;
        if (came == 0 && wire.from < value.value_length)
            return log_error(BELAY_ERR_PROTOCOL, "get: node %d sent an empty piece", primary);
        wire.version = value.version;
        wire.from += came;
    } while (wire.from < value.value_length);
    return BELAY_OK;
}

static int lookup_request(belay_cache *cache, const struct read_key *key, void *buffer, size_t capacity,
                          struct read_result *result)
{
    enum { CHANGES_BORNE = 1000 };
    int primary = cache_primary(cache, hash_partition(key->hash, cache->partition_count));
    int status = BELAY_ERR_CONFLICT;
    if (primary < 0)
        return OPERATION_ELSEWHERE;
    counter_add(cache->counters, counter_shard(), COUNT_GETS_REQUESTED, 1);
    for (int i = 0; i < CHANGES_BORNE && status == BELAY_ERR_CONFLICT; ++i)
        status = request_value(cache, primary, key, buffer, capacity, result);
    return status == BELAY_ERR_CONFLICT ? log_quiet(BELAY_ERR_TIMEOUT, "get: the value keeps changing")
                                        : status;
}

/* ---- From a backup ---- */

int lookup_backup(belay_cache *cache, const struct read_key *key, uint32_t partition, void *buffer,
                  size_t capacity, struct read_result *result)
{
    for (int i = 1; i < cache->places; ++i) {
        int holder = cache_holder(cache, partition, i);
        const struct copy_descriptor *descriptor = NULL;
        if (holder >= 0)
            descriptor = cache_mapped_descriptor(cache, holder, partition);
        if (descriptor && reader_get_mirrored(&cache->node->caches->arenas[holder].view, descriptor, key,
                                              buffer, capacity, result) == BELAY_OK) {
            counter_add(cache->counters, counter_shard(), COUNT_GETS_FROM_BACKUP, 1);
            return BELAY_OK;
        }
    }
    return READ_AGAIN;
}

/* ---- One key ---- */

static int read_remote(belay_cache *cache, const struct read_key *key, uint32_t partition, int primary,
                       void *buffer, size_t capacity, struct read_result *result)
{
    struct lookup lookup;
    struct node_wait wait;
    int status = lookup_begin(&lookup, cache, key, partition, primary, buffer, capacity);
    node_wait_begin(&wait, cache->node, node_deadline(cache->node));
    while (status == FABRIC_AGAIN) {
        if (!node_wait_more(&wait)) {
            lookup_cancel(&lookup);
            status = log_quiet(BELAY_ERR_TIMEOUT, "get: reads from node %d did not complete", primary);
            break;
        }
        status = lookup_step(&lookup);
    }
    node_wait_end(&wait);
    *result = lookup.result;
    return status;
}

/* Read from memory of this node; if it is torn again and again, keep the writers out for once. */
static int read_own(belay_cache *cache, const struct copy_descriptor *descriptor, const struct read_key *key,
                    uint32_t partition, void *buffer, size_t capacity, struct read_result *result)
{
    const struct arena_view *view = &cache->node->caches->arenas[cache->node->id].view;
    int status = reader_get(view, descriptor, key, buffer, capacity, result);
    if (status != READ_AGAIN)
        return status;
    spin_acquire(&cache->partitions[partition].lock);
    status = reader_get(view, descriptor, key, buffer, capacity, result);
    spin_release(&cache->partitions[partition].lock);
    return status;
}

static int get_from(belay_cache *cache, int primary, const struct read_key *key, uint32_t partition,
                    void *buffer, size_t capacity, struct read_result *result)
{
    unsigned shard = counter_shard();
    if (__builtin_expect(primary < 0, 0))
        return OPERATION_ELSEWHERE;
    const struct copy_descriptor *descriptor = cache_mapped_descriptor(cache, primary, partition);
    int status = READ_AGAIN;
    if (primary == cache->node->id) {
        counter_add(cache->counters, shard, COUNT_GETS_LOCAL, 1);
        return read_own(cache, descriptor, key, partition, buffer, capacity, result);
    }
    if (!async_unsettled(cache->node, primary, key->hash)) {
        if (!descriptor && cache_reads_backups(cache) &&
            lookup_backup(cache, key, partition, buffer, capacity, result) == BELAY_OK)
            return BELAY_OK;
        if (descriptor)
            status = reader_get(&cache->node->caches->arenas[primary].view, descriptor, key, buffer, capacity,
                                result);
        else
            status = read_remote(cache, key, partition, primary, buffer, capacity, result);
        if (status != READ_AGAIN)
            counter_add(cache->counters, shard, COUNT_GETS_ONE_SIDED, 1);
    }
    if (status == READ_AGAIN)
        status = lookup_request(cache, key, buffer, capacity, result);
    return status;
}

static int get_at_once(belay_cache *cache, const struct read_key *key, uint32_t partition, void *buffer,
                       size_t capacity, struct read_result *result)
{
    int primary = cache_primary(cache, partition);
    if (!route_is_clear(cache, primary)) {
        int status = route_check(cache, partition);
        if (status != BELAY_OK)
            return status;
    }
    int status = get_from(cache, primary, key, partition, buffer, capacity, result);
    /* What was read under a lease counts only if the lease still holds. */
    if (cache->node->liveness.several_hosts && !liveness_leased(cache->node))
        return OPERATION_ELSEWHERE;
    return status == READ_AGAIN ? OPERATION_ELSEWHERE : status;
}

int lookup_settled(belay_cache *cache, const struct read_key *key, void *buffer, size_t capacity,
                   struct read_result *result)
{
    struct route route;
    int status;
    uint32_t partition = hash_partition(key->hash, cache->partition_count);
    route_begin(&route, cache, partition);
    do
        status = get_at_once(cache, key, partition, buffer, capacity, result);
    while (route_repeats(&route, &status));
    return status;
}

int lookup_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
               struct read_result *result)
{
    struct read_key wanted = {.hash = key_hash(key, key_length), .data = key, .length = key_length};
    uint32_t partition = hash_partition(wanted.hash, cache->partition_count);
    unsigned shard = counter_shard();
    uint64_t began = timing_begin(counter_own(cache->counters, shard, COUNT_GETS));
    result->retries = 0;
    int status = get_at_once(cache, &wanted, partition, buffer, capacity, result);
    if (__builtin_expect(route_is_stale(status), 0))
        status = lookup_settled(cache, &wanted, buffer, capacity, result);
    if (expiry_concerns(status, result))
        status = expiry_settle(cache, &wanted, buffer, capacity, result);
    counter_add(cache->counters, shard, COUNT_GETS, 1);
    counter_add(cache->counters, shard, COUNT_HITS, status == BELAY_OK || status == BELAY_ERR_TRUNCATED);
    if (result->retries)
        counter_add(cache->counters, shard, COUNT_READ_RETRIES, result->retries);
    if (__builtin_expect(began != 0, 0))
        timing_end(cache->timings, shard, BELAY_TIMED_GETS, began);
    return status;
}
