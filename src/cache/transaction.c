/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/lookup.h"
#include "cache/operation.h"
#include "cache/transaction_coordinator.h"
#include "copy/mark.h"

#include <stdlib.h>
#include <string.h>

int transaction_begin(belay_node *node, belay_concurrency concurrency, belay_isolation isolation,
                      unsigned timeout_ms, struct belay_tx **out)
{
    struct coordinator_state *state = node->caches->coordinator;
    struct belay_tx *tx = calloc(1, sizeof *tx);
    if (!tx)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a transaction");
    tx->node = node;
    tx->id = transaction_id_new(node);
    tx->concurrency = concurrency;
    tx->isolation = isolation;
    tx->timeout_ms = timeout_ms ? timeout_ms : node->settings.operation_timeout_ms;
    tx->deadline = clock_deadline(tx->timeout_ms);
    tx->view = node->view->number;
    tx->status = BELAY_TX_ACTIVE;
    tx->last = &tx->first;
    spin_acquire(&state->lock);
    tx->next = state->open;
    state->open = tx;
    spin_release(&state->lock);
    *out = tx;
    return BELAY_OK;
}

static void free_keys(struct belay_tx *tx)
{
    for (struct tx_key *key = tx->first, *next; key; key = next) {
        next = key->next;
        free(key->value);
        free(key->written);
        free(key);
    }
}

void transaction_free(struct belay_tx *tx)
{
    struct coordinator_state *state = tx->node->caches->coordinator;
    spin_acquire(&state->lock);
    struct belay_tx **at = &state->open;
    while (*at != tx)
        at = &(*at)->next;
    *at = tx->next;
    spin_release(&state->lock);
    free_keys(tx);
    free(tx);
}

int transaction_doom(struct belay_tx *tx, int result)
{
    tx->status = BELAY_TX_ROLLBACK_ONLY;
    tx->failure = result;
    return result;
}

/* ---- Keys ---- */

static struct tx_key *find_key(const struct belay_tx *tx, const belay_cache *cache, const belay_bytes *key,
                               uint64_t hash)
{
    struct tx_key *found = tx->buckets[hash % TX_BUCKETS];
    while (found && (found->hash != hash || found->cache != cache || found->key_length != key->length ||
                     memcmp(found->key, key->data, key->length) != 0))
        found = found->chain;
    return found;
}

/* Errors: TOO_LARGE (too many keys), NO_MEMORY. */
static int provide_key(struct belay_tx *tx, belay_cache *cache, const belay_bytes *bytes, struct tx_key **out)
{
    uint64_t hash = key_hash(bytes->data, bytes->length);
    if ((*out = find_key(tx, cache, bytes, hash)))
        return BELAY_OK;
    if (tx->keys == BELAY_TX_KEYS_MAX)
        return log_quiet(BELAY_ERR_TOO_LARGE, "a transaction of more than %u keys", BELAY_TX_KEYS_MAX);
    struct tx_key *key = calloc(1, sizeof *key + bytes->length);
    if (!key)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a key of a transaction");
    key->cache = cache;
    key->hash = hash;
    key->partition = hash_partition(hash, cache->partition_count);
    key->write = RECORD_READ;
    key->key_length = (uint16_t)bytes->length;
    memcpy(key->key, bytes->data, bytes->length);
    key->chain = tx->buckets[hash % TX_BUCKETS];
    tx->buckets[hash % TX_BUCKETS] = key;
    *tx->last = key;
    tx->last = &key->next;
    tx->keys++;
    *out = key;
    return BELAY_OK;
}

/* ---- Reading ---- */

static int give(const void *value, size_t length, void *buffer, size_t capacity, size_t *value_length)
{
    *value_length = length;
    if (length > capacity)
        return BELAY_ERR_TRUNCATED;
    if (length)
        memcpy(buffer, value, length);
    return BELAY_OK;
}

/* An absent key has no version to be compared later: the mark of before a read that finds it absent takes its place. */
static int look_up(struct tx_key *key, void *memory, size_t room, struct read_result *result)
{
    uint64_t mark = 0;
    int status = lookup_get(key->cache, key->key, key->key_length, memory, room, result);
    if (status != BELAY_ERR_NOT_FOUND)
        return status;
    transaction_mark(key->cache, key->partition, key->hash, &mark);
    status = lookup_get(key->cache, key->key, key->key_length, memory, room, result);
    if (status == BELAY_ERR_NOT_FOUND)
        key->changes = mark_changes(mark);
    return status;
}

/*
 * Read into memory of its own, for the caller's buffer must stay as it is unless the key is there: a value that is removed
 * while it is being copied has left its bytes when the next attempt finds nothing. *value is set with BELAY_OK: malloc().
 */
static int read_apart(struct tx_key *key, size_t capacity, unsigned char **value, struct read_result *result)
{
    enum { ROOM_FIRST = 1024 };
    size_t room = capacity < ROOM_FIRST ? capacity : ROOM_FIRST;
    for (;;) {
        unsigned char *memory = malloc(room ? room : 1);
        if (!memory)
            return log_error(BELAY_ERR_NO_MEMORY, "no memory for a value that a transaction reads");
        int status = look_up(key, memory, room, result);
        if (status == BELAY_OK) {
            *value = memory;
            return status;
        }
        free(memory);
        if (status != BELAY_ERR_TRUNCATED || result->value_length > capacity)
            return status;
        room = result->value_length;
    }
}

static int note_version(struct belay_tx *tx, struct tx_key *key, uint64_t version)
{
    char text[40];
    if (key->was_read && key->version != version)
        return transaction_doom(tx, log_quiet(BELAY_ERR_CONFLICT,
                                              "key %s was changed since the transaction read it",
                                              transaction_key_text(key, text)));
    key->was_read = true;
    key->version = version;
    return BELAY_OK;
}

/* Read, and remember what: it will be the same when read again. */
static int read_and_remember(struct belay_tx *tx, struct tx_key *key, void *buffer, size_t capacity,
                             size_t *value_length)
{
    struct read_result result;
    unsigned char *value = NULL;
    int status = read_apart(key, capacity, &value, &result);
    if (status != BELAY_OK && status != BELAY_ERR_NOT_FOUND && status != BELAY_ERR_TRUNCATED)
        return status;
    int noted = note_version(tx, key, status == BELAY_ERR_NOT_FOUND ? 0 : result.version);
    if (noted != BELAY_OK) {
        free(value);
        return noted;
    }
    if (status == BELAY_ERR_TRUNCATED) {
        *value_length = result.value_length;
        return status;
    }
    key->kept = true;
    key->value = value;
    key->value_length = value ? result.value_length : 0;
    return value ? give(value, key->value_length, buffer, capacity, value_length) : status;
}

static int read_committed(struct tx_key *key, void *buffer, size_t capacity, size_t *value_length)
{
    struct read_result result;
    unsigned char *value;
    int status = read_apart(key, capacity, &value, &result);
    if (status == BELAY_ERR_TRUNCATED)
        *value_length = result.value_length;
    if (status != BELAY_OK)
        return status;
    status = give(value, result.value_length, buffer, capacity, value_length);
    free(value);
    return status;
}

int transaction_get(struct belay_tx *tx, belay_cache *cache, const belay_bytes *bytes, void *buffer,
                    size_t capacity, size_t *value_length)
{
    struct tx_key *key;
    int result = provide_key(tx, cache, bytes, &key);
    if (result != BELAY_OK)
        return result;
    if (key->write == RECORD_REMOVE)
        return BELAY_ERR_NOT_FOUND;
    if (key->write == RECORD_PUT)
        return give(key->written, key->written_length, buffer, capacity, value_length);
    if (tx->isolation == BELAY_READ_COMMITTED)
        return read_committed(key, buffer, capacity, value_length);
    if (key->kept)
        return key->version ? give(key->value, key->value_length, buffer, capacity, value_length)
                            : BELAY_ERR_NOT_FOUND;
    if (tx->concurrency == BELAY_PESSIMISTIC)
        result = transaction_lock(tx, key, false);
    return result == BELAY_OK ? read_and_remember(tx, key, buffer, capacity, value_length) : result;
}

/* ---- Writing ---- */

int transaction_write(struct belay_tx *tx, belay_cache *cache, enum record_kind kind,
                      const belay_bytes *bytes, const belay_bytes *value)
{
    struct tx_key *key;
    int result = provide_key(tx, cache, bytes, &key);
    if (result != BELAY_OK)
        return result;
    size_t length = kind == RECORD_PUT ? value->length : 0;
    size_t more = length + (key->write == RECORD_READ ? bytes->length : 0);
    if (more > BELAY_TX_BYTES_MAX || tx->bytes - key->written_length > BELAY_TX_BYTES_MAX - more)
        return log_quiet(BELAY_ERR_TOO_LARGE, "a transaction writes more than %u bytes", BELAY_TX_BYTES_MAX);
    unsigned char *written = malloc(length ? length : 1);
    if (!written)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a value of a transaction");
    if (tx->concurrency == BELAY_PESSIMISTIC)
        result = transaction_lock(tx, key, true);
    if (result != BELAY_OK) {
        free(written);
        return result;
    }
    if (length)
        memcpy(written, value->data, length);
    tx->bytes += more - key->written_length;
    free(key->written);
    key->written = written;
    key->written_length = length;
    key->write = (uint8_t)kind;
    return BELAY_OK;
}
