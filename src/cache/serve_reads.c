/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads that could not be one-sided. */
#include "cache/serve.h"

#include "cache/request.h"

/* @return the status; *length of the answer. */
static int read_value(struct request *request, const struct copy_found *found, struct wire_value *value,
                      unsigned char *bytes, size_t *length)
{
    const struct wire_get *get = &request->wire.get;
    *value = (struct wire_value){
        .version = found->version, .value_length = found->value_length, .ends_at = found->ends_at};
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
    if (request_is_ahead(request))
        return false;
    int status = partition_not_here(partition);
    if (status != BELAY_OK) {
        request_refuse(partition->node, request->peer, &request->header, status);
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
    struct request *request = request_of_key(node, peer, header, (const unsigned char *)body + sizeof wire,
                                             wire.key_length);
    if (request) {
        request->parked.attempt = attempt_get;
        request->wire.get = wire;
        request_begin(request, 0);
    }
    return BELAY_OK;
}

void serve_reads_register(belay_node *node)
{
    node_handle(node, MESSAGE_GET, handle_get);
}
