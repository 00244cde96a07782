/* SPDX-License-Identifier: BSD-3-Clause */
/* The caller's side of belay_invoke(). */
#include "base/log.h"
#include "cache/client.h"

#include <string.h>

void client_invocation(struct belay_request *request, const void *key, size_t key_length,
                       const char *function, const struct iovec *argument, const struct iovec *result)
{
    client_operation(request, OPERATION_INVOKE, key, key_length, argument->iov_base, 0);
    size_t capacity = result->iov_len < BELAY_INVOKE_RESULT_MAX ? result->iov_len : BELAY_INVOKE_RESULT_MAX;
    request->invoked = (struct invoked){
        .argument_length = argument->iov_len, .result = result->iov_base, .result_capacity = capacity};
    memcpy(request->invoked.name, function, strlen(function));
    request->operation.invoked = &request->invoked;
}

int client_invoked(const struct belay_request *request, int status, size_t *result_length)
{
    if (result_length && (status == BELAY_OK || status == BELAY_ERR_TRUNCATED))
        *result_length = request->invoked.result_length;
    if (status == BELAY_ERR_NO_FUNCTION)
        log_quiet(status, "belay_invoke: no function %s is registered at node %d, the key's primary",
                  request->invoked.name, request->primary);
    return status;
}

static void invoke_answered(struct call *call, int status, const void *body, size_t length)
{
    struct belay_request *request = (struct belay_request *)((char *)call -
                                                             offsetof(struct belay_request, call));
    struct invoked *invoked = &request->invoked;
    struct wire_invoked wire = {0};
    if (length >= sizeof wire)
        memcpy(&wire, body, sizeof wire);
    size_t sent = length >= sizeof wire ? length - sizeof wire : 0;
    bool whole = sent == wire.result_length && sent <= invoked->result_capacity;
    if (status == BELAY_OK && !whole)
        status = log_error(BELAY_ERR_PROTOCOL, "node %d gives a result of %zu bytes", request->primary, sent);
    if (status == BELAY_OK && sent > 0)
        memcpy(invoked->result, (const unsigned char *)body + sizeof wire, sent);
    invoked->result_length = wire.result_length;
    client_answered(call, status, body, length);
}

int client_send_invoke(struct belay_request *request)
{
    const struct operation *operation = &request->operation;
    const struct invoked *invoked = operation->invoked;
    belay_cache *cache = request->cache;
    size_t name_length = strlen(invoked->name);
    struct {
        struct wire_invoke wire;
        char name[BELAY_FUNCTION_NAME_MAX];
    } head = {.wire = {.sync = operation->sync,
                       .name_length = (uint8_t)name_length,
                       .key_length = operation->key_length,
                       .argument_length = (uint32_t)invoked->argument_length,
                       .result_capacity = (uint32_t)invoked->result_capacity,
                       .number = operation->origin.number,
                       .time_to_live_ms = operation->time_to_live_ms}};
    struct message_header header = {.type = MESSAGE_INVOKE,
                                    .flags = operation->repeated ? WIRE_REPEATED : 0,
                                    .cache = cache->number,
                                    .view = cache->node->view->number};
    struct iovec parts[3] = {{&head, sizeof head.wire + name_length},
                             part_of(operation->key, operation->key_length),
                             part_of(operation->value, invoked->argument_length)};
    memcpy(head.name, invoked->name, name_length);
    request->call = (struct call){.answered = invoke_answered};
    atomic_store_explicit(&request->answered, false, memory_order_relaxed);
    request->state = REQUEST_CALL;
    return node_call(cache->node, request->primary, header, parts, 3, &request->call, request->deadline);
}
