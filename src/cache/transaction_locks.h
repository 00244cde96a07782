/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_locks.h
 * What transactions have at one partition, at its primary: the keys they have locked. A key that is not there can be locked as
 * well. Nobody waits here: who cannot have a lock is told who has it, and asks again.
 *
 * So that the one who has waited longest gets it at last, its wish is remembered until it asks again, and a younger one that has
 * nothing of the key yet is told to wait for it. One that gives up because of a deadlock, and begins anew at once, would otherwise
 * have the lock again before anybody asks.
 *
 * Threads: the partition's lock is held.
 */
#ifndef BELAY_TRANSACTION_LOCKS_H
#define BELAY_TRANSACTION_LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct participant;

/* One key locked by one transaction. */
struct hold {
    struct hold *next;    /* in its bucket */
    struct hold *sibling; /* of the same owner */
    struct participant *owner;
    uint64_t hash;
    bool exclusive;
    bool marked; /* readers have been told that it is about to change */
    uint16_t key_length;
    unsigned char key[];
};

enum { LOCK_BUCKETS = 64, WISHES = 16 };

/* Who wants a key of this hash most. */
struct wish {
    uint64_t hash, id; /* of the transaction; 0: nobody */
    uint64_t until;    /* it asks again before, or is not there any more; clock_now() */
};

/* Of one partition. */
struct transactions {
    struct participant *first;
    struct hold **buckets; /* NULL until something is locked */
    unsigned holds;
    struct wish wishes[WISHES]; /* by hash */
    uint32_t dice;              /* see locks_take() */
    unsigned records;           /* entries of transactions in the copy's index, which users do not see */
};

struct transactions *transactions_create(void);
void transactions_destroy(struct transactions *transactions);

/* Who has locked the key, other than @p self? A shared lock counts too. @return the transaction, 0: nobody. */
uint64_t locks_owner(const struct transactions *transactions, uint64_t hash, const void *key,
                     size_t key_length, uint64_t self);

/* Entries of the copy but for those of transactions. */
struct partition;
uint64_t transactions_visible(const struct partition *partition);

bool locks_any(const struct transactions *transactions);

struct lock_key {
    uint64_t hash;
    const void *data;
    size_t length;
    bool exclusive;
};

/* Lock a key for a participant, or raise its lock. @p holder: who prevents it, any of them. @return BELAY_OK, OPERATION_LOCKED, NO_MEMORY. */
int locks_take(struct transactions *transactions, struct participant *owner, const struct lock_key *key,
               uint64_t *holder);

/* The same for a transaction that asks again and again, and lets older ones go first. */
int locks_ask(struct transactions *transactions, struct participant *owner, const struct lock_key *key,
              uint64_t *holder);
/* It asks no more. */
void locks_forget(struct transactions *transactions, uint64_t id);

/* Is the key about to be changed by another transaction than @p self? */
bool locks_changing(const struct transactions *transactions, const struct lock_key *key, uint64_t self);

/* All that the owner has. Keys that were marked are settled. */
void locks_release(struct transactions *transactions, struct participant *owner);

#endif
