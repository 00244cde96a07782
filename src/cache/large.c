/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/large.h"

#include "base/log.h"
#include "cache/staging.h"
#include "cache/wire.h"

#include <string.h>

/* ---- The caller is the primary ---- */

int large_place_here(struct partition *partition, struct operation *operation, uint64_t deadline)
{
    struct node_wait wait;
    uint64_t value_at;
    bool in_time = true;
    int result = FABRIC_AGAIN;
    node_wait_begin(&wait, partition->node, deadline);
    while (result == FABRIC_AGAIN && in_time) {
        spin_acquire(&partition->lock);
        result = operation_reserve(partition, partition->node->id, operation->key, operation->key_length,
                                   operation->value_length, operation->time_to_live_ms != 0,
                                   &operation->failures_seen, &operation->entry_at, &value_at);
        spin_release(&partition->lock);
        if (result == FABRIC_AGAIN)
            in_time = node_wait_more(&wait);
    }
    node_wait_end(&wait);
    if (result == FABRIC_AGAIN)
        return log_quiet(BELAY_ERR_TIMEOUT, "partition %u: no room within the timeout", partition->number);
    if (result == BELAY_OK)
        copy_fill(partition->copy, value_at, 0, operation->value, operation->value_length);
    return result;
}

/* ---- The primary is another node ---- */

enum { STAGES = 4 };

/* Writes on their way to a place at the primary. */
struct placing {
    belay_cache *cache;
    uint32_t partition;
    int primary;
    uint64_t deadline;
    struct wire_place place; /* the stretch of segments known now */
    bool mapped;             /* the primary's memory: no staging needed */
    uint32_t stages[STAGES];
    fabric_ticket tickets[STAGES];
    int stage;
};

static int ask_place(struct placing *placing, struct message_header header, const struct iovec *parts,
                     int count)
{
    struct waited_call call;
    waited_call_init(&call, placing->primary, &placing->place, sizeof placing->place);
    int result = node_call_wait(placing->cache->node, placing->primary, header, parts, count, &call,
                                placing->deadline, "put of a large value");
    if (result != BELAY_OK)
        return result;
    size_t listed = offsetof(struct wire_place, physical);
    if (call.length < listed || placing->place.count > WIRE_PLACE_SEGMENTS ||
        call.length != listed + placing->place.count * sizeof(uint32_t))
        return log_error(BELAY_ERR_PROTOCOL, "node %d gave a malformed place for a large value",
                         placing->primary);
    return BELAY_OK;
}

static int reserve(struct placing *placing, const struct operation *operation)
{
    struct wire_reserve wire = {.key_length = operation->key_length, .value_length = operation->value_length};
    struct message_header header = {.type = MESSAGE_RESERVE,
                                    .flags = operation->time_to_live_ms ? WIRE_TIMED : 0,
                                    .cache = placing->cache->number};
    struct iovec parts[2] = {{&wire, sizeof wire}, part_of(operation->key, operation->key_length)};
    return ask_place(placing, header, parts, 2);
}

/* Physical segment of a logical one at the primary. */
static int locate(struct placing *placing, uint32_t logical, uint32_t *physical)
{
    if (logical - placing->place.first >= placing->place.count) {
        struct wire_map wire = {
            .partition = placing->partition, .first = logical, .count = WIRE_PLACE_SEGMENTS};
        struct message_header header = {.type = MESSAGE_MAP, .cache = placing->cache->number};
        struct iovec part = {&wire, sizeof wire};
        int result = ask_place(placing, header, &part, 1);
        if (result != BELAY_OK)
            return result;
        if (logical - placing->place.first >= placing->place.count)
            return log_error(BELAY_ERR_PROTOCOL, "node %d does not know segment %u", placing->primary,
                             logical);
    }
    *physical = placing->place.physical[logical - placing->place.first];
    return BELAY_OK;
}

static int wait_for_stage(struct placing *placing)
{
    struct node_wait wait;
    fabric *f = placing->cache->node->fabric;
    int result = BELAY_OK;
    node_wait_begin(&wait, placing->cache->node, 0); /* a write ends, or its peer is lost */
    while (!fabric_done(f, placing->primary, placing->tickets[placing->stage]) && result == BELAY_OK) {
        node_wait_more(&wait);
        if (fabric_peer_state(f, placing->primary) == FABRIC_LOST)
            result = log_quiet(BELAY_ERR_NODE_FAILED, "put of a large value: node %d failed",
                               placing->primary);
    }
    node_wait_end(&wait);
    return result;
}

static int write_piece(struct placing *placing, uint64_t offset, const unsigned char *bytes, size_t length)
{
    belay_node *node = placing->cache->node;
    fabric_ticket ticket;
    if (placing->mapped)
        return fabric_write(node->fabric, placing->primary, offset, bytes, length, 0, &ticket);
    int result = wait_for_stage(placing);
    if (result != BELAY_OK)
        return result;
    unsigned char *stage = arena_segment(node->arena, placing->stages[placing->stage]);
    memcpy(stage, bytes, length);
    result = fabric_write(node->fabric, placing->primary, offset, stage, length, FABRIC_SIGNALED,
                          &placing->tickets[placing->stage]);
    placing->stage = (placing->stage + 1) % STAGES;
    return result;
}

static int write_value(struct placing *placing, const unsigned char *value, size_t length)
{
    size_t segment_size = arena_segment_size(placing->cache->node->arena);
    const struct arena_header *layout = arena_header_of(placing->cache->node->arena); /* equal on all nodes */
    uint64_t address = placing->place.value_at;
    while (length > 0) {
        uint32_t physical = 0;
        int result = locate(placing, (uint32_t)(address / segment_size), &physical);
        if (result != BELAY_OK)
            return result;
        size_t piece = segment_size - address % segment_size;
        if (piece > length)
            piece = length;
        result = write_piece(placing, arena_offset_in(layout, physical) + address % segment_size, value,
                             piece);
        if (result != BELAY_OK)
            return result;
        value += piece;
        length -= piece;
        address += piece;
        if (address % segment_size == 0)
            address += sizeof(struct segment_header);
    }
    return BELAY_OK;
}

static int take_stages(struct placing *placing)
{
    for (int i = 0; i < STAGES; ++i) {
        placing->stages[i] = placing->mapped ? ARENA_NO_SEGMENT : staging_take(placing->cache->node);
        if (!placing->mapped && placing->stages[i] == ARENA_NO_SEGMENT)
            return log_quiet(BELAY_ERR_NO_SPACE,
                             "put of a large value: no free segment to stage it (BELAY_ARENA_SIZE)");
    }
    return BELAY_OK;
}

static void give_stages(struct placing *placing)
{
    for (placing->stage = 0; placing->stage < STAGES; ++placing->stage) {
        if (placing->stages[placing->stage] == ARENA_NO_SEGMENT)
            continue;
        wait_for_stage(placing);
        staging_give(placing->cache->node, placing->stages[placing->stage]);
    }
}

int large_place_remote(belay_cache *cache, uint32_t partition, int primary, struct operation *operation,
                       uint64_t deadline)
{
    struct placing placing = {
        .cache = cache, .partition = partition, .primary = primary, .deadline = deadline};
    placing.mapped = fabric_map(cache->node->fabric, primary) != NULL;
    for (int i = 0; i < STAGES; ++i)
        placing.stages[i] = ARENA_NO_SEGMENT;
    int result = take_stages(&placing);
    if (result == BELAY_OK)
        result = reserve(&placing, operation);
    if (result != BELAY_OK)
        goto give_stages;
    uint64_t entry_at = placing.place.entry_at;
    result = write_value(&placing, operation->value, operation->value_length);
    if (result == BELAY_OK)
        operation->entry_at = entry_at;
    else
        large_abandon_remote(cache, partition, primary, entry_at);
give_stages:
    give_stages(&placing);
    return result;
}

void large_abandon_remote(belay_cache *cache, uint32_t partition, int primary, uint64_t entry_at)
{
    struct message_header header = {
        .type = MESSAGE_ABANDON, .cache = cache->number, .view = cache->node->view->number};
    struct wire_abandon wire = {.partition = partition, .entry_at = entry_at};
    struct iovec part = {&wire, sizeof wire};
    node_send(cache->node, primary, &header, &part, 1, FABRIC_QUEUE);
}
