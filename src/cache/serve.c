/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file serve.c
 * Requests from other nodes, handled by whoever makes progress at the primary (so under the state lock): updates here, what
 * else there is in the files beside.
 */
#include "cache/serve.h"

#include "base/fault.h"
#include "cache/async.h"
#include "cache/request.h"

#include <string.h>

static bool carries_value(const struct wire_update *wire)
{
    return !wire->entry_at && !operation_removes(wire->kind) && wire->kind != OPERATION_FETCH_ADD;
}

static bool update_valid(const struct wire_update *wire, size_t length)
{
    return wire->kind < OPERATION_UPDATES && wire->sync >= BELAY_FULL_SYNC &&
           wire->sync <= BELAY_FULL_ASYNC && wire->key_length > 0 && wire->key_length <= BELAY_KEY_MAX &&
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
    node_answer(node, request->peer, &header, &part, 1);
    FAULT_POINT("reply-after");
}

static void answer_pending(struct operation *operation)
{
    struct request *request = (struct request *)((char *)operation - offsetof(struct request, operation));
    answer_update(request);
    request_free(request);
}

bool serve_attempt(struct parked *parked)
{
    struct request *request = (struct request *)parked;
    if (request_is_ahead(request))
        return false;
    enum operation_outcome outcome = operation_execute(request->partition, &request->operation);
    if (outcome == OPERATION_PARK)
        return false;
    if (outcome == OPERATION_EXECUTED)
        request->operation.finished(&request->operation);
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
    operation->time_to_live_ms = wire->time_to_live_ms;
    operation->repeated = request->header.flags & WIRE_REPEATED;
    operation->origin = (struct copy_origin){.client = (uint32_t)request->peer + 1, .number = wire->number};
    operation->transaction = 0;
    operation->decided = false;
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
    struct partition *partition = partition_of_key(node, header->cache, hash);
    struct request *request = partition ? request_new(partition, peer, header) : NULL;
    if (header->call == 0)
        async_received(node, peer, wire.async_number);
    if (!request) {
        int status = partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE;
        if (header->call == 0)
            async_applied(node, peer, wire.async_number, status, 0, false);
        request_refuse(node, peer, header, status);
        return BELAY_OK;
    }
    request->parked.attempt = serve_attempt;
    request->wire.update = wire;
    request->key = key;
    request->key_length = wire.key_length;
    request->value = key + wire.key_length;
    request->hash = hash;
    prepare_operation(request);
    request_begin(request, carries_value(&wire) ? wire.value_length : 0);
    return BELAY_OK;
}

void serve_register(belay_node *node)
{
    node_handle(node, MESSAGE_UPDATE, handle_update);
    serve_invoke_register(node);
    serve_reads_register(node);
    serve_large_register(node);
    serve_whole_register(node);
}
