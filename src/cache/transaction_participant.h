/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_participant.h
 * One transaction at one partition, as the partition's primary carries it out.
 *
 *   OPEN --prepare--> PREPARING --record on all backups--> PREPARED --decision--> COMMITTING --all applied--> gone
 *                                                          or ABORTING --outcome on all backups--> gone
 *
 * Room for all that a decision will write is reserved before the record is written, so that what is decided need not wait for any. Only
 * a new primary has no places for what it finds prepared: if the arenas are full, it tries again and again (`starved`), not in the
 * line of requests, for behind it may be removes that make room.
 *
 * From PREPARING on its keys are locked and marked, and every backup can go on as the primary. Who decides is the coordinator, or if
 * it is dead, recovery. The changes are then applied one by one, under the locks; if the primary dies meanwhile, all of them are
 * applied again from the record, which is overwritten with the outcome as the last step.
 *
 * Threads: the partition's lock is held.
 */
#ifndef BELAY_TRANSACTION_PARTICIPANT_H
#define BELAY_TRANSACTION_PARTICIPANT_H

#include "cache/operation.h"
#include "cache/transaction_locks.h"
#include "cache/transaction_record.h"

enum participant_state {
    PARTICIPANT_OPEN,
    PARTICIPANT_PREPARING,
    PARTICIPANT_ABORTING,
    PARTICIPANT_PREPARED,
    PARTICIPANT_COMMITTING
};

/* One change of a transaction. */
struct change {
    struct participant *participant;
    struct operation operation;
};

/* The outcome is being asked for (transaction_recover.c). */
struct inquiry {
    bool
        recovered; /* its coordinator may have forgotten it: it was found in a copy that became the primary */
    bool asking;
    uint32_t view;     /* in which the others are asked; in another one, anew */
    uint32_t next;     /* participant to be asked */
    uint64_t retry_at; /* not before; clock_now() */
};

struct participant {
    struct participant *next;
    struct partition *partition;
    uint64_t id;
    enum participant_state state;
    struct hold *holds;
    unsigned char *record; /* NULL: not begun */
    size_t received, length;
    uint32_t sequence;
    uint16_t lane;
    uint8_t sync;
    int result; /* of a single change without record; else BELAY_OK */
    struct change *changes;
    uint32_t change_count, staged, pending;
    bool noted; /* the copy has its record */
    bool all_staged;
    bool starved; /* there was no room for the next step of its end */
    struct record_header outcome;
    struct operation prepare_note, outcome_note;
    uint64_t outcome_at, outcome_value_at;                /* room reserved for the outcome; 0: none */
    uint32_t record_failures_seen, outcome_failures_seen; /* see partition_provision() */
    unsigned char note_key[RECORD_KEY_LENGTH];
    struct parked resume; /* at its partition, when a commit has to wait for room */
    int peer;             /* who waits for the answer to `call`; 0: nobody does */
    uint32_t call;
    struct inquiry inquiry;
};

struct participant *participant_find(const struct transactions *transactions, uint64_t id);
/* Find or make. NULL: no memory. */
struct participant *participant_get(struct partition *partition, uint64_t id);
/* Forget it, and release its locks. */
void participant_drop(struct transactions *transactions, struct participant *participant);

/* What another partition's recovery, or a caller that repeats itself, wants to know. */
enum record_outcome { OUTCOME_NONE, OUTCOME_OPEN, OUTCOME_COMMITTED };
enum record_outcome participant_outcome(const struct partition *partition, uint64_t id, uint16_t lane,
                                        uint32_t sequence);

/* Was what it read not changed since? @return BELAY_OK; CONFLICT or OPERATION_LOCKED (about to be changed), @p at: by which of the
 * record's actions. */
int participant_check(const struct partition *partition, const struct record_reader *record, uint32_t *at);

/*
 * Lock, check, and push the record; @p alone: and commit, for there are no other participants.
 * @return FABRIC_AGAIN: try again after progress; BELAY_OK: it is under way, and `call` will be answered; or the result, and it is
 * dropped: CONFLICT (over the key of the action @p locked), OPERATION_LOCKED (@p holder: who has locked it), NO_SPACE, ...
 */
int participant_prepare(struct participant *participant, bool alone, uint64_t *holder, uint32_t *locked);

/* It is decided. Its `call` is answered when that is applied as its mode says. */
void participant_commit(struct participant *participant);

/* Undo. @return false: try again after progress. Else it is answered when all copies know, and dropped. */
bool participant_abort(struct participant *participant);

/* It is starved: try again. It may be gone then. */
void participant_feed(struct participant *participant);

/* A record that was found in a copy becomes a participant again, prepared. Errors: NO_MEMORY; PROTOCOL (damaged). */
int participant_restore(struct partition *partition, const void *record, size_t length);
/* Does its copy say that it is committed? Its coordinator's caller may have been told so. */
bool participant_is_decided(const struct participant *participant);

#endif
