/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction_recover.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/own_key.h"
#include "cache/partitions.h"
#include "cache/transaction_commit.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_participant.h"
#include "cache/transaction_wire.h"
#include "copy/keys.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 2 };

/* ---- A new primary ---- */

static int restore(struct partition *partition, const unsigned char *key, size_t key_length)
{
    struct copy_found found;
    if (copy_find(partition->copy, key_hash(key, key_length), key, key_length, &found) != BELAY_OK)
        return BELAY_OK;
    unsigned char *record = FAULT_FAILS("tx-restore") ? NULL : malloc(found.value_length + 1);
    if (!record)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a transaction");
    copy_value(partition->copy, &found, 0, record, found.value_length);
    int result = participant_restore(partition, record, found.value_length);
    free(record);
    return result == BELAY_ERR_NO_MEMORY ? result : BELAY_OK; /* nothing else gets better: it is logged */
}

static int restore_listed(struct partition *partition, const unsigned char *keys, size_t used)
{
    uint16_t length;
    int result = BELAY_OK;
    for (size_t at = 0; used - at > sizeof length && result == BELAY_OK; at += length) {
        memcpy(&length, keys + at, sizeof length);
        at += sizeof length;
        if (length == 0 || length > used - at)
            break;
        if (!own_key(keys + at, length))
            continue;
        partition->transactions->records++;
        result = restore(partition, keys + at, length);
    }
    return result;
}

/* All records of the copy, or, without memory, not yet. */
static int restore_all(struct partition *partition)
{
    const struct arena_view *view = cache_arena_of(partition->node, partition->node->id);
    const struct copy_descriptor *descriptor = (const void *)(view->base + partition->descriptor_offset);
    struct key_cursor cursor = {0};
    unsigned char keys[BELAY_KEY_MAX + 2];
    int result = BELAY_OK;
    partition->transactions->records = 0;
    while (cursor.prefix < KEY_PREFIX_END && result == BELAY_OK) {
        long used = copy_list_keys(view, descriptor, &cursor, keys, sizeof keys);
        if (used < 0)
            break; /* logged */
        result = restore_listed(partition, keys, (size_t)used);
    }
    return result;
}

static void forget_restored(struct partition *partition)
{
    for (struct participant *participant = partition->transactions->first, *next; participant;
         participant = next) {
        next = participant->next;
        if (participant->inquiry.recovered && participant->state == PARTICIPANT_PREPARED)
            participant_drop(partition->transactions, participant);
    }
}

static void commit_decided(struct partition *partition)
{
    for (struct participant *participant = partition->transactions->first, *next; participant;
         participant = next) {
        next = participant->next;
        if (participant->inquiry.recovered && participant->state == PARTICIPANT_PREPARED &&
            participant_is_decided(participant))
            participant_commit(participant);
    }
}

void recover_attend(belay_node *node)
{
    node->caches->coordinator->recovery_wanted = true;
    node_attend(node);
}

bool recover_promoted(struct partition *partition)
{
    if (!partition->transactions)
        return true;
    copy_marks_reset(partition->copy);
    if (restore_all(partition) != BELAY_OK) {
        forget_restored(partition);
        return false;
    }
    commit_decided(partition);
    recover_attend(partition->node);
    return true;
}

/* ---- Asking ---- */

/* One question on its way. */
struct question {
    struct call call; /* first */
    struct partition *partition;
    uint64_t id;
    uint32_t view; /* in which it was asked */
    bool of_coordinator;
};

static bool is_dead(const belay_node *node, uint64_t id)
{
    int coordinator = transaction_coordinator_of(id);
    return coordinator < 0 || coordinator >= node->view->nodes ||
           !node_set_has(&view_now(node->view)->members, coordinator);
}

static void abort_it(struct participant *participant)
{
    if (!participant_abort(participant))
        participant->inquiry.retry_at = clock_now() + RETRY_MS * NANOSECONDS_PER_MS;
}

static void take_outcome(struct participant *participant, bool of_coordinator, uint32_t outcome)
{
    FAULT_POINT("tx-recover");
    if (outcome == OUTCOME_COMMITTED)
        participant_commit(participant);
    else if (outcome == OUTCOME_NONE)
        abort_it(participant);
    else if (of_coordinator)
        participant->inquiry.retry_at = clock_now() + RETRY_MS * NANOSECONDS_PER_MS; /* it will tell */
    else
        participant->inquiry.next++;
}

static void answered(struct call *call, int status, const void *body, size_t length)
{
    struct question *question = (struct question *)call;
    struct partition *partition = question->partition;
    uint32_t outcome;
    spin_acquire(&partition->lock);
    struct participant *participant = participant_find(partition->transactions, question->id);
    if (participant && participant->state == PARTICIPANT_PREPARED) {
        if (!question->of_coordinator && question->view != partition->node->view->number)
            status = OPERATION_ELSEWHERE; /* others may have been told otherwise since */
        participant->inquiry.asking = false;
        participant->inquiry.retry_at = status == BELAY_OK ? 0 : clock_now() + RETRY_MS * NANOSECONDS_PER_MS;
        if (status == BELAY_OK && length == sizeof outcome) {
            memcpy(&outcome, body, sizeof outcome);
            take_outcome(participant, question->of_coordinator, outcome);
        } else if (status == BELAY_ERR_PARTITION_LOST) {
            participant->inquiry.next++; /* nobody knows any more */
        }
        recover_attend(partition->node);
    }
    spin_release(&partition->lock);
    free(question);
}

static void ask(struct participant *participant, int peer, bool of_coordinator, struct message_header header,
                const void *body, size_t length)
{
    struct question *question = malloc(sizeof *question);
    participant->inquiry.retry_at = clock_now() + RETRY_MS * NANOSECONDS_PER_MS;
    if (!question)
        return;
    *question = (struct question){.call = {.answered = answered},
                                  .partition = participant->partition,
                                  .id = participant->id,
                                  .view = participant->partition->node->view->number,
                                  .of_coordinator = of_coordinator};
    participant->inquiry.asking = true;
    if (node_call_queued(participant->partition->node, peer, header, body, length, &question->call) ==
        BELAY_OK)
        return;
    participant->inquiry.asking = false;
    free(question);
}

static void ask_coordinator(struct participant *participant)
{
    struct wire_question question = {participant->id};
    struct message_header header = {.type = MESSAGE_TX_ASK};
    ask(participant, transaction_coordinator_of(participant->id), true, header, &question, sizeof question);
}

/*
 * The next of the other participants; the last has been asked: nobody has committed. All in one view: one that was open may have
 * learned the outcome since from one that has died, and whose successor does not know it.
 */
static void ask_participant(struct participant *participant)
{
    const struct partition *own = participant->partition;
    struct record_reader reader;
    if (participant->inquiry.view != own->node->view->number) {
        participant->inquiry.view = own->node->view->number;
        participant->inquiry.next = 0;
    }
    if (!record_open(&reader, participant->record, participant->length))
        return;
    while (participant->inquiry.next < reader.header.participants) {
        struct record_place place = record_participant(&reader, participant->inquiry.next);
        belay_cache *cache = cache_find(own->node, (uint16_t)place.cache);
        if (!cache || place.partition >= cache->partition_count ||
            (place.cache == own->cache && place.partition == own->number)) {
            participant->inquiry.next++;
            continue;
        }
        struct message_header header = {.type = MESSAGE_TX_OUTCOME, .cache = cache->number};
        struct wire_transaction wire = {.id = participant->id,
                                        .partition = place.partition,
                                        .sequence = participant->sequence,
                                        .lane = participant->lane};
        int primary = cache_primary(cache, place.partition);
        if (primary >= 0) {
            ask(participant, primary, false, header, &wire, sizeof wire);
            return;
        }
        participant->inquiry.next++; /* lost */
    }
    log_info("partition %u: a transaction of node %d, which is dead, is aborted", own->number,
             transaction_coordinator_of(participant->id));
    abort_it(participant);
}

/* ---- Looking after them ---- */

static void feed(struct participant *participant)
{
    uint64_t now = clock_now();
    if (now < participant->inquiry.retry_at)
        return;
    participant->inquiry.retry_at = now + RETRY_MS * NANOSECONDS_PER_MS;
    participant_feed(participant);
}

/* @return true: it needs to be looked after again. */
static bool look_after(struct participant *participant)
{
    struct partition *partition = participant->partition;
    bool dead = is_dead(partition->node, participant->id);
    if (participant->starved) {
        feed(participant);
        return true;
    }
    if (participant->state == PARTICIPANT_OPEN && dead) {
        participant_drop(partition->transactions, participant);
        return false;
    }
    if (!dead && !participant->inquiry.recovered)
        return false;
    if (participant->state != PARTICIPANT_PREPARED)
        return participant->state == PARTICIPANT_PREPARING;
    if (participant->inquiry.asking || clock_now() < participant->inquiry.retry_at || !partition->ready)
        return true;
    if (dead)
        ask_participant(participant);
    else
        ask_coordinator(participant);
    return true;
}

static bool look_after_partition(struct partition *partition)
{
    bool more = false;
    spin_acquire(&partition->lock);
    for (struct participant *participant = partition->transactions->first, *next; participant;
         participant = next) {
        next = participant->next;
        more = look_after(participant) || more;
    }
    spin_release(&partition->lock);
    return more;
}

static int progress(belay_node *node, bool *busy)
{
    struct coordinator_state *state = node->caches->coordinator;
    if (!state || !state->recovery_wanted)
        return 0;
    state->recovery_wanted = false;
    for (struct partition *partition = partitions_walk(node, NULL); partition;
         partition = partitions_walk(node, partition))
        if (partition->transactions && look_after_partition(partition))
            state->recovery_wanted = true;
    *busy = *busy || state->recovery_wanted;
    return 0;
}

static void view_changed(belay_node *node)
{
    recover_attend(node);
}

/* At the coordinator: what became of a transaction of which a new primary has found the record? Committed if it is over: an
 * abort that is over has left no record. */
static int handle_ask(belay_node *node, int peer, const struct message_header *header, const void *body,
                      size_t length)
{
    struct coordinator_state *state = node->caches->coordinator;
    struct wire_question question;
    if (length != sizeof question)
        return BELAY_ERR_PROTOCOL;
    memcpy(&question, body, sizeof question);
    uint32_t outcome = OUTCOME_COMMITTED;
    spin_acquire(&state->lock);
    for (const struct commit *commit = state->running; commit; commit = commit->next)
        if (commit->id == question.id)
            outcome = OUTCOME_OPEN;
    spin_release(&state->lock);
    node_reply(node, peer, header->call, BELAY_OK, &outcome, sizeof outcome);
    return BELAY_OK;
}

void transaction_recover_register(belay_node *node)
{
    node_handle(node, MESSAGE_TX_ASK, handle_ask);
    node_add_progress_hook(node, progress);
    node_add_view_hook(node, view_changed);
}
