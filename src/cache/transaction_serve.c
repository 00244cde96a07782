/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_serve.c
 * Messages to participants, at the partition's primary. They line up with all other requests to the partition, so those of
 * one transaction are handled in the order they came; none of them waits for a lock.
 */
#include "cache/transaction_serve.h"

#include "base/fault.h"
#include "base/log.h"
#include "cache/expiry.h"
#include "cache/partitions.h"
#include "cache/removal.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_participant.h"
#include "cache/transaction_wire.h"

#include <stdlib.h>
#include <string.h>

/* One message in work. */
struct message {
    struct parked parked; /* first */
    struct partition *partition;
    int peer;
    struct message_header header;
    struct wire_transaction wire;
    size_t length;
    unsigned char bytes[]; /* behind `wire` */
};

static bool reply(struct message *message, int status, const void *body, size_t length)
{
    if (message->header.call)
        node_reply(message->partition->node, message->peer, message->header.call, status, body, length);
    free(message);
    return true;
}

/* With which key is in the way. */
static bool reply_in_the_way(struct message *message, int status, const struct wire_locked *locked)
{
    return reply(message, status, locked, sizeof *locked);
}

/* Its sender is dead: what it wanted is left to recovery. */
static bool is_orphan(const struct message *message)
{
    return !node_set_has(&view_now(message->partition->node->view)->members, message->peer);
}

/* @return true: go on; false: *done says whether it is over, or has to wait. */
static bool may_begin(struct message *message, bool *done)
{
    struct partition *partition = message->partition;
    *done = false;
    if (message->header.view > partition->node->view->number)
        return false;
    if (is_orphan(message)) {
        free(message);
        *done = true;
        return false;
    }
    if (partition->lost || !partition_is_primary(partition)) {
        *done = reply(message, partition->lost ? BELAY_ERR_PARTITION_LOST : OPERATION_ELSEWHERE, NULL, 0);
        return false;
    }
    if (!partition->ready)
        partition_activate(partition);
    return partition->ready;
}

/* ---- Locks ---- */

static bool attempt_lock(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    struct partition *partition = message->partition;
    struct copy_found found;
    struct wire_locked locked = {0};
    bool done;
    if (!may_begin(message, &done))
        return done;
    struct lock_key key = {.hash = key_hash(message->bytes, message->length),
                           .data = message->bytes,
                           .length = message->length,
                           .exclusive = message->wire.flags & WIRE_TX_EXCLUSIVE};
    copy_find(partition->copy, key.hash, key.data, key.length, &found);
    if (expiry_is_over(found.ends_at)) { /* who has the lock would find it living on */
        if (removal_execute(partition, OPERATION_EXPIRE, key.hash, key.data, key.length) == OPERATION_PARK)
            return false;
        copy_find(partition->copy, key.hash, key.data, key.length, &found);
    }
    if (found.pending)
        return false; /* a change that was begun before has to be seen by whoever has the lock */
    struct participant *participant = participant_get(partition, message->wire.id);
    if (!participant)
        return reply(message, BELAY_ERR_NO_MEMORY, NULL, 0);
    int result = locks_ask(partition->transactions, participant, &key, &locked.holder);
    if (!participant->holds && !participant->record)
        participant_drop(partition->transactions, participant);
    return result == OPERATION_LOCKED ? reply_in_the_way(message, result, &locked)
                                      : reply(message, result, NULL, 0);
}

static bool attempt_release(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    struct transactions *transactions = message->partition->transactions;
    struct participant *participant = participant_find(transactions, message->wire.id);
    if (participant && participant->state == PARTICIPANT_OPEN)
        participant_drop(transactions, participant);
    locks_forget(transactions, message->wire.id);
    return reply(message, BELAY_OK, NULL, 0);
}

/* ---- The record, in parts ---- */

/* Take one more part. @return is it whole now? */
static bool take_part(struct participant *participant, const struct message *message)
{
    const struct wire_transaction *wire = &message->wire;
    if (wire->offset == 0) {
        free(participant->record);
        participant->record = malloc(wire->total);
        participant->length = participant->record ? wire->total : 0;
        participant->received = 0;
    }
    if (wire->total != participant->length || wire->offset != participant->received ||
        message->length > participant->length - participant->received)
        return false;
    if (!participant->record)
        return false;
    memcpy(participant->record + participant->received, message->bytes, message->length);
    participant->received += message->length;
    return participant->received == participant->length;
}

static bool attempt_part(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    bool done;
    if (!may_begin(message, &done))
        return done;
    struct participant *participant = participant_get(message->partition, message->wire.id);
    if (participant && participant->state == PARTICIPANT_OPEN)
        take_part(participant, message);
    return reply(message, BELAY_OK, NULL, 0);
}

static bool attempt_check(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    struct partition *partition = message->partition;
    struct record_reader reader;
    struct wire_locked changed = {0};
    bool done;
    if (!may_begin(message, &done))
        return done;
    struct participant *participant = participant_get(partition, message->wire.id);
    if (participant && participant->state != PARTICIPANT_OPEN)
        return reply(message, BELAY_ERR_PROTOCOL, NULL, 0); /* what it has prepared points into its record */
    int result = OPERATION_ELSEWHERE;                       /* parts of it went to another primary */
    if (participant && take_part(participant, message) &&
        record_open(&reader, participant->record, participant->length))
        result = participant_check(partition, &reader, &changed.action);
    if (participant && !participant->holds)
        participant_drop(partition->transactions, participant);
    if (result == OPERATION_LOCKED || result == BELAY_ERR_CONFLICT)
        return reply_in_the_way(message, BELAY_ERR_CONFLICT, &changed);
    return reply(message, result, NULL, 0);
}

/* It was done before by a primary that is lost, or is being done: @return true: that is the answer. */
static bool was_prepared(struct message *message, struct participant *participant)
{
    const struct wire_transaction *wire = &message->wire;
    enum record_outcome outcome = participant_outcome(message->partition, wire->id, wire->lane,
                                                      wire->sequence);
    if (outcome == OUTCOME_NONE)
        return false;
    if (participant->state == PARTICIPANT_PREPARED || participant->state == PARTICIPANT_OPEN) {
        if (participant->state == PARTICIPANT_OPEN)
            participant_drop(message->partition->transactions, participant);
        return reply(message, BELAY_OK, NULL, 0);
    }
    participant->peer = message->peer;
    participant->call = message->header.call;
    free(message);
    return true;
}

static bool attempt_prepare(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    const struct wire_transaction *wire = &message->wire;
    struct wire_locked locked = {0};
    bool done;
    if (!may_begin(message, &done))
        return done;
    struct participant *participant = participant_get(message->partition, wire->id);
    if (!participant)
        return reply(message, BELAY_ERR_NO_MEMORY, NULL, 0);
    bool again = wire->flags & WIRE_TX_REPEATED || participant->state != PARTICIPANT_OPEN;
    if (again && was_prepared(message, participant))
        return true;
    bool whole = participant->record && participant->received == participant->length;
    if (!whole && !take_part(participant, message)) {
        participant_drop(message->partition->transactions, participant);
        return reply(message, OPERATION_ELSEWHERE, NULL, 0);
    }
    FAULT_POINT("tx-prepare");
    participant->peer = message->peer;
    participant->call = message->header.call;
    int result = participant_prepare(participant, wire->flags & WIRE_TX_ALONE, &locked.holder,
                                     &locked.action);
    if (result == FABRIC_AGAIN)
        return false;
    if (result == OPERATION_LOCKED || result == BELAY_ERR_CONFLICT)
        return reply_in_the_way(message, result, &locked);
    if (result != BELAY_OK)
        return reply(message, result, NULL, 0);
    free(message);
    return true;
}

/* ---- The decision ---- */

static bool attempt_commit(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    const struct wire_transaction *wire = &message->wire;
    bool done;
    if (!may_begin(message, &done))
        return done;
    struct participant *participant = participant_find(message->partition->transactions, wire->id);
    if (!participant || participant->state < PARTICIPANT_PREPARED) {
        bool known = participant_outcome(message->partition, wire->id, wire->lane, wire->sequence) ==
                     OUTCOME_COMMITTED;
        return reply(message, known ? BELAY_OK : BELAY_ERR_NOT_FOUND, NULL, 0);
    }
    participant->peer = message->peer;
    participant->call = message->header.call;
    free(message);
    if (participant->state == PARTICIPANT_PREPARED)
        participant_commit(participant);
    return true;
}

static bool attempt_abort(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    bool done;
    if (!may_begin(message, &done))
        return done;
    struct participant *participant = participant_find(message->partition->transactions, message->wire.id);
    if (!participant || participant->state == PARTICIPANT_COMMITTING)
        return reply(message, BELAY_OK, NULL, 0);
    participant->peer = message->peer;
    participant->call = message->header.call;
    if (!participant_abort(participant)) {
        participant->call = 0;
        return false;
    }
    free(message);
    return true;
}

/* Another participant asks; it has a view that leaves out the coordinator. */
static bool attempt_outcome(struct parked *parked)
{
    struct message *message = (struct message *)parked;
    const struct wire_transaction *wire = &message->wire;
    bool done;
    if (!may_begin(message, &done))
        return done;
    uint32_t outcome = participant_outcome(message->partition, wire->id, wire->lane, wire->sequence);
    return reply(message, BELAY_OK, &outcome, sizeof outcome);
}

/* ---- Arrival ---- */

static bool (*attempt_of(uint8_t type))(struct parked *parked)
{
    switch (type) {
    case MESSAGE_TX_LOCK: return attempt_lock;
    case MESSAGE_TX_PART: return attempt_part;
    case MESSAGE_TX_PREPARE: return attempt_prepare;
    case MESSAGE_TX_CHECK: return attempt_check;
    case MESSAGE_TX_COMMIT: return attempt_commit;
    case MESSAGE_TX_ABORT: return attempt_abort;
    case MESSAGE_TX_RELEASE: return attempt_release;
    default: return attempt_outcome;
    }
}

static bool is_sound(const struct message_header *header, const struct wire_transaction *wire, int peer,
                     size_t length)
{
    bool own = wire->id >> 32 == (uint64_t)peer + 1; /* who else speaks of a transaction recovers it */
    switch (header->type) {
    case MESSAGE_TX_LOCK: return own && length > 0 && length <= BELAY_KEY_MAX;
    case MESSAGE_TX_PREPARE:
        if (wire->sync < BELAY_FULL_SYNC || wire->sync > BELAY_FULL_ASYNC)
            return false; /* fall through */
    case MESSAGE_TX_PART:
    case MESSAGE_TX_CHECK:
        return own && wire->total > 0 && wire->total <= RECORD_BYTES_MAX && length > 0 &&
               length <= wire->total && wire->offset <= wire->total - length;
    case MESSAGE_TX_OUTCOME: return length == 0;
    default: return own && length == 0;
    }
}

static int handle(belay_node *node, int peer, const struct message_header *header, const void *body,
                  size_t length)
{
    struct wire_transaction wire;
    if (length < sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    length -= sizeof wire;
    struct partition *partition = partitions_find(node, header->cache, wire.partition);
    if (!is_sound(header, &wire, peer, length) || (partition && !partition->transactions))
        return BELAY_ERR_PROTOCOL;
    struct message *message = partition ? malloc(sizeof *message + length) : NULL;
    if (!message) {
        if (header->call)
            node_reply(node, peer, header->call, partition ? BELAY_ERR_NO_MEMORY : OPERATION_ELSEWHERE, NULL,
                       0);
        return BELAY_OK;
    }
    if (transaction_coordinator_of(wire.id) != node->id)
        transaction_id_met(node, wire.id);
    *message = (struct message){.parked = {.attempt = attempt_of(header->type)},
                                .partition = partition,
                                .peer = peer,
                                .header = *header,
                                .wire = wire,
                                .length = length};
    memcpy(message->bytes, (const unsigned char *)body + sizeof wire, length);
    spin_acquire(&partition->lock);
    if (partition->parked_first || !message->parked.attempt(&message->parked))
        partition_park(partition, &message->parked);
    spin_release(&partition->lock);
    return BELAY_OK;
}

void transaction_serve_register(belay_node *node)
{
    for (int type = MESSAGE_TX_LOCK; type <= MESSAGE_TX_OUTCOME; ++type)
        node_handle(node, (enum message_type)type, handle);
}
