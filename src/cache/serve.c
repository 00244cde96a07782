/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file serve.c
 * Requests from other nodes, handled by whoever makes progress at the primary (so under the state lock).
 *
 * Requests of one peer to one partition are handled in the order they came. What cannot go on yet is parked at its
 * partition with a copy of its message, and everything that comes later for that partition lines up behind it.
 */
#include "cache/serve.h"

#include "base/fault.h"
#include "base/log.h"
#include "cache/async.h"
#include "cache/operation.h"
#include "cache/transaction_locks.h"
#include "cache/whole.h"
#include "cache/wire.h"

#include <stdlib.h>
#include <string.h>

/* One request in work, from its arrival to its answer. */
struct request {
    struct parked parked; /* first: how the partition knows it */
    struct partition *partition;
    int peer;
    struct message_header header;
    union {
        struct wire_update update;
        struct wire_get get;
        struct wire_reserve reserve;
    } wire;
    const void *key; /* in the message, or in `bytes` */
    const void *value;
    size_t key_length;
    uint64_t hash;
    uint32_t failures_seen;
    bool was_parked;
    unsigned char *bytes; /* own copy of key and value; NULL: the message's */
    struct operation operation;
    struct request *next_free;
};

enum { REQUESTS_KEPT = 64 }; /* unused ones */

static struct request *request_new(struct partition *partition, int peer, const struct message_header *header)
{
    struct cache_registry *registry = partition->node->caches;
    struct request *request = registry->free_requests;
    if (request) {
        registry->free_requests = request->next_free;
        --registry->free_request_count;
    } else if (!(request = malloc(sizeof *request))) {
        log_error(BELAY_ERR_NO_MEMORY, "no memory for a request");
        return NULL;
    }
    request->partition = partition;
    request->peer = peer;
    request->header = *header;
    request->failures_seen = PROVISION_NEVER_FAILED;
    request->was_parked = false;
    request->bytes = NULL;
    return request;
}

static void request_free(struct request *request)
{
    free(request->bytes);
    struct cache_registry *registry = request->partition->node->caches;
    if (registry->free_request_count >= REQUESTS_KEPT) {
        free(request);
        return;
    }
    request->next_free = registry->free_requests;
    registry->free_requests = request;
    ++registry->free_request_count;
}

void serve_free_requests(struct cache_registry *registry)
{
    for (struct request *request; (request = registry->free_requests);) {
        registry->free_requests = request->next_free;
        free(request);
    }
}

/* The partition of a key; that this node is its primary is checked under its lock. */
static struct partition *find_primary(belay_node *node, uint16_t number, uint64_t hash)
{
    belay_cache *cache = cache_find(node, number);
    return cache ? &cache->partitions[hash_partition(hash, cache->partition_count)] : NULL;
}

/* Why a request to this partition can not be served at all; BELAY_OK: it can, perhaps later. The lock is held. */
static int not_here(const struct partition *partition)
{
    if (partition->lost)
        return BELAY_ERR_PARTITION_LOST;
    return partition_is_primary(partition) ? BELAY_OK : OPERATION_ELSEWHERE;
}

/* Its sender has a view that does not hold here yet: wait for it. */
static bool is_ahead(const struct request *request)
{
    return request->header.view > request->partition->node->view->number;
}

/* The same for a question that is not parked. */
static int not_ready(const struct partition *partition)
{
    int status = not_here(partition);
    return status == BELAY_OK && !partition->ready ? OPERATION_ELSEWHERE : status;
}

/* ---- Parking ---- */

/* The message is gone when its handler returns: keep what the request still needs of it. */
static bool keep_bytes(struct request *request, size_t value_length)
{
    unsigned char *bytes = malloc(request->key_length + value_length);
    if (!bytes)
        return false;
    memcpy(bytes, request->key, request->key_length);
    if (value_length)
        memcpy(bytes + request->key_length, request->value, value_length);
    request->bytes = bytes;
    request->key = bytes;
    request->value = bytes + request->key_length;
    request->operation.key = request->key;
    request->operation.value = request->value;
    return true;
}

static void refuse(belay_node *node, int peer, const struct message_header *header, int status)
{
    node_reply(node, peer, header->call, status, NULL, 0);
}

/* Attempt a new request, or line it up behind those that wait already. */
static void begin(struct request *request, size_t value_length)
{
    struct partition *partition = request->partition;
    belay_node *node = partition->node;
    struct message_header header = request->header;
    int peer = request->peer;
    spin_acquire(&partition->lock);
    if (partition->parked_first || !request->parked.attempt(&request->parked)) {
        request->was_parked = true;
        if (keep_bytes(request, value_length)) {
            async_parked(node, peer, header.call == 0);
            partition_park(partition, &request->parked);
        } else {
            refuse(node, peer, &header, log_error(BELAY_ERR_NO_MEMORY, "no memory to park a request"));
            request_free(request);
        }
    }
    spin_release(&partition->lock);
}

/* An attempt may free what was parked, and park something else. */
void serve_unpark(struct partition *partition)
{
    for (struct parked *parked; (parked = partition_take_parked(partition));) {
        if (parked->attempt(parked))
            continue;
        partition_park_first(partition, parked);
        return;
    }
}

/* ---- Updates ---- */

static bool carries_value(const struct wire_update *wire)
{
    return !wire->entry_at && wire->kind != OPERATION_REMOVE && wire->kind != OPERATION_FETCH_ADD;
}

static bool update_valid(const struct wire_update *wire, size_t length)
{
    return wire->kind < OPERATION_KINDS && wire->sync >= BELAY_FULL_SYNC && wire->sync <= BELAY_FULL_ASYNC &&
           wire->key_length > 0 && wire->key_length <= BELAY_KEY_MAX &&
           wire->value_length <= BELAY_VALUE_MAX &&
           length == wire->key_length + (carries_value(wire) ? (size_t)wire->value_length : 0);
}

static void answer_update(struct request *request)
{
    belay_node *node = request->partition->node;
    struct operation *operation = &request->operation;
    if (request->header.call == 0) {
        async_applied(node, request->peer, request->wire.update.async_number, operation->status,
                      request->partition->number, request->was_parked);
        return;
    }
    struct message_header header = {.type = MESSAGE_REPLY,
                                    .call = request->header.call,
                                    .status = operation->status,
                                    .view = node->view->number};
    struct iovec part = {&operation->answer, sizeof operation->answer};
    FAULT_POINT("reply-before");
    if (operation->kind == OPERATION_FETCH_ADD)
        FAULT_POINT("reply-before-sum"); /* to do these twice would show */
    if (operation->kind == OPERATION_COMPARE_AND_SET && operation->status == BELAY_OK)
        FAULT_POINT("reply-before-set");
    node_answer(node, request->peer, &header, &part);
    FAULT_POINT("reply-after");
}

static void answer_pending(struct operation *operation)
{
    struct request *request = (struct request *)((char *)operation - offsetof(struct request, operation));
    answer_update(request);
    request_free(request);
}

static bool attempt_update(struct parked *parked)
{
    struct request *request = (struct request *)parked;
    if (is_ahead(request))
        return false;
    enum operation_outcome outcome = operation_execute(request->partition, &request->operation);
    if (outcome == OPERATION_PARK)
        return false;
    if (outcome == OPERATION_EXECUTED)
        answer_pending(&request->operation);
    return true;
}

static void prepare_operation(struct request *request)
{
    const struct wire_update *wire = &request->wire.update;
    struct operation *operation = &request->operation;
    operation->kind = wire->kind;
    operation->sync = wire->sync;
    operation->key_length = wire->key_length;
    operation->value_length = wire->kind == OPERATION_FETCH_ADD ? sizeof(int64_t) : wire->value_length;
    operation->key = request->key;
    operation->value = request->value;
    operation->hash = request->hash;
    operation->expected = wire->argument;
    operation->delta = (int64_t)wire->argument;
    operation->entry_at = wire->entry_at;
    operation->repeated = request->header.flags & WIRE_REPEATED;
    operation->origin = (struct copy_origin){.client = (uint32_t)request->peer + 1, .number = wire->number};
    operation->transaction = 0;
    operation->answer = (struct operation_answer){0};
    operation->failures_seen = PROVISION_NEVER_FAILED;
    operation->finished = answer_pending;
}

static int handle_update(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct wire_update wire = {0};
    size_t wire_size = wire_update_size(header->flags);
    if (length < wire_size)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, wire_size);
    if (!update_valid(&wire, length - wire_size))
        return BELAY_ERR_PROTOCOL;
    const unsigned char *key = (const unsigned char *)body + wire_size;
    uint64_t hash = key_hash(key, wire.key_length);
    struct partition *partition = find_primary(node, header->cache, hash);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (header->call == 0)
        async_received(node, peer, wire.async_number);
    if (!request) {
        int status = partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE;
        if (header->call == 0)
            async_applied(node, peer, wire.async_number, status, 0, false);
        refuse(node, peer, header, status);
        return BELAY_OK;
    }
    request->parked.attempt = attempt_update;
    request->wire.update = wire;
    request->key = key;
    request->key_length = wire.key_length;
    request->value = key + wire.key_length;
    request->hash = hash;
    prepare_operation(request);
    begin(request, carries_value(&wire) ? wire.value_length : 0);
    return BELAY_OK;
}

/* ---- Reads that could not be one-sided ---- */

/* @return the status; *length of the answer. */
static int read_value(struct request *request, const struct copy_found *found, struct wire_value *value,
                      unsigned char *bytes, size_t *length)
{
    const struct wire_get *get = &request->wire.get;
    *value = (struct wire_value){.version = found->version, .value_length = found->value_length};
    size_t room = get->wanted < WIRE_VALUE_ROOM ? get->wanted : WIRE_VALUE_ROOM;
    size_t left = get->from < found->value_length ? found->value_length - get->from : 0;
    if (get->version && get->version != found->version)
        return BELAY_ERR_CONFLICT;
    if (left > room)
        left = room;
    if (left)
        copy_value(request->partition->copy, found, get->from, bytes, left);
    *length = sizeof *value + left;
    return BELAY_OK;
}

/* With the lock held nobody changes the copy, so a read cannot be torn. An update of the key that is not on all copies
 * yet must not be shown: the answer waits for it. */
static bool attempt_get(struct parked *parked)
{
    struct request *request = (struct request *)parked;
    struct partition *partition = request->partition;
    struct {
        struct wire_value value;
        unsigned char bytes[WIRE_VALUE_ROOM];
    } answer;
    struct copy_found found = {0};
    size_t length = 0;
    if (is_ahead(request))
        return false;
    int status = not_here(partition);
    if (status != BELAY_OK) {
        refuse(partition->node, request->peer, &request->header, status);
        request_free(request);
        return true;
    }
    if (!partition->ready) {
        partition_activate(partition);
        return false;
    }
    status = copy_find(partition->copy, request->hash, request->key, request->key_length, &found);
    if (found.pending)
        return false;
    if (status == BELAY_OK)
        status = read_value(request, &found, &answer.value, answer.bytes, &length);
    node_reply(partition->node, request->peer, request->header.call, status, &answer, length);
    request_free(request);
    return true;
}

static int handle_get(belay_node *node, int peer, const struct message_header *header, const void *body,
                      size_t length)
{
    struct wire_get wire;
    if (length < sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    if (wire.key_length == 0 || wire.key_length > BELAY_KEY_MAX || length != sizeof wire + wire.key_length)
        return BELAY_ERR_PROTOCOL;
    const unsigned char *key = (const unsigned char *)body + sizeof wire;
    uint64_t hash = key_hash(key, wire.key_length);
    struct partition *partition = find_primary(node, header->cache, hash);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (!request) {
        refuse(node, peer, header, partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE);
        return BELAY_OK;
    }
    request->parked.attempt = attempt_get;
    request->wire.get = wire;
    request->key = key;
    request->key_length = wire.key_length;
    request->hash = hash;
    begin(request, 0);
    return BELAY_OK;
}

/* ---- Large values ---- */

static void list_segments(const struct partition *partition, struct wire_place *place)
{
    for (uint32_t i = 0; i < place->count; ++i)
        place->physical[i] = copy_physical(partition->copy, place->first + i);
}

static void answer_place(struct partition *partition, int peer, uint32_t call, struct wire_place *place)
{
    if (place->count > WIRE_PLACE_SEGMENTS)
        place->count = WIRE_PLACE_SEGMENTS;
    list_segments(partition, place);
    node_reply(partition->node, peer, call, BELAY_OK, place,
               offsetof(struct wire_place, physical) + place->count * sizeof place->physical[0]);
}

static bool attempt_reserve(struct parked *parked)
{
    struct request *request = (struct request *)parked;
    struct partition *partition = request->partition;
    const struct wire_reserve *wire = &request->wire.reserve;
    struct wire_place place;
    if (is_ahead(request))
        return false;
    if (!view_alive(partition->node->view, request->peer)) { /* it waited here longer than its sender lived */
        request_free(request);
        return true;
    }
    int result = operation_reserve(partition, request->peer, request->key, request->key_length,
                                   wire->value_length, &request->failures_seen, &place.entry_at,
                                   &place.value_at);
    if (result == FABRIC_AGAIN)
        return false;
    if (result == BELAY_OK) {
        uint64_t segment_size = arena_segment_size(partition->node->arena);
        place.first = (uint32_t)(place.value_at / segment_size);
        place.count = (uint32_t)(wire->value_length / (segment_size - sizeof(struct segment_header)) + 2);
        answer_place(partition, request->peer, request->header.call, &place);
    } else {
        refuse(partition->node, request->peer, &request->header, result);
    }
    request_free(request);
    return true;
}

static int handle_reserve(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    struct wire_reserve wire;
    if (length < sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    if (wire.key_length == 0 || wire.key_length > BELAY_KEY_MAX || length != sizeof wire + wire.key_length ||
        wire.value_length > BELAY_VALUE_MAX)
        return BELAY_ERR_PROTOCOL;
    const unsigned char *key = (const unsigned char *)body + sizeof wire;
    uint64_t hash = key_hash(key, wire.key_length);
    struct partition *partition = find_primary(node, header->cache, hash);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (!request) {
        refuse(node, peer, header, partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE);
        return BELAY_OK;
    }
    request->parked.attempt = attempt_reserve;
    request->wire.reserve = wire;
    request->key = key;
    request->key_length = wire.key_length;
    request->hash = hash;
    begin(request, 0);
    return BELAY_OK;
}

/* A partition by number. */
static struct partition *own_partition(belay_node *node, uint16_t number, uint64_t index)
{
    belay_cache *cache = cache_find(node, number);
    if (!cache || index >= cache->partition_count)
        return NULL;
    return &cache->partitions[index];
}

static int handle_map(belay_node *node, int peer, const struct message_header *header, const void *body,
                      size_t length)
{
    struct wire_map wire;
    if (length != sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    struct partition *partition = own_partition(node, header->cache, wire.partition);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    struct wire_place place = {.first = wire.first, .count = wire.count};
    spin_acquire(&partition->lock);
    if (partition->ready)
        answer_place(partition, peer, header->call, &place);
    else
        refuse(node, peer, header, OPERATION_ELSEWHERE);
    spin_release(&partition->lock);
    return BELAY_OK;
}

static int handle_abandon(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    (void)peer;
    struct wire_abandon wire;
    if (length != sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    struct partition *partition = own_partition(node, header->cache, wire.partition);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    spin_acquire(&partition->lock);
    operation_abandon(partition, wire.entry_at);
    spin_release(&partition->lock);
    return BELAY_OK;
}

/* ---- Whole partitions ---- */

static bool attempt_clear(struct parked *parked)
{
    struct request *request = (struct request *)parked;
    if (is_ahead(request))
        return false;
    int result = operation_clear(request->partition, &request->failures_seen);
    if (result == FABRIC_AGAIN)
        return false;
    refuse(request->partition->node, request->peer, &request->header, result);
    request_free(request);
    return true;
}

static int handle_clear(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    uint32_t number;
    if (length != sizeof number)
        return BELAY_ERR_PROTOCOL;
    memcpy(&number, body, sizeof number);
    struct partition *partition = own_partition(node, header->cache, number);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (!request)
        return BELAY_ERR_PROTOCOL;
    request->parked.attempt = attempt_clear;
    request->key = "";
    request->key_length = 0;
    begin(request, 0);
    return BELAY_OK;
}

static int handle_keys(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct wire_keys wire;
    struct wire_keys_answer answer;
    if (length != sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    struct partition *partition = own_partition(node, header->cache, wire.partition);
    const struct arena_view *view = cache_arena_of(node, node->id);
    if (!partition || !view || !key_cursor_valid(&wire.cursor))
        return BELAY_ERR_PROTOCOL;
    const struct copy_descriptor *descriptor = (const struct copy_descriptor *)(view->base +
                                                                                partition->descriptor_offset);
    answer.cursor = wire.cursor;
    spin_acquire(&partition->lock);
    int status = not_ready(partition);
    long used = status == BELAY_OK
                    ? copy_list_keys(view, descriptor, &answer.cursor, answer.keys, sizeof answer.keys)
                    : 0;
    spin_release(&partition->lock);
    if (used < 0)
        status = (int)used;
    node_reply(node, peer, header->call, status, &answer,
               status == BELAY_OK ? offsetof(struct wire_keys_answer, keys) + (size_t)used : 0);
    return BELAY_OK;
}

static int handle_size(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    uint32_t number;
    uint64_t entries = 0;
    if (length != sizeof number)
        return BELAY_ERR_PROTOCOL;
    memcpy(&number, body, sizeof number);
    struct partition *partition = own_partition(node, header->cache, number);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    spin_acquire(&partition->lock);
    int status = not_ready(partition);
    if (status == BELAY_OK)
        entries = transactions_visible(partition);
    spin_release(&partition->lock);
    node_reply(node, peer, header->call, status, &entries, status == BELAY_OK ? sizeof entries : 0);
    return BELAY_OK;
}

static int handle_sizes(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    belay_cache *cache = cache_find(node, header->cache);
    uint64_t sizes[WHOLE_SIZES_PER_MESSAGE];
    uint32_t first, count = 0;
    if (length != sizeof first)
        return BELAY_ERR_PROTOCOL;
    memcpy(&first, body, sizeof first);
    for (; cache && first + count < cache->partition_count && count < WHOLE_SIZES_PER_MESSAGE; ++count) {
        struct partition *partition = &cache->partitions[first + count];
        spin_acquire(&partition->lock);
        sizes[count] = partition->ready ? transactions_visible(partition) : WHOLE_SIZE_UNKNOWN;
        spin_release(&partition->lock);
    }
    node_reply(node, peer, header->call, BELAY_OK, sizes, count * sizeof sizes[0]);
    return BELAY_OK;
}

void serve_register(belay_node *node)
{
    node_handle(node, MESSAGE_UPDATE, handle_update);
    node_handle(node, MESSAGE_GET, handle_get);
    node_handle(node, MESSAGE_RESERVE, handle_reserve);
    node_handle(node, MESSAGE_MAP, handle_map);
    node_handle(node, MESSAGE_ABANDON, handle_abandon);
    node_handle(node, MESSAGE_CLEAR, handle_clear);
    node_handle(node, MESSAGE_SIZE, handle_size);
    node_handle(node, MESSAGE_SIZES, handle_sizes);
    node_handle(node, MESSAGE_KEYS, handle_keys);
}
