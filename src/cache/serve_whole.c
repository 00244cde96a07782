/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions and commands about whole partitions. */
#include "cache/serve.h"

#include "cache/request.h"
#include "cache/transaction_locks.h"
#include "cache/whole.h"

#include <string.h>

static bool attempt_clear(struct parked *parked)
{
    struct request *request = (struct request *)parked;
    if (request_is_ahead(request))
        return false;
    int result = operation_clear(request->partition, &request->failures_seen);
    if (result == FABRIC_AGAIN)
        return false;
    request_refuse(request->partition->node, request->peer, &request->header, result);
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
    struct partition *partition = partition_by_number(node, header->cache, number);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (!request)
        return BELAY_ERR_PROTOCOL;
    request->parked.attempt = attempt_clear;
    request->key = "";
    request->key_length = 0;
    request_begin(request, 0);
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
    struct partition *partition = partition_by_number(node, header->cache, wire.partition);
    const struct arena_view *view = cache_arena_of(node, node->id);
    if (!partition || !view || !key_cursor_valid(&wire.cursor))
        return BELAY_ERR_PROTOCOL;
    const struct copy_descriptor *descriptor = (const struct copy_descriptor *)(view->base +
                                                                                partition->descriptor_offset);
    answer.cursor = wire.cursor;
    spin_acquire(&partition->lock);
    int status = partition_not_ready(partition);
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
    struct partition *partition = partition_by_number(node, header->cache, number);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    spin_acquire(&partition->lock);
    int status = partition_not_ready(partition);
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

void serve_whole_register(belay_node *node)
{
    node_handle(node, MESSAGE_CLEAR, handle_clear);
    node_handle(node, MESSAGE_SIZE, handle_size);
    node_handle(node, MESSAGE_SIZES, handle_sizes);
    node_handle(node, MESSAGE_KEYS, handle_keys);
}
