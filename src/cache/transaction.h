/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction.h
 * A transaction as its caller has it: what it has read and what it will write, by key. Nothing of it is anywhere else until it
 * commits, but for the locks of a pessimistic one.
 *
 * Threads: one at a time; the entry points see to that.
 */
#ifndef BELAY_TRANSACTION_H
#define BELAY_TRANSACTION_H

#include "cache/cache.h"
#include "cache/transaction_record.h"

enum key_lock { KEY_UNLOCKED, KEY_SHARED, KEY_EXCLUSIVE };

/* A key that the transaction has read, or will write. */
struct tx_key {
    struct tx_key *next;  /* in order of first use */
    struct tx_key *chain; /* in its bucket */
    belay_cache *cache;
    uint64_t hash;
    uint32_t partition;

    bool was_read;    /* `version` counts */
    bool kept;        /* and so does `value` */
    uint64_t version; /* 0: it was absent */
    uint32_t changes; /* mark_changes() before it was found absent */
    unsigned char *value;
    size_t value_length;

    uint8_t write; /* enum record_kind; RECORD_READ: it is not written */
    unsigned char *written;
    size_t written_length;

    enum key_lock lock;
    uint16_t key_length;
    unsigned char key[];
};

enum { TX_BUCKETS = 64 };

struct belay_tx {
    struct belay_tx *next; /* in coordinator_state.open */
    belay_node *node;
    uint64_t id;
    belay_concurrency concurrency;
    belay_isolation isolation;
    unsigned timeout_ms;
    uint64_t deadline; /* clock_now() */
    uint32_t view;     /* in which it began: locks of partitions with another primary since are gone */
    atomic_bool busy;  /* a thread is in one of its calls */
    belay_tx_status status;
    int failure; /* why it can only be rolled back */
    bool has_locks;
    _Atomic uint64_t waits_for; /* transaction that has a lock which this one wants; 0: it does not wait */

    struct tx_key *first, **last;
    struct tx_key *buckets[TX_BUCKETS];
    uint32_t keys;
    size_t bytes; /* of keys and values to be written */
};

int transaction_begin(belay_node *node, belay_concurrency concurrency, belay_isolation isolation,
                      unsigned timeout_ms, struct belay_tx **out);
/* Give everything back. It is over. */
void transaction_free(struct belay_tx *tx);

int transaction_get(struct belay_tx *tx, belay_cache *cache, const belay_bytes *bytes, void *buffer,
                    size_t capacity, size_t *value_length);
/* @p kind: RECORD_PUT or RECORD_REMOVE */
int transaction_write(struct belay_tx *tx, belay_cache *cache, enum record_kind kind,
                      const belay_bytes *bytes, const belay_bytes *value);

/* What can happen to it now is to be rolled back. @return @p result */
int transaction_doom(struct belay_tx *tx, int result);

/* ---- transaction_end.c ---- */

/* @return BELAY_OK: committed; any other result: rolled back, or (EXCLUDED) unknown. */
int transaction_commit(struct belay_tx *tx);
void transaction_rollback(struct belay_tx *tx);

/* ---- transaction_lock.c ---- */

/* Lock a key at its primary, waiting until the transaction's deadline. Errors: TIMEOUT (names key and holder), CONFLICT (a deadlock,
 * named). */
int transaction_lock(struct belay_tx *tx, struct tx_key *key, bool exclusive);
void transaction_release_locks(struct belay_tx *tx);
void transaction_lock_register(belay_node *node);

/* The text of a key for messages: printable, or as hexadecimal digits; cut off. @p text has 40 bytes. */
const char *transaction_bytes_text(const unsigned char *key, size_t key_length, char *text);
const char *transaction_key_text(const struct tx_key *key, char *text);

/* ---- transaction_check.c ---- */

/* The mark of a key, one-sided. @return false: it cannot be had; ask the primary. */
bool transaction_mark(belay_cache *cache, uint32_t partition, uint64_t hash, uint64_t *mark);

/* Are the keys for which @p wanted says so as they were read? One-sided; where that does not tell, their primaries are asked.
 * @return BELAY_OK, CONFLICT, or an error. */
int transaction_check(struct belay_tx *tx,
                      bool (*wanted)(const struct belay_tx *tx, const struct tx_key *key,
                                     const void *context),
                      const void *context);

#endif
