/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_commit.h
 * The coordinator's side of a commit: the same message to all participants, repeated to whoever is the primary by then, until each
 * has answered. It goes on in steps without waiting: of the thread that commits, or when that need not wait, of progress.
 */
#ifndef BELAY_TRANSACTION_COMMIT_H
#define BELAY_TRANSACTION_COMMIT_H

#include "cache/cache.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_record.h"
#include "cache/transaction_wire.h"

enum commit_part_state { PART_READY, PART_CALLED, PART_ANSWERED, PART_DONE };

/* One participant. */
struct commit_part {
    struct call call; /* first */
    struct commit *commit;
    belay_cache *cache;
    uint32_t partition, actions;
    struct record_builder body; /* the actions */
    unsigned char *record;      /* all of it, for PREPARE and CHECK */
    size_t record_length;
    atomic_int state; /* enum commit_part_state */
    int status;
    struct wire_locked locked; /* with OPERATION_LOCKED and CONFLICT */
    uint64_t again_at;         /* not before; clock_now() */
    bool repeated;             /* a primary that is lost may have done it */
};

struct commit {
    struct commit *next;
    belay_node *node;
    uint64_t id;
    uint32_t sequence;
    uint16_t lane;
    uint8_t sync;
    uint8_t message; /* enum message_type, of this phase */
    bool alone;
    bool detached; /* nobody waits for it: progress ends it */
    uint32_t count, capacity;
    struct commit_part *parts;
};

void commit_init(struct commit *commit, belay_node *node, uint64_t id);
void commit_free(struct commit *commit);

/* The participant for a partition, made if there is none. NULL: no memory. */
struct commit_part *commit_part_for(struct commit *commit, belay_cache *cache, uint32_t partition);
struct commit_part *commit_part_find(const struct commit *commit, const belay_cache *cache,
                                     uint32_t partition);

/* Put the records together. Errors: NO_MEMORY. */
int commit_seal(struct commit *commit);

/* The key that a participant has found in the way, for a message; @p text: room for 40 characters. */
const char *commit_key_text(const struct commit_part *part, char *text);

/* One phase: send @p message to all and wait for the answers, until the deadline (0: none). @return BELAY_OK, or the first failure. */
int commit_run(struct commit *commit, enum message_type message, uint64_t deadline);

/* The last phase: all are prepared, and it is decided. Waits as @p sync says; the rest goes on by itself, and the memory is given
 * back. @p commit was allocated. */
int commit_decide(struct commit *commit);

void commit_register(belay_node *node);

#endif
