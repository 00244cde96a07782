/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/operation.h"

#include "base/fault.h"
#include "base/log.h"
#include "cache/expiry.h"
#include "cache/transaction_locks.h"
#include "cache/watch.h"

#include <string.h>

/* ---- Conditions ---- */

/* An answer that tells what an unpublished update did must wait until that update cannot be lost any more. */
static enum operation_outcome answer_only(struct partition *partition, struct operation *operation,
                                          int status, const struct copy_found *found)
{
    operation->status = status;
    if (operation->entry_at)
        operation_abandon(partition, operation->entry_at);
    if (!found->pending || partition_after_pending(partition, &operation->update))
        return OPERATION_EXECUTED;
    return OPERATION_PENDING;
}

static int take_number(struct partition *partition, struct operation *operation,
                       const struct copy_found *found, int64_t *sum)
{
    int64_t old;
    if (found->value_length != sizeof old)
        return BELAY_ERR_TYPE;
    copy_value(partition->copy, found, 0, &old, sizeof old);
    operation->answer.old_number = old;
    *sum = (int64_t)((uint64_t)old + (uint64_t)operation->delta);
    return BELAY_OK;
}

/* May the update go on, given the key's newest state? *sum: the new value of a FETCH_ADD. */
static int check_condition(struct partition *partition, struct operation *operation, bool present,
                           const struct copy_found *found, int64_t *sum)
{
    switch (operation->kind) {
    case OPERATION_PUT_IF_ABSENT: return present ? BELAY_ERR_EXISTS : BELAY_OK;
    case OPERATION_REPLACE:
    case OPERATION_REMOVE: return present ? BELAY_OK : BELAY_ERR_NOT_FOUND;
    case OPERATION_COMPARE_AND_SET:
        return operation->expected == (present ? found->version : 0) ? BELAY_OK : BELAY_ERR_CONFLICT;
    case OPERATION_FETCH_ADD:
        operation->answer.old_number = 0;
        *sum = operation->delta;
        return present ? take_number(partition, operation, found, sum) : BELAY_OK;
    default: return BELAY_OK;
    }
}

/* ---- Changes ---- */

static int stage(struct partition *partition, struct operation *operation, const void *value)
{
    struct copy *held = partition->copy;
    struct copy_change *change = &operation->update.change;
    if (operation_removes(operation->kind))
        return copy_remove(held, operation->hash, operation->key, operation->key_length, operation->origin,
                           change);
    if (operation->entry_at)
        return copy_commit(held, operation->hash, operation->key, operation->key_length, operation->entry_at,
                           operation->ends_at, operation->origin, change);
    return copy_put(held, operation->hash, operation->key, operation->key_length, value,
                    operation->value_length, operation->ends_at, operation->origin, change);
}

/* Only removes, which make room, and what has been decided may use the held-back segments. */
static enum room_purpose purpose_of(const struct operation *operation)
{
    return operation_removes(operation->kind) || operation->decided ? ROOM_FOR_REMOVE : ROOM_FOR_PUT;
}

static int split(struct partition *partition, struct operation *operation)
{
    struct copy_change change;
    int result = copy_split(partition->copy, operation->hash, &change);
    if (result == COPY_NEEDS_SEGMENTS)
        return partition_provision(partition, 0, operation->decided ? ROOM_FOR_REMOVE : ROOM_FOR_PUT,
                                   &operation->failures_seen);
    FAULT_POINT("split-before-push");
    if (result == BELAY_OK)
        partition_push_now(partition, &change);
    FAULT_POINT("split-after-push");
    return result;
}

/* Do what the copy asks for. @return BELAY_OK: stage again; FABRIC_AGAIN: park; or an error. */
static int prepare(struct partition *partition, struct operation *operation, int need)
{
    bool removes = operation_removes(operation->kind);
    size_t bytes = copy_entry_size(operation->key_length, removes ? 0 : operation->value_length,
                                   !removes && operation->ends_at);
    int result = need;
    if (need == COPY_NEEDS_SEGMENTS)
        result = partition_provision(partition, bytes, purpose_of(operation), &operation->failures_seen);
    else if (need == COPY_NEEDS_SPLIT)
        result = split(partition, operation);
    return result == COPY_NEEDS_DRAIN ? FABRIC_AGAIN : result;
}

static int stage_with_room(struct partition *partition, struct operation *operation, const void *value)
{
    enum {
        ROUNDS_MAX = 128
    }; /* each splits a page or attaches segments: bounded by the depth of the directory */
    for (int round = 0; round < ROUNDS_MAX; ++round) {
        int result = stage(partition, operation, value);
        if (result <= 0)
            return result;
        result = prepare(partition, operation, result);
        if (result != BELAY_OK)
            return result;
        if (partition_must_wait(partition))
            break;
    }
    return FABRIC_AGAIN;
}

static enum operation_outcome change_key(struct partition *partition, struct operation *operation,
                                         const void *value)
{
    int result = stage_with_room(partition, operation, value);
    if (result == FABRIC_AGAIN)
        return OPERATION_PARK;
    operation->status = result;
    if (result != BELAY_OK) {
        if (operation->entry_at)
            operation_abandon(partition, operation->entry_at);
        return OPERATION_EXECUTED;
    }
    operation->answer.version = operation->update.change.version;
    partition_count_update(partition);
    bool published = true;
    if (operation->sync == BELAY_FULL_SYNC)
        published = partition_push_sync(partition, &operation->update);
    else
        partition_push_now(partition, &operation->update.change);
    if (__builtin_expect(partition->changed != NULL, 0) && published)
        partition->changed(partition, &operation->update.change);
    partition_tidy(partition);
    return published ? OPERATION_EXECUTED : OPERATION_PENDING;
}

/* ---- Entries that end ---- */

/* When the new entry ends. @p found: the old one, if there is one and it was looked for. */
static uint64_t end_of(struct partition *partition, const struct operation *operation,
                       const struct copy_found *found)
{
    uint64_t time_to_live_ms = operation->time_to_live_ms ? operation->time_to_live_ms
                                                          : partition->time_to_live_ms;
    if (partition->keeps_end && operation->time_to_live_ms == 0 && found)
        return found->ends_at;
    uint64_t ends_at = time_to_live_ms ? expiry_end(time_to_live_ms) : 0;
    if (ends_at)
        expiry_wake(partition->node);
    return ends_at;
}

/* The key's entry has ended, and so the operation comes to nothing: who is told so must not find it later. Told to others than the
 * caller this is a request of nobody: if it is repeated, it finds the key absent, and has the same result. */
static enum operation_outcome expire_instead(struct partition *partition, struct operation *operation,
                                             int status)
{
    struct operation before = *operation;
    operation->kind = OPERATION_EXPIRE;
    operation->origin = (struct copy_origin){0};
    operation->entry_at = 0;
    enum operation_outcome outcome = change_key(partition, operation, NULL);
    operation->kind = before.kind;
    operation->origin = before.origin;
    operation->entry_at = before.entry_at;
    if (outcome == OPERATION_PARK)
        return outcome;
    if (operation->entry_at)
        operation_abandon(partition, operation->entry_at);
    if (operation->status == BELAY_OK) {
        operation->status = status;
        partition->expired++;
    }
    return outcome;
}

/* An entry that has ended, or gives way to others. */
static enum operation_outcome give_up(struct partition *partition, struct operation *operation)
{
    struct copy_found found;
    int looked = copy_find(partition->copy, operation->hash, operation->key, operation->key_length, &found);
    if (looked != BELAY_OK)
        return answer_only(partition, operation, looked, &found);
    bool locked = partition->transactions &&
                  locks_owner(partition->transactions, operation->hash, operation->key, operation->key_length,
                              operation->transaction);
    if (locked || (operation->kind == OPERATION_EXPIRE && !expiry_is_over(found.ends_at)))
        return answer_only(partition, operation, BELAY_ERR_CONFLICT, &found);
    if (partition->transactions)
        copy_mark_changing(partition->copy, operation->hash);
    uint64_t *count = operation->kind == OPERATION_EVICT ? &partition->evicted : &partition->expired;
    enum operation_outcome outcome = change_key(partition, operation, NULL);
    *count += outcome != OPERATION_PARK && operation->status == BELAY_OK;
    return outcome;
}

/* ---- Carrying it out ---- */

static void published(struct update *update)
{
    struct operation *operation = (struct operation *)((char *)update - offsetof(struct operation, update));
    if (update->abandoned)
        operation->status = BELAY_ERR_EXCLUDED;
    operation->finished(operation);
}

/* A primary that is lost had applied it before: the answer it could not give. */
static void answer_again(struct partition *partition, struct operation *operation,
                         const struct copy_applied *applied)
{
    if (operation->entry_at)
        operation_abandon(partition, operation->entry_at);
    operation->status = BELAY_OK;
    if (operation->kind == OPERATION_INVOKE)
        operation->invoked->result_length = copy_applied_result(
            partition->copy, applied, operation->invoked->result, operation->invoked->result_capacity);
    operation->answer.version = applied->version;
    operation->answer.old_number = (int64_t)((uint64_t)applied->value - (uint64_t)operation->delta);
}

/* In a transactional cache: has a transaction locked the key? If not, its readers are told that it changes. */
static bool is_locked(struct partition *partition, struct operation *operation)
{
    uint64_t owner = locks_owner(partition->transactions, operation->hash, operation->key,
                                 operation->key_length, operation->transaction);
    if (!owner) {
        if (!operation->transaction) /* else it is marked */
            copy_mark_changing(partition->copy, operation->hash);
        return false;
    }
    if (operation->entry_at)
        operation_abandon(partition, operation->entry_at);
    operation->status = OPERATION_LOCKED;
    operation->answer.version = owner;
    return true;
}

/* ---- Functions ---- */

/* Before the change itself, on the same way to the backups. @return BELAY_OK, FABRIC_AGAIN: park, or an error. */
static int keep_result(struct partition *partition, struct operation *operation)
{
    const struct invoked *invoked = operation->invoked;
    size_t bytes = copy_entry_size(0, invoked->result_length, false);
    struct copy_change change;
    while (partition->backup_count > 0 && invoked->result_length > 0) {
        int result = copy_keep_result(partition->copy, operation->origin, invoked->result,
                                      invoked->result_length, &change);
        if (result == BELAY_OK) {
            partition_push_now(partition, &change);
            FAULT_POINT("result-after-push");
            return BELAY_OK;
        }
        if (result == COPY_NEEDS_SEGMENTS)
            result = partition_provision(partition, bytes, purpose_of(operation), &operation->failures_seen);
        if (result != BELAY_OK)
            return result;
        if (partition_must_wait(partition))
            return FABRIC_AGAIN;
    }
    return BELAY_OK;
}

/* Do what the function wants, as another kind of operation. */
static enum operation_outcome change_as_asked(struct partition *partition, struct operation *operation,
                                              const struct copy_found *found, const void *value)
{
    operation->kind = operation->invoked->action == BELAY_ACTION_REMOVE ? OPERATION_REMOVE : OPERATION_PUT;
    int status = keep_result(partition, operation);
    enum operation_outcome outcome = status == FABRIC_AGAIN ? OPERATION_PARK
                                     : status == BELAY_OK   ? change_key(partition, operation, value)
                                                          : answer_only(partition, operation, status, found);
    operation->kind = OPERATION_INVOKE;
    return outcome;
}

/* @p found: the entry, which may have ended; @p present: it is there, and has not. If it is parked, all of this is done again, perhaps
 * with another value. */
static enum operation_outcome invoke(struct partition *partition, struct operation *operation, bool present,
                                     bool ended, const struct copy_found *found)
{
    _Alignas(max_align_t) unsigned char value[BELAY_INVOKE_VALUE_MAX];
    int status = function_apply(partition->copy, operation, present ? found : NULL, value);
    if (status != BELAY_OK || operation->invoked->action == BELAY_ACTION_KEEP)
        return ended ? expire_instead(partition, operation, status)
                     : answer_only(partition, operation, status, found);
    operation->ends_at = end_of(partition, operation, present ? found : NULL);
    return change_as_asked(partition, operation, found, value);
}

enum operation_outcome operation_execute(struct partition *partition, struct operation *operation)
{
    struct copy_found found = {0};
    int64_t sum = 0;
    operation->update.published = published;
    if (!partition_is_primary(partition) || partition->lost) {
        operation->status = partition->lost ? BELAY_ERR_PARTITION_LOST : OPERATION_ELSEWHERE;
        return OPERATION_EXECUTED;
    }
    if (partition_must_wait(partition))
        return OPERATION_PARK;
    const struct copy_applied *applied = operation->repeated
                                             ? copy_applied_find(partition->copy, operation->origin)
                                             : NULL;
    if (applied) {
        answer_again(partition, operation, applied);
        return OPERATION_EXECUTED;
    }
    if (operation->kind == OPERATION_EXPIRE || operation->kind == OPERATION_EVICT)
        return give_up(partition, operation);
    if (__builtin_expect(partition->transactions != NULL, 0) && is_locked(partition, operation))
        return OPERATION_EXECUTED;
    bool present = false;
    if (operation->kind != OPERATION_PUT || partition->keeps_end) {
        int looked = copy_find(partition->copy, operation->hash, operation->key, operation->key_length,
                               &found);
        present = looked == BELAY_OK && !expiry_is_over(found.ends_at);
        if (operation->kind == OPERATION_INVOKE)
            return invoke(partition, operation, present, present != (looked == BELAY_OK), &found);
        int status = check_condition(partition, operation, present, &found, &sum);
        if (status != BELAY_OK)
            return present == (looked == BELAY_OK) ? answer_only(partition, operation, status, &found)
                                                   : expire_instead(partition, operation, status);
    }
    operation->ends_at = end_of(partition, operation, present ? &found : NULL);
    return change_key(partition, operation, operation->kind == OPERATION_FETCH_ADD ? &sum : operation->value);
}

/* ---- Large values ---- */

int operation_reserve(struct partition *partition, int peer, const void *key, size_t key_length,
                      size_t value_length, bool timed, uint32_t *failures_seen, uint64_t *entry_at,
                      uint64_t *value_at)
{
    struct copy_change change;
    bool ends = timed || partition->time_to_live_ms || partition->keeps_end;
    for (;;) {
        if (!partition_is_primary(partition) || partition->lost)
            return partition->lost ? BELAY_ERR_PARTITION_LOST : OPERATION_ELSEWHERE;
        if (partition_must_wait(partition))
            return FABRIC_AGAIN;
        int result = copy_reserve(partition->copy, key, key_length, value_length, ends, (uint32_t)peer + 1,
                                  entry_at, value_at, &change);
        if (result == BELAY_OK) {
            partition_push_now(partition, &change);
            return BELAY_OK;
        }
        if (result != COPY_NEEDS_SEGMENTS)
            return result == COPY_NEEDS_DRAIN ? FABRIC_AGAIN : result;
        result = partition_provision(partition, copy_entry_size(key_length, value_length, ends), ROOM_FOR_PUT,
                                     failures_seen);
        if (result != BELAY_OK)
            return result;
    }
}

void operation_abandon(struct partition *partition, uint64_t entry_at)
{
    struct copy_change change;
    if (partition->ready && copy_abandon(partition->copy, entry_at, &change) == BELAY_OK)
        partition_push_now(partition, &change);
}

/* Or its bytes would lie there for ever, and differ from those of the backups, which get them with the commit. */
void operation_abandon_all(struct partition *partition, int peer)
{
    uint64_t entry_at;
    spin_acquire(&partition->lock);
    while (partition->ready && copy_reserved_by(partition->copy, (uint32_t)peer + 1, &entry_at))
        operation_abandon(partition, entry_at);
    spin_release(&partition->lock);
}

/* ---- Whole partitions ---- */

int operation_clear(struct partition *partition, uint32_t *failures_seen)
{
    struct copy_change change;
    bool finished = false;
    while (!finished) {
        if (!partition_is_primary(partition) || partition->lost)
            return partition->lost ? BELAY_ERR_PARTITION_LOST : OPERATION_ELSEWHERE;
        if (partition_must_wait(partition))
            return FABRIC_AGAIN;
        if (partition->transactions && !copy_is_clearing(partition->copy) &&
            locks_any(partition->transactions))
            return OPERATION_LOCKED;
        bool begins = !copy_is_clearing(partition->copy);
        int result = copy_clear(partition->copy, (struct copy_origin){0}, &change, &finished);
        if (result == COPY_NEEDS_SEGMENTS)
            result = partition_provision(partition, copy_entry_size(0, 0, false), ROOM_FOR_REMOVE,
                                         failures_seen);
        else if (result == BELAY_OK)
            partition_push_now(partition, &change);
        if (result == BELAY_OK && begins && copy_is_clearing(partition->copy) && partition->changed)
            watch_tell_cleared(partition); /* before what is written between the steps, which stays */
        if (result != BELAY_OK)
            return result == COPY_NEEDS_DRAIN ? FABRIC_AGAIN : result;
    }
    partition_tidy(partition);
    return BELAY_OK;
}

/* ---- In the calling thread ---- */

/* The first attempt had to wait: make progress and try again. */
static enum operation_outcome try_again(struct partition *partition, struct operation *operation,
                                        uint64_t deadline)
{
    struct node_wait wait;
    bool in_time = true;
    enum operation_outcome outcome = OPERATION_PARK;
    node_wait_begin(&wait, partition->node, deadline);
    while (outcome == OPERATION_PARK && in_time) {
        in_time = node_wait_more(&wait);
        spin_acquire(&partition->lock);
        outcome = operation_execute(partition, operation);
        spin_release(&partition->lock);
    }
    node_wait_end(&wait);
    return outcome;
}

enum operation_outcome operation_begin_here(struct partition *partition, struct operation *operation,
                                            uint64_t deadline)
{
    atomic_store_explicit(&operation->done, false, memory_order_relaxed);
    spin_acquire(&partition->lock);
    enum operation_outcome outcome = operation_execute(partition, operation);
    spin_release(&partition->lock);
    if (outcome == OPERATION_PARK)
        outcome = try_again(partition, operation, deadline);
    if (outcome != OPERATION_PARK)
        return outcome;
    operation->status = log_quiet(BELAY_ERR_TIMEOUT, "partition %u: no room at a backup within the timeout",
                                  partition->number);
    if (operation->entry_at) {
        spin_acquire(&partition->lock);
        operation_abandon(partition, operation->entry_at);
        spin_release(&partition->lock);
    }
    return OPERATION_EXECUTED;
}
