/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/request.h"

#include "base/log.h"
#include "cache/async.h"
#include "cache/serve.h"

#include <stdlib.h>
#include <string.h>

enum { REQUESTS_KEPT = 64 }; /* unused ones */

struct request *request_new(struct partition *partition, int peer, const struct message_header *header)
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

void request_free(struct request *request)
{
    free(request->bytes);
    if (request->header.type == MESSAGE_INVOKE)
        free(request->invoked.result);
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

struct partition *partition_of_key(belay_node *node, uint16_t number, uint64_t hash)
{
    belay_cache *cache = cache_find(node, number);
    return cache ? &cache->partitions[hash_partition(hash, cache->partition_count)] : NULL;
}

struct request *request_of_key(belay_node *node, int peer, const struct message_header *header,
                               const void *key, size_t key_length)
{
    uint64_t hash = key_hash(key, key_length);
    struct partition *partition = partition_of_key(node, header->cache, hash);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (!request) {
        request_refuse(node, peer, header, partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE);
        return NULL;
    }
    request->key = key;
    request->key_length = key_length;
    request->hash = hash;
    return request;
}

int partition_not_here(const struct partition *partition)
{
    if (partition->lost)
        return BELAY_ERR_PARTITION_LOST;
    return partition_is_primary(partition) ? BELAY_OK : OPERATION_ELSEWHERE;
}

bool request_is_ahead(const struct request *request)
{
    return request->header.view > request->partition->node->view->number;
}

int partition_not_ready(const struct partition *partition)
{
    int status = partition_not_here(partition);
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

void request_refuse(belay_node *node, int peer, const struct message_header *header, int status)
{
    node_reply(node, peer, header->call, status, NULL, 0);
}

void request_begin(struct request *request, size_t value_length)
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
            request_refuse(node, peer, &header,
                           log_error(BELAY_ERR_NO_MEMORY, "no memory to park a request"));
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

struct partition *partition_by_number(belay_node *node, uint16_t number, uint64_t index)
{
    belay_cache *cache = cache_find(node, number);
    if (!cache || index >= cache->partition_count)
        return NULL;
    return &cache->partitions[index];
}
