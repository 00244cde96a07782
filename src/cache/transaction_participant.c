/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction_participant.h"

#include "base/fault.h"
#include "base/log.h"
#include "cache/transaction_recover.h"
#include "copy/mark.h"

#include <stdlib.h>

enum {
    TRANSACTION_CLIENT = 1u << 31, /* in copy_origin: numbers of transactions are not those of requests */
    RESERVES_FOR_ITSELF = 1 << 20  /* no peer: what is reserved stays when the coordinator dies */
};

static struct copy_origin origin_of(uint64_t id)
{
    return (struct copy_origin){.client = (uint32_t)(id >> 32) | TRANSACTION_CLIENT, .number = (uint32_t)id};
}

/* ---- Finding ---- */

struct participant *participant_find(const struct transactions *transactions, uint64_t id)
{
    struct participant *participant = transactions->first;
    while (participant && participant->id != id)
        participant = participant->next;
    return participant;
}

struct participant *participant_get(struct partition *partition, uint64_t id)
{
    struct transactions *transactions = partition->transactions;
    struct participant *participant = participant_find(transactions, id);
    if (participant)
        return participant;
    participant = calloc(1, sizeof *participant);
    if (!participant) {
        log_error(BELAY_ERR_NO_MEMORY, "no memory for a transaction");
        return NULL;
    }
    participant->partition = partition;
    participant->id = id;
    participant->next = transactions->first;
    transactions->first = participant;
    return participant;
}

/* What was reserved and will not be used. */
static void give_room_back(struct participant *participant)
{
    for (uint32_t i = participant->staged; i < participant->change_count; ++i) {
        struct operation *operation = &participant->changes[i].operation;
        if (operation->entry_at)
            operation_abandon(participant->partition, operation->entry_at);
        operation->entry_at = 0;
    }
    if (participant->outcome_at)
        operation_abandon(participant->partition, participant->outcome_at);
    participant->outcome_at = 0;
}

void participant_drop(struct transactions *transactions, struct participant *participant)
{
    struct participant **at = &transactions->first;
    give_room_back(participant);
    while (*at != participant)
        at = &(*at)->next;
    *at = participant->next;
    locks_release(transactions, participant);
    free(participant->changes);
    free(participant->record);
    free(participant);
}

static void answer(struct participant *participant, int status)
{
    if (participant->call)
        node_reply(participant->partition->node, participant->peer, participant->call, status, NULL, 0);
    participant->call = 0;
}

/* The record of the lane, as the copy has it. @return false: there is none. */
static bool read_note(const struct partition *partition, uint64_t id, uint16_t lane,
                      struct record_header *header)
{
    unsigned char key[RECORD_KEY_LENGTH];
    struct copy_found found;
    record_key(key, id, lane);
    if (copy_find(partition->copy, key_hash(key, sizeof key), key, sizeof key, &found) != BELAY_OK ||
        found.value_length < sizeof *header)
        return false;
    copy_value(partition->copy, &found, 0, header, sizeof *header);
    return true;
}

/* The coordinator had gone on to another transaction in this lane: this one was over, and whoever still asks has a record of
 * it, so it was not aborted. */
static bool is_later(const struct record_header *header, uint32_t sequence)
{
    return (int32_t)(header->sequence - sequence) > 0;
}

enum record_outcome participant_outcome(const struct partition *partition, uint64_t id, uint16_t lane,
                                        uint32_t sequence)
{
    struct record_header header;
    const struct participant *participant = participant_find(partition->transactions, id);
    if (participant && participant->state >= PARTICIPANT_PREPARING)
        return participant->state == PARTICIPANT_COMMITTING ? OUTCOME_COMMITTED : OUTCOME_OPEN;
    if (read_note(partition, id, lane, &header) &&
        (header.id == id ? header.state == RECORD_COMMITTED : is_later(&header, sequence)))
        return OUTCOME_COMMITTED;
    return copy_applied_find(partition->copy, origin_of(id)) ? OUTCOME_COMMITTED : OUTCOME_NONE;
}

/* ---- Checking ---- */

static int check_action(const struct partition *partition, uint64_t id, const struct record_action *action,
                        const struct lock_key *key)
{
    struct copy_found found;
    if (locks_changing(partition->transactions, key, id))
        return OPERATION_LOCKED;
    int looked = copy_find(partition->copy, key->hash, key->data, key->length, &found);
    if (looked == BELAY_OK)
        return found.version == action->version ? BELAY_OK : BELAY_ERR_CONFLICT;
    bool unchanged = action->check == RECORD_VERSION ||
                     mark_changes(copy_mark(partition->copy, key->hash)) == action->changes;
    return action->version == 0 && unchanged ? BELAY_OK : BELAY_ERR_CONFLICT;
}

int participant_check(const struct partition *partition, const struct record_reader *record, uint32_t *at)
{
    struct record_reader reader = *record;
    struct record_action action;
    const unsigned char *data, *value;
    record_rewind(&reader);
    for (uint32_t i = 0; record_next(&reader, &action, &data, &value); ++i) {
        struct lock_key key = {
            .hash = key_hash(data, action.key_length), .data = data, .length = action.key_length};
        int result = action.check != RECORD_UNCHECKED
                         ? check_action(partition, reader.header.id, &action, &key)
                         : BELAY_OK;
        if (result != BELAY_OK) {
            *at = i;
            return result;
        }
    }
    return BELAY_OK;
}

/* ---- What the record says ---- */

/* *at: the action that was locked last, or cannot be. */
static int lock_all(struct participant *participant, struct record_reader *reader, uint64_t *holder,
                    uint32_t *at)
{
    struct record_action action;
    const unsigned char *data, *value;
    int result = BELAY_OK;
    record_rewind(reader);
    for (uint32_t i = 0; result == BELAY_OK && record_next(reader, &action, &data, &value); ++i) {
        struct lock_key key = {.hash = key_hash(data, action.key_length),
                               .data = data,
                               .length = action.key_length,
                               .exclusive = action.kind != RECORD_READ};
        result = locks_take(participant->partition->transactions, participant, &key, holder);
        *at = i;
    }
    return result;
}

static void mark_all(struct participant *participant)
{
    for (struct hold *hold = participant->holds; hold; hold = hold->sibling) {
        if (!hold->exclusive || hold->marked)
            continue;
        hold->marked = true;
        copy_mark_prepared(participant->partition->copy, hold->hash);
    }
}

static void applied(struct operation *operation);

static void make_change(struct participant *participant, const struct record_action *action,
                        const unsigned char *key, const unsigned char *value)
{
    struct change *change = &participant->changes[participant->change_count++];
    change->participant = participant;
    change->operation = (struct operation){.kind = action->kind == RECORD_REMOVE ? OPERATION_REMOVE
                                                                                 : OPERATION_PUT,
                                           .sync = participant->sync,
                                           .key_length = action->key_length,
                                           .value_length = action->value_length,
                                           .key = key,
                                           .value = value,
                                           .hash = key_hash(key, action->key_length),
                                           .origin = origin_of(participant->id),
                                           .transaction = participant->id,
                                           .failures_seen = PROVISION_NEVER_FAILED,
                                           .finished = applied};
}

static int make_changes(struct participant *participant, struct record_reader *reader)
{
    struct record_action action;
    const unsigned char *key, *value;
    if (participant->changes)
        return BELAY_OK;
    participant->lane = reader->header.lane;
    participant->sequence = reader->header.sequence;
    participant->sync = reader->header.sync;
    record_key(participant->note_key, participant->id, participant->lane);
    participant->record_failures_seen = participant->outcome_failures_seen = PROVISION_NEVER_FAILED;
    participant->changes = malloc((reader->header.actions + 1) * sizeof *participant->changes);
    if (!participant->changes)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the changes of a transaction");
    record_rewind(reader);
    while (record_next(reader, &action, &key, &value))
        if (action.kind != RECORD_READ)
            make_change(participant, &action, key, value);
    return BELAY_OK;
}

/* ---- The record in the copy ---- */

static void note_operation(struct participant *participant, struct operation *operation, uint8_t sync,
                           const void *value, size_t length, void (*finished)(struct operation *operation))
{
    *operation = (struct operation){.kind = OPERATION_PUT,
                                    .sync = sync,
                                    .key_length = RECORD_KEY_LENGTH,
                                    .value_length = (uint32_t)length,
                                    .key = participant->note_key,
                                    .value = value,
                                    .hash = key_hash(participant->note_key, RECORD_KEY_LENGTH),
                                    .time_to_live_ms = BELAY_NEVER_EXPIRES,
                                    .transaction = participant->id,
                                    .failures_seen = PROVISION_NEVER_FAILED,
                                    .finished = finished};
}

static enum operation_outcome execute_note(struct participant *participant, struct operation *operation)
{
    struct partition *partition = participant->partition;
    struct copy_found found;
    bool was_there = copy_find(partition->copy, operation->hash, operation->key, operation->key_length,
                               &found) == BELAY_OK;
    enum operation_outcome outcome = operation_execute(partition, operation);
    if (outcome == OPERATION_PENDING || (outcome == OPERATION_EXECUTED && operation->status == BELAY_OK))
        partition->transactions->records += !was_there;
    return outcome;
}

static enum operation_outcome execute_outcome(struct participant *participant, enum record_state state,
                                              uint8_t sync, void (*finished)(struct operation *operation))
{
    participant->outcome = (struct record_header){.id = participant->id,
                                                  .lane = participant->lane,
                                                  .state = (uint8_t)state,
                                                  .sequence = participant->sequence};
    note_operation(participant, &participant->outcome_note, sync, &participant->outcome,
                   sizeof participant->outcome, finished);
    participant->outcome_note.decided = true;
    participant->outcome_note.entry_at = participant->outcome_at;
    if (participant->outcome_at)
        copy_fill(participant->partition->copy, participant->outcome_value_at, 0, &participant->outcome,
                  sizeof participant->outcome);
    enum operation_outcome result = execute_note(participant, &participant->outcome_note);
    if (result != OPERATION_PARK)
        participant->outcome_at = 0; /* used, or given back */
    return result;
}

/* What is decided is tried again until there is room. */
static bool is_starved(struct participant *participant, enum operation_outcome outcome,
                       struct operation *operation)
{
    if (outcome != OPERATION_EXECUTED || operation->status != BELAY_ERR_NO_SPACE)
        return false;
    operation->failures_seen = PROVISION_NEVER_FAILED;
    operation->entry_at = 0; /* given back */
    participant->starved = true;
    recover_attend(participant->partition->node);
    return true;
}

static bool has_to_wait(struct participant *participant, enum operation_outcome outcome,
                        struct operation *operation)
{
    return outcome == OPERATION_PARK || is_starved(participant, outcome, operation);
}

/* ---- Committing ---- */

static void finish(struct participant *participant)
{
    struct partition *partition = participant->partition;
    answer(participant, partition->abandoned ? BELAY_ERR_EXCLUDED : participant->result);
    participant_drop(partition->transactions, participant);
}

static void one_less(struct participant *participant)
{
    participant->pending--;
    if (participant->all_staged && participant->pending == 0)
        finish(participant);
}

static void applied(struct operation *operation)
{
    struct change *change = (struct change *)((char *)operation - offsetof(struct change, operation));
    one_less(change->participant);
}

static void outcome_noted(struct operation *operation)
{
    one_less((struct participant *)((char *)operation - offsetof(struct participant, outcome_note)));
}

static void decided_noted(struct operation *operation)
{
    one_less((struct participant *)((char *)operation - offsetof(struct participant, prepare_note)));
}

/* Alone, with one change and without a record, it is nothing but that change, and fails as that does. */
static bool is_refused(const struct participant *participant, enum operation_outcome outcome,
                       const struct operation *operation)
{
    return !participant->noted && outcome == OPERATION_EXECUTED && operation->status == BELAY_ERR_NO_SPACE;
}

static bool stage_changes(struct participant *participant)
{
    while (participant->staged < participant->change_count) {
        struct operation *operation = &participant->changes[participant->staged].operation;
        operation->decided = participant->noted;
        enum operation_outcome outcome = operation_execute(participant->partition, operation);
        if (is_refused(participant, outcome, operation))
            participant->result = operation->status;
        else if (has_to_wait(participant, outcome, operation))
            return false;
        else if (outcome == OPERATION_EXECUTED && operation->status != BELAY_OK &&
                 operation->status != BELAY_ERR_NOT_FOUND)
            log_error(operation->status, "a decided change cannot be applied: %s",
                      belay_strerror(operation->status));
        participant->pending += outcome == OPERATION_PENDING;
        participant->staged++;
        FAULT_POINT("tx-between-changes");
    }
    return true;
}

static bool stage_outcome(struct participant *participant)
{
    if (!participant->noted)
        return true;
    enum operation_outcome outcome = execute_outcome(participant, RECORD_COMMITTED, participant->sync,
                                                     outcome_noted);
    if (has_to_wait(participant, outcome, &participant->outcome_note))
        return false;
    participant->pending += outcome == OPERATION_PENDING;
    return true;
}

/* As far as it goes now. @return false: it has to wait in line; true: all is staged, and the participant may be gone, or it is
 * starved. */
static bool commit_step(struct participant *participant)
{
    participant->starved = false;
    if (!stage_changes(participant) || !stage_outcome(participant))
        return participant->starved;
    participant->all_staged = true;
    FAULT_POINT("tx-before-applied");
    if (participant->pending == 0)
        finish(participant);
    return true;
}

static bool resume(struct parked *parked)
{
    return commit_step((struct participant *)((char *)parked - offsetof(struct participant, resume)));
}

static void go_on_committing(struct participant *participant)
{
    if (commit_step(participant))
        return;
    participant->resume.attempt = resume;
    partition_park(participant->partition, &participant->resume);
}

void participant_commit(struct participant *participant)
{
    FAULT_POINT("tx-commit");
    participant->state = PARTICIPANT_COMMITTING;
    go_on_committing(participant);
}

/* ---- Preparing ---- */

static void prepared(struct participant *participant)
{
    participant->state = PARTICIPANT_PREPARED;
    FAULT_POINT("tx-prepared");
    answer(participant, participant->partition->abandoned ? BELAY_ERR_EXCLUDED : BELAY_OK);
}

static void prepare_noted(struct operation *operation)
{
    prepared((struct participant *)((char *)operation - offsetof(struct participant, prepare_note)));
}

/* Another transaction of the lane is not finished here: its coordinator believes that it is, and recovery sees to it. */
static bool lane_is_free(const struct participant *participant, const struct record_reader *reader)
{
    const struct participant *other = participant->partition->transactions->first;
    for (; other; other = other->next)
        if (other != participant && other->state != PARTICIPANT_OPEN && other->lane == reader->header.lane &&
            other->id >> 32 == participant->id >> 32)
            return false;
    return true;
}

static int lock_and_check(struct participant *participant, struct record_reader *reader, uint64_t *holder,
                          uint32_t *at)
{
    if (!lane_is_free(participant, reader))
        return OPERATION_ELSEWHERE;
    int result = lock_all(participant, reader, holder, at);
    if (result == BELAY_OK)
        result = participant_check(participant->partition, reader, at);
    return result == BELAY_OK ? make_changes(participant, reader) : result;
}

/* So that what is decided need not wait for room: each new value, and the outcome, has its place before. A remove has not: for
 * those room is held back. */
static int reserve_room(struct participant *participant, bool for_outcome)
{
    uint64_t value_at;
    for (uint32_t i = 0; i < participant->change_count; ++i) {
        struct operation *operation = &participant->changes[i].operation;
        if (operation->kind != OPERATION_PUT || operation->entry_at)
            continue;
        int result = operation_reserve(participant->partition, RESERVES_FOR_ITSELF, operation->key,
                                       operation->key_length, operation->value_length, false,
                                       &operation->failures_seen, &operation->entry_at, &value_at);
        if (result != BELAY_OK)
            return result;
        copy_fill(participant->partition->copy, value_at, 0, operation->value, operation->value_length);
    }
    if (!for_outcome || participant->outcome_at)
        return BELAY_OK;
    return operation_reserve(participant->partition, RESERVES_FOR_ITSELF, participant->note_key,
                             RECORD_KEY_LENGTH, sizeof participant->outcome, false,
                             &participant->outcome_failures_seen, &participant->outcome_at,
                             &participant->outcome_value_at);
}

/* The record is on its way, or needs no entry. */
static void go_on(struct participant *participant, bool alone, bool pending)
{
    mark_all(participant);
    participant->pending = alone && pending;
    participant->state = PARTICIPANT_PREPARING;
    if (alone)
        participant_commit(participant);
    else if (!pending)
        prepared(participant);
}

int participant_prepare(struct participant *participant, bool alone, uint64_t *holder, uint32_t *locked)
{
    struct partition *partition = participant->partition;
    struct record_reader reader;
    if (!record_open(&reader, participant->record, participant->length) || !record_sound(&reader) ||
        reader.header.id != participant->id)
        return BELAY_ERR_PROTOCOL;
    if (partition_must_wait(partition))
        return FABRIC_AGAIN;
    int result = lock_and_check(participant, &reader, holder, locked);
    if (result != BELAY_OK) {
        participant_drop(partition->transactions, participant);
        return result;
    }
    bool without_record = alone && participant->change_count <= 1;
    result = reserve_room(participant, !without_record);
    if (result != BELAY_OK) {
        if (result != FABRIC_AGAIN)
            participant_drop(partition->transactions, participant);
        return result;
    }
    if (without_record) {
        go_on(participant, true, false);
        return BELAY_OK;
    }
    reader.header.state = alone ? RECORD_DECIDED : RECORD_PREPARED;
    memcpy(participant->record, &reader.header, sizeof reader.header);
    struct operation *note = &participant->prepare_note;
    note_operation(participant, note, alone ? participant->sync : BELAY_FULL_SYNC, participant->record,
                   participant->length, alone ? decided_noted : prepare_noted);
    note->failures_seen = participant->record_failures_seen;
    enum operation_outcome outcome = execute_note(participant, note);
    participant->record_failures_seen = note->failures_seen;
    if (outcome == OPERATION_PARK)
        return FABRIC_AGAIN;
    if (outcome == OPERATION_EXECUTED && note->status != BELAY_OK) {
        result = note->status;
        participant_drop(partition->transactions, participant);
        return result;
    }
    participant->noted = true;
    FAULT_POINT("tx-noted");
    go_on(participant, alone, outcome == OPERATION_PENDING);
    return BELAY_OK;
}

/* ---- Undoing ---- */

static void abort_noted(struct operation *operation)
{
    finish((struct participant *)((char *)operation - offsetof(struct participant, outcome_note)));
}

/* @return false: it has to wait. */
static bool stage_abort(struct participant *participant)
{
    participant->starved = false;
    enum operation_outcome outcome = execute_outcome(participant, RECORD_ABORTED, BELAY_FULL_SYNC,
                                                     abort_noted);
    if (has_to_wait(participant, outcome, &participant->outcome_note))
        return participant->starved;
    if (outcome == OPERATION_EXECUTED)
        finish(participant);
    return true;
}

bool participant_abort(struct participant *participant)
{
    switch (participant->state) {
    case PARTICIPANT_OPEN: finish(participant); return true;
    case PARTICIPANT_ABORTING: return true; /* it will be answered */
    case PARTICIPANT_PREPARED: break;
    default: return false;
    }
    participant->state = PARTICIPANT_ABORTING;
    if (stage_abort(participant))
        return true;
    participant->state = PARTICIPANT_PREPARED;
    return false;
}

void participant_feed(struct participant *participant)
{
    if (participant->state == PARTICIPANT_COMMITTING)
        go_on_committing(participant);
    else if (!stage_abort(participant))
        participant->starved = true;
}

/* ---- At a new primary ---- */

int participant_restore(struct partition *partition, const void *record, size_t length)
{
    struct record_reader reader;
    uint64_t holder;
    uint32_t at;
    if (!record_open(&reader, record, length) || !record_sound(&reader))
        return log_error(BELAY_ERR_PROTOCOL, "partition %u: a damaged record of a transaction",
                         partition->number);
    if (reader.header.state >= RECORD_COMMITTED)
        return BELAY_OK;
    struct participant *participant = participant_get(partition, reader.header.id);
    unsigned char *copied = malloc(length);
    if (!participant || !copied) {
        free(copied);
        if (participant && !participant->record && !participant->holds)
            participant_drop(partition->transactions, participant);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a transaction");
    }
    free(participant->record);
    participant->record = memcpy(copied, record, length);
    participant->received = participant->length = length;
    record_open(&reader, copied, length);
    int result = lock_all(participant, &reader, &holder, &at);
    if (result == BELAY_OK)
        result = make_changes(participant, &reader);
    if (result != BELAY_OK) {
        participant_drop(partition->transactions, participant);
        return result == OPERATION_LOCKED
                   ? log_error(BELAY_ERR_PROTOCOL,
                               "partition %u: two transactions have prepared to change a key",
                               partition->number)
                   : result;
    }
    participant->noted = true;
    participant->inquiry.recovered = true;
    mark_all(participant);
    participant->state = PARTICIPANT_PREPARED;
    return BELAY_OK;
}

bool participant_is_decided(const struct participant *participant)
{
    struct record_reader reader;
    return (record_open(&reader, participant->record, participant->length) &&
            reader.header.state == RECORD_DECIDED) ||
           copy_applied_find(participant->partition->copy, origin_of(participant->id));
}
