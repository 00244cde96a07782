/* SPDX-License-Identifier: BSD-3-Clause */
/* Places for large values, which their senders write there one-sidedly. */
#include "cache/serve.h"

#include "cache/request.h"

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
    if (request_is_ahead(request))
        return false;
    if (!view_alive(partition->node->view, request->peer)) { /* it waited here longer than its sender lived */
        request_free(request);
        return true;
    }
    int result = operation_reserve(partition, request->peer, request->key, request->key_length,
                                   wire->value_length, request->header.flags & WIRE_TIMED,
                                   &request->failures_seen, &place.entry_at, &place.value_at);
    if (result == FABRIC_AGAIN)
        return false;
    if (result == BELAY_OK) {
        uint64_t segment_size = arena_segment_size(partition->node->arena);
        place.first = (uint32_t)(place.value_at / segment_size);
        place.count = (uint32_t)(wire->value_length / (segment_size - sizeof(struct segment_header)) + 2);
        answer_place(partition, request->peer, request->header.call, &place);
    } else {
        request_refuse(partition->node, request->peer, &request->header, result);
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
    struct request *request = request_of_key(node, peer, header, (const unsigned char *)body + sizeof wire,
                                             wire.key_length);
    if (request) {
        request->parked.attempt = attempt_reserve;
        request->wire.reserve = wire;
        request_begin(request, 0);
    }
    return BELAY_OK;
}

static int handle_map(belay_node *node, int peer, const struct message_header *header, const void *body,
                      size_t length)
{
    struct wire_map wire;
    if (length != sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    struct partition *partition = partition_by_number(node, header->cache, wire.partition);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    struct wire_place place = {.first = wire.first, .count = wire.count};
    spin_acquire(&partition->lock);
    if (partition->ready)
        answer_place(partition, peer, header->call, &place);
    else
        request_refuse(node, peer, header, OPERATION_ELSEWHERE);
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
    struct partition *partition = partition_by_number(node, header->cache, wire.partition);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    spin_acquire(&partition->lock);
    operation_abandon(partition, wire.entry_at);
    spin_release(&partition->lock);
    return BELAY_OK;
}

void serve_large_register(belay_node *node)
{
    node_handle(node, MESSAGE_RESERVE, handle_reserve);
    node_handle(node, MESSAGE_MAP, handle_map);
    node_handle(node, MESSAGE_ABANDON, handle_abandon);
}
