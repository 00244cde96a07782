/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file operation.h
 * One update of one key, as the primary carries it out: by the calling thread when it is the primary, else by whoever makes
 * progress at the primary, on behalf of the peer that asked.
 */
#ifndef BELAY_OPERATION_H
#define BELAY_OPERATION_H

#include "cache/cache.h"
#include "cache/function.h"
#include "cache/wire.h"

#define XXH_INLINE_ALL /* of short keys the call alone would cost as much as the hash */
#include <xxhash.h>

enum operation_kind {
    OPERATION_PUT,
    OPERATION_PUT_IF_ABSENT,
    OPERATION_REPLACE,
    OPERATION_COMPARE_AND_SET,
    OPERATION_FETCH_ADD,
    OPERATION_REMOVE,
    OPERATION_EXPIRE,  /* remove it if its time is over; CONFLICT: it is not, or a transaction has the key */
    OPERATION_UPDATES, /* those above go as MESSAGE_UPDATE */
    OPERATION_INVOKE = OPERATION_UPDATES,
    OPERATION_EVICT /* remove it to make room; CONFLICT: a transaction has the key */
};

/* A status beside BELAY_ERR_*. */
enum {
    OPERATION_ELSEWHERE =
        2,               /* this node is not the primary, or not yet: look at the map again, after a while */
    OPERATION_LOCKED = 4 /* a transaction has locked the key; answer.version names it */
};

struct operation {
    uint8_t kind;
    uint8_t sync;
    uint16_t key_length;
    uint32_t value_length;
    const void *key, *value; /* INVOKE: the argument */
    uint64_t hash;
    uint64_t expected;       /* COMPARE_AND_SET: version */
    int64_t delta;           /* FETCH_ADD */
    uint64_t entry_at;       /* a reservation filled with the value; 0: the value is in `value` */
    struct invoked *invoked; /* INVOKE */
    struct copy_origin origin;
    uint64_t time_to_live_ms; /* 0: as the cache says; BELAY_NEVER_EXPIRES */
    uint64_t ends_at;         /* what that comes to, set when executed */
    uint64_t transaction;     /* that it is part of; 0: of none */
    bool decided;             /* it cannot be refused any more: it may use the room that is held back */
    bool repeated;            /* sent before to a primary that is lost: it may have been applied */

    int status; /* result, valid when executed or finished */
    struct operation_answer answer;

    uint32_t failures_seen; /* see partition_provision() */
    struct update update;
    void (*finished)(struct operation *operation); /* when it was pending; under the partition's lock */
    atomic_bool done;                              /* for `finished` of local callers */
};

enum operation_outcome {
    OPERATION_EXECUTED, /* status is set */
    OPERATION_PENDING,  /* `finished` will be called */
    OPERATION_PARK      /* nothing was done: try again after progress */
};

/* Neither has a value. */
static inline bool operation_removes(uint8_t kind)
{
    return kind == OPERATION_REMOVE || kind == OPERATION_EXPIRE || kind == OPERATION_EVICT;
}

static inline uint64_t key_hash(const void *key, size_t length)
{
    return XXH3_64bits(key, length);
}

/* Carry it out as far as it goes now. The partition's lock is held, its copy is the primary. */
enum operation_outcome operation_execute(struct partition *partition, struct operation *operation);

/*
 * Carry it out in this thread, waiting for room as needed. This node is the partition's primary.
 * @return OPERATION_EXECUTED, or OPERATION_PENDING: it is on its way to the backups, and that ends by their completions or by
 * the loss of a backup, so it is waited for without a deadline.
 */
enum operation_outcome operation_begin_here(struct partition *partition, struct operation *operation,
                                            uint64_t deadline);

/* Reserve room for a large value that @p peer will write; @p timed: its update will come with a time to live. @return BELAY_OK, FABRIC_AGAIN (park), or an error. The lock is held. */
int operation_reserve(struct partition *partition, int peer, const void *key, size_t key_length,
                      size_t value_length, bool timed, uint32_t *failures_seen, uint64_t *entry_at,
                      uint64_t *value_at);
/* Remove all entries, when no key is locked; once begun it goes to its end, and whoever wants a lock lines up behind it.
 * @return as operation_reserve(), or OPERATION_LOCKED. The lock is held. */
int operation_clear(struct partition *partition, uint32_t *failures_seen);

/* Give a reservation up. The lock is held. */
void operation_abandon(struct partition *partition, uint64_t entry_at);
/* Give up what a peer that is gone had reserved. Takes the lock. */
void operation_abandon_all(struct partition *partition, int peer);

#endif
