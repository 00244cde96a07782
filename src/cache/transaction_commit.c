/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction_commit.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cache/async.h"
#include "cache/operation.h"
#include "cache/route.h"
#include "cache/transaction.h"
#include "cache/transaction_wire.h"

#include <stdlib.h>
#include <string.h>

enum { PAUSE_NS = 50 * 1000 };

/* ---- Participants ---- */

void commit_init(struct commit *commit, belay_node *node, uint64_t id)
{
    *commit = (struct commit){.node = node, .id = id, .sync = BELAY_FULL_ASYNC};
}

static void free_parts(struct commit *commit)
{
    for (uint32_t i = 0; i < commit->count; ++i) {
        free(commit->parts[i].body.bytes);
        free(commit->parts[i].record);
    }
    free(commit->parts);
    commit->parts = NULL;
    commit->count = 0;
}

void commit_free(struct commit *commit)
{
    free_parts(commit);
    free(commit);
}

struct commit_part *commit_part_find(const struct commit *commit, const belay_cache *cache,
                                     uint32_t partition)
{
    for (uint32_t i = commit->count; i-- > 0;) /* keys of one partition often come one after the other */
        if (commit->parts[i].partition == partition && commit->parts[i].cache == cache)
            return &commit->parts[i];
    return NULL;
}

struct commit_part *commit_part_for(struct commit *commit, belay_cache *cache, uint32_t partition)
{
    struct commit_part *part = commit_part_find(commit, cache, partition);
    if (part)
        return part;
    if (commit->count == commit->capacity) {
        uint32_t capacity = commit->capacity ? 2 * commit->capacity : 4;
        struct commit_part *grown = realloc(commit->parts, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        commit->parts = grown;
        commit->capacity = capacity;
    }
    part = &commit->parts[commit->count++];
    *part = (struct commit_part){.cache = cache, .partition = partition};
    if (cache->sync < commit->sync)
        commit->sync = cache->sync; /* the strictest of all */
    return part;
}

static int seal_part(struct commit *commit, struct commit_part *part)
{
    struct record_builder builder = {0};
    struct record_header header = {.id = commit->id,
                                   .participants = commit->count,
                                   .actions = part->actions,
                                   .lane = commit->lane,
                                   .state = RECORD_PREPARED,
                                   .sync = commit->sync,
                                   .sequence = commit->sequence};
    record_append(&builder, &header, sizeof header);
    for (uint32_t i = 0; i < commit->count; ++i) {
        struct record_place place = {commit->parts[i].cache->number, commit->parts[i].partition};
        record_append(&builder, &place, sizeof place);
    }
    record_append(&builder, part->body.bytes, part->body.length);
    if (builder.failed || part->body.failed) {
        free(builder.bytes);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for what a transaction does");
    }
    part->commit = commit;
    part->record = builder.bytes;
    part->record_length = builder.length;
    return BELAY_OK;
}

int commit_seal(struct commit *commit)
{
    int result = BELAY_OK;
    for (uint32_t i = 0; i < commit->count && result == BELAY_OK; ++i)
        result = seal_part(commit, &commit->parts[i]);
    return result;
}

/* ---- Sending ---- */

static void answered(struct call *call, int status, const void *body, size_t length)
{
    struct commit_part *part = (struct commit_part *)call;
    part->status = status;
    if ((status == OPERATION_LOCKED || status == BELAY_ERR_CONFLICT) && length == sizeof part->locked)
        memcpy(&part->locked, body, length);
    atomic_store_explicit(&part->state, PART_ANSWERED, memory_order_release);
}

static struct wire_transaction wire_of(const struct commit_part *part)
{
    const struct commit *commit = part->commit;
    return (struct wire_transaction){
        .id = commit->id,
        .partition = part->partition,
        .sequence = commit->sequence,
        .lane = commit->lane,
        .sync = commit->sync,
        .flags = (uint8_t)((commit->alone ? WIRE_TX_ALONE : 0) | (part->repeated ? WIRE_TX_REPEATED : 0))};
}

struct whole_message {
    struct wire_transaction wire;
    unsigned char bytes[WIRE_TX_ROOM];
};

/* The parts of a record before the last. @return where that begins. */
static uint32_t send_parts(struct commit_part *part, int primary, struct whole_message *message)
{
    belay_node *node = part->commit->node;
    struct message_header header = {
        .type = MESSAGE_TX_PART, .cache = part->cache->number, .view = node->view->number};
    struct wire_transaction *wire = &message->wire;
    wire->total = (uint32_t)part->record_length;
    for (wire->offset = 0; wire->total - wire->offset > WIRE_TX_ROOM; wire->offset += WIRE_TX_ROOM) {
        struct iovec parts[2] = {part_of(wire, sizeof *wire),
                                 part_of(part->record + wire->offset, WIRE_TX_ROOM)};
        if (node_send(node, primary, &header, parts, 2, FABRIC_QUEUE) != BELAY_OK)
            break;
    }
    return wire->offset;
}

static void send_to(struct commit_part *part, int primary)
{
    struct commit *commit = part->commit;
    struct message_header header = {.type = commit->message, .cache = part->cache->number};
    struct whole_message message;
    size_t length = 0;
    message.wire = wire_of(part);
    if (commit->message == MESSAGE_TX_PREPARE || commit->message == MESSAGE_TX_CHECK) {
        uint32_t from = send_parts(part, primary, &message);
        length = part->record_length - from;
        memcpy(message.bytes, part->record + from, length <= WIRE_TX_ROOM ? length : 0);
    }
    part->call = (struct call){.answered = answered};
    atomic_store_explicit(&part->state, PART_CALLED, memory_order_relaxed);
    int result = length <= WIRE_TX_ROOM ? node_call_queued(commit->node, primary, header, &message,
                                                           sizeof message.wire + length, &part->call)
                                        : BELAY_ERR_NODE_FAILED;
    if (result == BELAY_OK)
        return;
    part->status = result;
    atomic_store_explicit(&part->state, PART_ANSWERED, memory_order_relaxed);
}

/* What has been prepared comes to its end, also if writes have been forbidden since. */
static void send_part(struct commit_part *part)
{
    int result = part->commit->message == MESSAGE_TX_PREPARE ? route_check_write(part->cache, part->partition)
                                                             : route_check(part->cache, part->partition);
    int primary = cache_primary(part->cache, part->partition);
    if (result == BELAY_OK && primary >= 0) {
        async_mark_dirty(part->commit->node, primary);
        send_to(part, primary);
        return;
    }
    part->status = result == BELAY_OK ? OPERATION_ELSEWHERE : result;
    atomic_store_explicit(&part->state, PART_ANSWERED, memory_order_relaxed);
}

/* A participant that has prepared is told the outcome until it has understood, or is gone. */
static bool is_final(const struct commit_part *part)
{
    const struct commit *commit = part->commit;
    if (node_excluded(commit->node))
        return true;
    if (commit->message == MESSAGE_TX_COMMIT || commit->message == MESSAGE_TX_ABORT)
        return part->status == BELAY_OK || part->status == BELAY_ERR_NOT_FOUND ||
               part->status == BELAY_ERR_PARTITION_LOST;
    return !route_is_stale(part->status) && part->status != BELAY_ERR_EXCLUDED;
}

static void conclude(struct commit_part *part)
{
    if (is_final(part)) {
        atomic_store_explicit(&part->state, PART_DONE, memory_order_relaxed);
        return;
    }
    part->repeated = part->repeated || part->status == BELAY_ERR_NODE_FAILED ||
                     part->status == BELAY_ERR_EXCLUDED; /* it is left out of the job, not this node */
    part->again_at = clock_now() + PAUSE_NS;
    atomic_store_explicit(&part->state, PART_READY, memory_order_relaxed);
}

/* @return how many are done. */
static uint32_t step(struct commit *commit)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < commit->count; ++i) {
        struct commit_part *part = &commit->parts[i];
        int state = atomic_load_explicit(&part->state, memory_order_acquire);
        if (state == PART_READY && (part->again_at == 0 || clock_now() >= part->again_at))
            send_part(part);
        else if (state == PART_ANSWERED)
            conclude(part);
        done += atomic_load_explicit(&part->state, memory_order_relaxed) == PART_DONE;
    }
    return done;
}

static void begin_phase(struct commit *commit, enum message_type message)
{
    commit->message = (uint8_t)message;
    for (uint32_t i = 0; i < commit->count; ++i) {
        commit->parts[i].again_at = 0;
        commit->parts[i].repeated = false;
        atomic_store_explicit(&commit->parts[i].state, PART_READY, memory_order_relaxed);
    }
}

/* Time is up: nothing will be answered any more. */
static void give_up(struct commit *commit)
{
    for (uint32_t i = 0; i < commit->count; ++i) {
        struct commit_part *part = &commit->parts[i];
        int state = atomic_load_explicit(&part->state, memory_order_acquire);
        if (state == PART_CALLED && !calls_cancel(&commit->node->calls, &part->call))
            while (atomic_load_explicit(&part->state, memory_order_acquire) == PART_CALLED)
                node_progress(commit->node);
        if (state != PART_DONE)
            part->status = log_quiet(BELAY_ERR_TIMEOUT, "partition %u of cache %s does not answer",
                                     part->partition, part->cache->settings.name);
        atomic_store_explicit(&part->state, PART_DONE, memory_order_relaxed);
    }
}

/* Wait until @p wanted are done. @return false: the deadline has passed. */
static bool await(struct commit *commit, uint32_t wanted, uint64_t deadline)
{
    struct node_wait wait;
    bool in_time = true;
    if (step(commit) >= wanted)
        return true;
    node_wait_begin(&wait, commit->node, deadline);
    while (step(commit) < wanted && in_time)
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    return in_time || step(commit) >= wanted;
}

static int first_failure(const struct commit *commit)
{
    for (uint32_t i = 0; i < commit->count; ++i)
        if (commit->parts[i].status != BELAY_OK)
            return commit->parts[i].status;
    return BELAY_OK;
}

const char *commit_key_text(const struct commit_part *part, char *text)
{
    struct record_reader reader;
    struct record_action action;
    const unsigned char *key, *value;
    bool found = record_open(&reader, part->record, part->record_length);
    for (uint32_t i = 0; i <= part->locked.action && found; ++i)
        found = record_next(&reader, &action, &key, &value);
    return found ? transaction_bytes_text(key, action.key_length, text) : "?";
}

/* A conflict that participants have found. */
static void name_conflict(const struct commit *commit)
{
    char text[40];
    for (uint32_t i = 0; i < commit->count; ++i) {
        const struct commit_part *part = &commit->parts[i];
        if (part->status != BELAY_ERR_CONFLICT)
            continue;
        log_quiet(BELAY_ERR_CONFLICT, "key %s of cache %s was changed since the transaction read it",
                  commit_key_text(part, text), part->cache->settings.name);
        return;
    }
}

int commit_run(struct commit *commit, enum message_type message, uint64_t deadline)
{
    begin_phase(commit, message);
    if (!await(commit, commit->count, deadline))
        give_up(commit);
    if (message == MESSAGE_TX_PREPARE || message == MESSAGE_TX_CHECK)
        name_conflict(commit);
    return first_failure(commit);
}

/* ---- The decision ---- */

static void unlist(struct coordinator_state *state, struct commit *commit)
{
    struct commit **at = &state->running;
    while (*at && *at != commit)
        at = &(*at)->next;
    if (*at)
        *at = commit->next;
}

static void end(struct commit *commit)
{
    struct coordinator_state *state = commit->node->caches->coordinator;
    for (uint32_t i = 0; i < commit->count; ++i)
        if (commit->parts[i].status == BELAY_ERR_NOT_FOUND)
            log_warn("partition %u of cache %s was lost with its part of a transaction",
                     commit->parts[i].partition, commit->parts[i].cache->settings.name);
    spin_acquire(&state->lock);
    unlist(state, commit);
    spin_release(&state->lock);
    transaction_lane_give(commit->node, commit->lane);
    commit_free(commit);
}

/* The outcome is known to one participant's backups or caller, so nothing can undo it: the others are told behind the caller's
 * back. */
static void detach(struct commit *commit)
{
    struct coordinator_state *state = commit->node->caches->coordinator;
    spin_acquire(&state->lock);
    commit->detached = true;
    atomic_fetch_add(&state->detached, 1);
    spin_release(&state->lock);
    node_attend(commit->node);
}

int commit_decide(struct commit *commit)
{
    belay_node *node = commit->node;
    uint32_t wanted = commit->sync == BELAY_FULL_ASYNC ? 1 : commit->count;
    FAULT_POINT("tx-decided");
    begin_phase(commit, MESSAGE_TX_COMMIT);
    await(commit, wanted, 0);
    FAULT_POINT("tx-told");
    int result = node_excluded(node) ? node_refuse(node) : BELAY_OK;
    if (step(commit) == commit->count)
        end(commit);
    else
        detach(commit);
    return result;
}

/* The next that is detached and all done; *more: others are not done. */
static struct commit *next_done(belay_node *node, bool *more)
{
    struct coordinator_state *state = node->caches->coordinator;
    struct commit *done = NULL;
    *more = false;
    spin_acquire(&state->lock);
    for (struct commit *commit = state->running; commit && !done; commit = commit->next) {
        if (!commit->detached)
            continue;
        if (step(commit) == commit->count)
            done = commit;
        else
            *more = true;
    }
    spin_release(&state->lock);
    return done;
}

static int progress(belay_node *node, bool *busy)
{
    struct coordinator_state *state = node->caches->coordinator;
    int ended = 0;
    bool more = false;
    if (!state || atomic_load_explicit(&state->detached, memory_order_relaxed) == 0)
        return 0;
    for (struct commit *commit; (commit = next_done(node, &more)); ++ended) {
        end(commit);
        atomic_fetch_sub(&state->detached, 1);
    }
    *busy = *busy || more;
    return ended;
}

void commit_register(belay_node *node)
{
    node_add_progress_hook(node, progress);
}
