/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions to be applied here, on behalf of other nodes. */
#include "cache/serve.h"

#include "base/fault.h"
#include "base/log.h"
#include "cache/request.h"

#include <stdlib.h>
#include <string.h>

static bool invoke_valid(const struct wire_invoke *wire, size_t length)
{
    return wire->sync >= BELAY_FULL_SYNC && wire->sync <= BELAY_PRIMARY_SYNC && wire->key_length > 0 &&
           wire->key_length <= BELAY_KEY_MAX && wire->name_length > 0 &&
           wire->name_length <= BELAY_FUNCTION_NAME_MAX &&
           wire->argument_length <= BELAY_INVOKE_ARGUMENT_MAX &&
           wire->result_capacity <= BELAY_INVOKE_RESULT_MAX &&
           length == (size_t)wire->key_length + wire->name_length + wire->argument_length;
}

static void answer(struct operation *operation)
{
    struct request *request = (struct request *)((char *)operation - offsetof(struct request, operation));
    const struct invoked *invoked = operation->invoked;
    bool whole = operation->status == BELAY_OK;
    struct wire_invoked wire = {.answer = operation->answer,
                                .result_length = (uint32_t)invoked->result_length};
    struct message_header header = {.type = MESSAGE_REPLY,
                                    .call = request->header.call,
                                    .status = operation->status,
                                    .view = request->partition->node->view->number};
    struct iovec parts[] = {part_of(&wire, sizeof wire),
                            part_of(invoked->result, whole ? invoked->result_length : 0)};
    FAULT_POINT("reply-before-result");
    node_answer(request->partition->node, request->peer, &header, parts, 2);
    request_free(request);
}

static void prepare(struct request *request, const struct wire_invoke *wire)
{
    struct operation *operation = &request->operation;
    *operation = (struct operation){.kind = OPERATION_INVOKE,
                                    .sync = wire->sync,
                                    .key_length = wire->key_length,
                                    .key = request->key,
                                    .value = request->value,
                                    .hash = request->hash,
                                    .time_to_live_ms = wire->time_to_live_ms,
                                    .repeated = request->header.flags & WIRE_REPEATED,
                                    .origin = {.client = (uint32_t)request->peer + 1, .number = wire->number},
                                    .failures_seen = PROVISION_NEVER_FAILED,
                                    .invoked = &request->invoked,
                                    .finished = answer};
}

/* @return NULL: no memory, or no such cache; *status says which. */
static struct request *new_request(belay_node *node, int peer, const struct message_header *header,
                                   const struct wire_invoke *wire, uint64_t hash, int *status)
{
    struct partition *partition = partition_of_key(node, header->cache, hash);
    void *result = wire->result_capacity > 0 ? malloc(wire->result_capacity) : NULL;
    struct request *request = NULL;
    *status = partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE;
    if (partition && (result || wire->result_capacity == 0))
        request = request_new(partition, peer, header);
    if (request)
        request->invoked = (struct invoked){.argument_length = wire->argument_length,
                                            .result = result,
                                            .result_capacity = wire->result_capacity};
    else
        free(result);
    return request;
}

static int handle_invoke(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct wire_invoke wire;
    int status;
    if (length < sizeof wire || header->call == 0)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    if (!invoke_valid(&wire, length - sizeof wire))
        return BELAY_ERR_PROTOCOL;
    const char *name = (const char *)body + sizeof wire;
    const char *key = name + wire.name_length;
    uint64_t hash = key_hash(key, wire.key_length);
    struct request *request = new_request(node, peer, header, &wire, hash, &status);
    if (!request) {
        request_refuse(node, peer, header, status);
        return BELAY_OK;
    }
    request->invoked.function = function_find(node, name, wire.name_length);
    request->parked.attempt = serve_attempt;
    request->key = key;
    request->key_length = wire.key_length;
    request->value = key + wire.key_length;
    request->hash = hash;
    prepare(request, &wire);
    request_begin(request, wire.argument_length);
    return BELAY_OK;
}

void serve_invoke_register(belay_node *node)
{
    node_handle(node, MESSAGE_INVOKE, handle_invoke);
}
