/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/client.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/async.h"
#include "cache/expiry.h"
#include "cache/large.h"
#include "cache/route.h"
#include "cache/transaction.h"
#include "cache/wire.h"

#include <stdlib.h>
#include <string.h>

void client_operation(struct belay_request *request, enum operation_kind kind, const void *key,
                      size_t key_length, const void *value, size_t value_length)
{
    struct operation *operation = &request->operation;
    operation->kind = (uint8_t)kind;
    operation->key_length = (uint16_t)key_length;
    operation->value_length = (uint32_t)value_length;
    operation->key = key;
    operation->value = value;
    operation->expected = 0;
    operation->delta = 0;
    operation->entry_at = 0;
    operation->time_to_live_ms = 0;
    operation->transaction = 0;
    operation->decided = false;
    operation->status = BELAY_OK;
    operation->answer = (struct operation_answer){0};
    operation->failures_seen = PROVISION_NEVER_FAILED;
    request->value_length = NULL;
    request->old_number = NULL;
}

static void complete(struct belay_request *request, int status)
{
    request->status = status;
    request->state = REQUEST_DONE;
}

static void complete_update(struct belay_request *request, int status)
{
    if (request->operation.repeated)
        settlement_paid(request->cache->node);
    complete(request, status);
}

/* The primary is lost, or not ready to serve: the same operation again, a little later. What it was told before it may have done. */
static void again(struct belay_request *request, bool may_be_applied)
{
    enum { PAUSE_US = 50 };
    struct operation *operation = &request->operation;
    operation->repeated = operation->repeated || may_be_applied;
    operation->entry_at = 0; /* a place at the old primary is gone with it */
    request->again_at = clock_now() + PAUSE_US * 1000ull;
    request->state = REQUEST_AGAIN;
}

/* Done, or stale: @p sent tells whether a primary may have applied it. */
static void conclude(struct belay_request *request, int status, bool sent)
{
    if (route_is_stale(status) || status == OPERATION_LOCKED)
        again(request, sent && status == BELAY_ERR_NODE_FAILED);
    else
        complete_update(request, status);
}

static uint8_t sync_of(const belay_cache *cache, const belay_write_options *options, uint8_t kind)
{
    uint8_t sync = options && options->sync != BELAY_SYNC_DEFAULT ? (uint8_t)options->sync : cache->sync;
    bool needs_answer = kind != OPERATION_PUT && kind != OPERATION_REMOVE;
    needs_answer = needs_answer || cache_is_transactional(cache); /* it may have to wait for a lock */
    return sync == BELAY_FULL_ASYNC && needs_answer ? BELAY_PRIMARY_SYNC : sync;
}

/* Is it known already that the condition will not hold? Then no place is reserved for a large value. */
static int check_beforehand(struct belay_request *request)
{
    const struct operation *operation = &request->operation;
    struct read_result found;
    if (operation->kind != OPERATION_REPLACE && operation->kind != OPERATION_PUT_IF_ABSENT &&
        operation->kind != OPERATION_COMPARE_AND_SET)
        return BELAY_OK;
    if (cache_reads_backups(request->cache))
        return BELAY_OK; /* what is seen may be old: the primary will say */
    int looked = lookup_get(request->cache, operation->key, operation->key_length, NULL, 0, &found);
    bool present = looked == BELAY_OK || looked == BELAY_ERR_TRUNCATED;
    if (!present && looked != BELAY_ERR_NOT_FOUND)
        return looked;
    if (operation->kind == OPERATION_COMPARE_AND_SET)
        return operation->expected == (present ? found.version : 0) ? BELAY_OK : BELAY_ERR_CONFLICT;
    if (operation->kind == OPERATION_REPLACE)
        return present ? BELAY_OK : BELAY_ERR_NOT_FOUND;
    return present ? BELAY_ERR_EXISTS : BELAY_OK;
}

/* ---- At this node ---- */

static void finished_here(struct operation *operation)
{
    atomic_store_explicit(&operation->done, true, memory_order_release);
}

static int here_status(const struct operation *operation)
{
    bool quiet = operation->sync == BELAY_FULL_ASYNC && operation->status == BELAY_ERR_NOT_FOUND;
    return quiet ? BELAY_OK : operation->status;
}

static void begin_here(struct belay_request *request)
{
    struct operation *operation = &request->operation;
    struct partition *partition = &request->cache->partitions[request->partition];
    if (operation->kind == OPERATION_INVOKE)
        operation->invoked->function = function_find(request->cache->node, operation->invoked->name,
                                                     strlen(operation->invoked->name));
    else if (operation->value_length > LARGE_HERE && !operation_removes(operation->kind)) {
        int result = check_beforehand(request);
        if (result == BELAY_OK)
            result = large_place_here(partition, operation, request->deadline);
        if (result != BELAY_OK) {
            conclude(request, result, false);
            return;
        }
    }
    enum operation_outcome outcome = operation_begin_here(partition, operation, request->deadline);
    async_mark_dirty(request->cache->node, request->cache->node->id);
    if (outcome == OPERATION_PENDING)
        request->state = REQUEST_HERE;
    else
        conclude(request, here_status(operation), false);
}

/* ---- At another node ---- */

void client_answered(struct call *call, int status, const void *body, size_t length)
{
    struct belay_request *request = (struct belay_request *)((char *)call -
                                                             offsetof(struct belay_request, call));
    struct operation *operation = &request->operation;
    operation->status = status;
    if (length >= sizeof operation->answer)
        memcpy(&operation->answer, body, sizeof operation->answer);
    if (status == BELAY_ERR_NODE_FAILED && !operation->repeated) /* it will be */
        settlement_owe(request->cache->node);
    atomic_store_explicit(&request->answered, true, memory_order_release);
}

static uint64_t argument_of(const struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_COMPARE_AND_SET: return operation->expected;
    case OPERATION_FETCH_ADD: return (uint64_t)operation->delta;
    default: return 0;
    }
}

static uint8_t flags_of(bool repeated, const struct wire_update *wire)
{
    bool timed = wire->time_to_live_ms != 0, plain = wire->argument == 0 && wire->entry_at == 0 && !timed;
    return (uint8_t)((repeated ? WIRE_REPEATED : 0) | (plain ? WIRE_PLAIN : 0) | (timed ? WIRE_TIMED : 0));
}

static int send_async(struct belay_request *request, const struct message_header *header,
                      struct wire_update *wire, size_t value_length)
{
    struct operation *operation = &request->operation;
    belay_node *node = request->cache->node;
    struct node_wait wait;
    bool in_time = true;
    int result = async_send(node, request->primary, header, wire, operation->hash, operation->key,
                            operation->value, value_length);
    if (result != FABRIC_AGAIN)
        return result;
    node_wait_begin(&wait, node, request->deadline);
    while (result == FABRIC_AGAIN && in_time) {
        in_time = node_wait_more(&wait);
        result = async_send(node, request->primary, header, wire, operation->hash, operation->key,
                            operation->value, value_length);
    }
    node_wait_end(&wait);
    return result == FABRIC_AGAIN
               ? log_quiet(BELAY_ERR_TIMEOUT, "node %d takes no more messages", request->primary)
               : result;
}

static int send_update(struct belay_request *request)
{
    struct operation *operation = &request->operation;
    belay_cache *cache = request->cache;
    struct wire_update wire = {.kind = operation->kind,
                               .sync = operation->sync,
                               .key_length = operation->key_length,
                               .value_length = operation->value_length,
                               .argument = argument_of(operation),
                               .entry_at = operation->entry_at,
                               .time_to_live_ms = operation->time_to_live_ms,
                               .number = operation->origin.number};
    bool with_value = !operation->entry_at && !operation_removes(operation->kind) &&
                      operation->kind != OPERATION_FETCH_ADD && operation->value_length > 0;
    size_t value_length = with_value ? operation->value_length : 0;
    struct message_header header = {.type = MESSAGE_UPDATE,
                                    .flags = flags_of(operation->repeated, &wire),
                                    .cache = cache->number,
                                    .view = cache->node->view->number};
    if (operation->sync == BELAY_FULL_ASYNC) {
        int result = send_async(request, &header, &wire, value_length);
        if (result == BELAY_OK)
            complete(request, result);
        return result;
    }
    struct iovec parts[3] = {{&wire, wire_update_size(header.flags)},
                             part_of(operation->key, operation->key_length),
                             part_of(operation->value, value_length)};
    request->call = (struct call){.answered = client_answered};
    atomic_store_explicit(&request->answered, false, memory_order_relaxed);
    request->state = REQUEST_CALL;
    return node_call(cache->node, request->primary, header, parts, with_value ? 3 : 2, &request->call,
                     request->deadline);
}

static void begin_remote(struct belay_request *request)
{
    struct operation *operation = &request->operation;
    belay_node *node = request->cache->node;
    int result = BELAY_OK;
    async_mark_dirty(node, request->primary);
    if (operation->sync == BELAY_PRIMARY_SYNC)
        async_mark_at_risk(node, request->primary);
    if (operation->kind != OPERATION_INVOKE && !operation_removes(operation->kind) &&
        (size_t)operation->key_length + operation->value_length > WIRE_UPDATE_ROOM) {
        if (!operation->repeated)
            result = check_beforehand(request);
        if (result == BELAY_OK)
            result = large_place_remote(request->cache, request->partition, request->primary, operation,
                                        request->deadline);
        if (result != BELAY_OK) {
            conclude(request, result, false);
            return;
        }
    }
    result = operation->kind == OPERATION_INVOKE ? client_send_invoke(request) : send_update(request);
    async_mark_dirty(node, request->primary); /* a flush may have taken the mark before the message went */
    if (operation->sync == BELAY_PRIMARY_SYNC)
        async_mark_at_risk(node, request->primary);
    if (result == BELAY_OK)
        return;
    if (operation->entry_at)
        large_abandon_remote(request->cache, request->partition, request->primary, operation->entry_at);
    conclude(request, result, false);
}

/* Numbers of this node's requests, handed to threads in blocks: no line is shared by the calls themselves. */
static uint32_t next_number(const belay_node *node)
{
    enum { BLOCK = 1024 };
    static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
        const belay_node *node;
        uint32_t next, end;
    } block;
    if (block.node != node || block.next == block.end) {
        block.node = node;
        block.next = atomic_fetch_add(&node->caches->next_number, BLOCK);
        block.end = block.next + BLOCK;
    }
    uint32_t number = block.next++;
    return number ? number : block.next++;
}

/* To whoever is the primary now. */
static void start(struct belay_request *request)
{
    belay_cache *cache = request->cache;
    request->primary = cache_primary(cache, request->partition);
    if (!route_is_clear(cache, request->primary) ||
        atomic_load_explicit(&cache->lost_count, memory_order_relaxed)) {
        /* The removal of what has ended is a read's: the loss of another partition does not forbid it. */
        bool reads = request->operation.kind == OPERATION_EXPIRE;
        int result = reads ? route_check(cache, request->partition)
                           : route_check_write(cache, request->partition);
        if (result != BELAY_OK) {
            conclude(request, result, false);
            return;
        }
    }
    if (request->primary == cache->node->id)
        begin_here(request);
    else
        begin_remote(request);
}

static enum counter counter_of(uint8_t kind)
{
    if (!operation_removes(kind))
        return COUNT_PUTS;
    return kind == OPERATION_REMOVE ? COUNT_REMOVES : COUNT_EXPIRIES_ASKED;
}

void client_begin(struct belay_request *request, belay_cache *cache, const belay_write_options *options)
{
    struct operation *operation = &request->operation;
    operation->hash = key_hash(operation->key, operation->key_length);
    operation->sync = sync_of(cache, options, operation->kind);
    operation->origin = (struct copy_origin){.client = (uint32_t)cache->node->id + 1,
                                             .number = next_number(cache->node)};
    if (options)
        operation->time_to_live_ms = options->time_to_live_ms;
    operation->repeated = false;
    operation->finished = finished_here;
    request->cache = cache;
    request->partition = hash_partition(operation->hash, cache->partition_count);
    request->deadline = node_deadline(cache->node);
    counter_add(cache->counters, counter_shard(), counter_of(operation->kind), 1);
    start(request);
}

/* ---- Completion ---- */

static void finish_get(struct belay_request *request, int status)
{
    struct lookup *lookup = &request->lookup;
    if (status == READ_AGAIN || route_is_stale(status))
        status = lookup_settled(request->cache, &lookup->key, lookup->buffer, lookup->capacity,
                                &lookup->result);
    if (expiry_concerns(status, &lookup->result))
        status = expiry_settle(request->cache, &lookup->key, lookup->buffer, lookup->capacity,
                               &lookup->result);
    if (request->value_length && (status == BELAY_OK || status == BELAY_ERR_TRUNCATED))
        *request->value_length = lookup->result.value_length;
    counter_add(request->cache->counters, counter_shard(), COUNT_GETS, 1);
    counter_add(request->cache->counters, counter_shard(), COUNT_HITS,
                status == BELAY_OK || status == BELAY_ERR_TRUNCATED);
    complete(request, status);
}

static void poll_lookup(struct belay_request *request)
{
    int status = lookup_step(&request->lookup);
    if (status != FABRIC_AGAIN)
        finish_get(request, status);
}

bool client_completed(struct belay_request *request)
{
    switch (request->state) {
    case REQUEST_CALL:
        if (atomic_load_explicit(&request->answered, memory_order_acquire))
            conclude(request, request->operation.status, true);
        break;
    case REQUEST_HERE:
        if (atomic_load_explicit(&request->operation.done, memory_order_acquire))
            complete_update(request, here_status(&request->operation));
        break;
    case REQUEST_LOOKUP: poll_lookup(request); break;
    case REQUEST_AGAIN:
        if (clock_now() >= request->again_at)
            start(request);
        break;
    case REQUEST_DONE: break;
    }
    return request->state == REQUEST_DONE;
}

/* The deadline has passed. @return false: it is completing this moment, or cannot be given up (see operation.c). */
static bool give_up(struct belay_request *request)
{
    if (request->state == REQUEST_AGAIN && request->operation.status == OPERATION_LOCKED) {
        const struct operation *operation = &request->operation;
        uint64_t owner = operation->answer.version;
        char text[40];
        transaction_bytes_text(operation->key, operation->key_length, text);
        complete_update(
            request, log_quiet(BELAY_ERR_TIMEOUT, "key %s of cache %s is locked by transaction %u of node %d",
                               text, request->cache->settings.name, (unsigned)owner, (int)(owner >> 32) - 1));
        return true;
    }
    if (request->state == REQUEST_AGAIN) {
        complete_update(request,
                        log_quiet(BELAY_ERR_NODE_FAILED, "no primary of partition %u of cache %s answers",
                                  request->partition, request->cache->settings.name));
        return true;
    }
    if (request->state == REQUEST_CALL && calls_cancel(&request->cache->node->calls, &request->call)) {
        complete_update(request,
                        log_quiet(BELAY_ERR_TIMEOUT, "node %d did not answer within %u ms", request->primary,
                                  request->cache->node->settings.operation_timeout_ms));
        return true;
    }
    if (request->state == REQUEST_LOOKUP) {
        lookup_cancel(&request->lookup);
        complete(request,
                 log_quiet(BELAY_ERR_TIMEOUT, "reads from node %d did not complete", request->primary));
        return true;
    }
    return false;
}

int client_finish(struct belay_request *request)
{
    struct node_wait wait;
    if (client_completed(request))
        return request->status;
    node_wait_begin(&wait, request->cache->node, request->deadline);
    while (!client_completed(request)) {
        if (!node_wait_more(&wait) && !client_completed(request) && !give_up(request))
            wait.deadline = 0;
    }
    node_wait_end(&wait);
    return request->status;
}

/* ---- Getting the old value: read, then compare and set, until nobody came between. So a caller that has to repeat itself
 * at another primary has the old value. ---- */

int client_get_and_put(struct belay_request *request, belay_cache *cache, const belay_write_options *options,
                       struct old_value *old)
{
    struct operation *operation = &request->operation;
    uint64_t deadline = node_deadline(cache->node);
    int status;
    do {
        struct read_result result = {0};
        status = lookup_get(cache, operation->key, operation->key_length, old->buffer, old->capacity,
                            &result);
        old->length = status == BELAY_ERR_NOT_FOUND ? BELAY_NO_VALUE : result.value_length;
        if (status != BELAY_OK && status != BELAY_ERR_NOT_FOUND)
            return status;
        operation->kind = OPERATION_COMPARE_AND_SET;
        operation->expected = status == BELAY_OK ? result.version : 0;
        operation->entry_at = 0;
        operation->failures_seen = PROVISION_NEVER_FAILED;
        client_begin(request, cache, options);
        status = client_finish(request);
    } while (status == BELAY_ERR_CONFLICT && clock_now() < deadline);
    return status;
}

int client_update(struct belay_request *request, belay_cache *cache, const belay_write_options *options)
{
    unsigned shard = counter_shard();
    uint64_t began = timing_begin(counter_own(cache->counters, shard, COUNT_PUTS) +
                                  counter_own(cache->counters, shard, COUNT_REMOVES));
    client_begin(request, cache, options);
    int status = client_finish(request);
    if (began)
        timing_end(cache->timings, shard, BELAY_TIMED_WRITES, began);
    return status;
}

/* ---- Gets that do not wait ---- */

void client_begin_get(struct belay_request *request, belay_cache *cache, const void *key, size_t key_length,
                      void *buffer, size_t capacity, size_t *value_length)
{
    struct read_key wanted = {.hash = key_hash(key, key_length), .data = key, .length = key_length};
    request->cache = cache;
    request->partition = hash_partition(wanted.hash, cache->partition_count);
    request->primary = cache_primary(cache, request->partition);
    request->deadline = node_deadline(cache->node);
    request->value_length = value_length;
    request->old_number = NULL;
    bool remote = request->primary != cache->node->id && route_is_open(cache, request->partition) &&
                  !cache_mapped_descriptor(cache, request->primary, request->partition) &&
                  !async_unsettled(cache->node, request->primary, wanted.hash);
    if (!remote) {
        struct read_result result;
        int status = lookup_get(cache, key, key_length, buffer, capacity, &result);
        if (status == BELAY_OK || status == BELAY_ERR_TRUNCATED)
            *value_length = result.value_length;
        complete(request, status);
        return;
    }
    struct lookup *lookup = &request->lookup;
    lookup->key = wanted; /* who finishes without a lookup may have to ask again */
    lookup->buffer = buffer;
    lookup->capacity = capacity;
    if (cache_reads_backups(cache) &&
        lookup_backup(cache, &wanted, request->partition, buffer, capacity, &lookup->result) == BELAY_OK) {
        finish_get(request, BELAY_OK);
        return;
    }
    request->state = REQUEST_LOOKUP;
    int status = lookup_begin(lookup, cache, &wanted, request->partition, request->primary, buffer, capacity);
    if (status != FABRIC_AGAIN)
        finish_get(request, status);
    else
        counter_add(cache->counters, counter_shard(), COUNT_GETS_ONE_SIDED, 1);
}
