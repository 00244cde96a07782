/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction.h"

#include "api/check.h"

int belay_tx_begin(belay_node *node, belay_concurrency concurrency, belay_isolation isolation,
                   unsigned timeout_ms, belay_tx **tx)
{
    int result = check_output("belay_tx_begin", node, "node");
    if (result == BELAY_OK)
        result = check_output("belay_tx_begin", tx, "tx");
    if (result == BELAY_OK && concurrency != BELAY_PESSIMISTIC && concurrency != BELAY_OPTIMISTIC)
        result = log_quiet(BELAY_ERR_INVALID, "belay_tx_begin: concurrency is %d", (int)concurrency);
    if (result == BELAY_OK && (isolation < BELAY_READ_COMMITTED || isolation > BELAY_SERIALIZABLE))
        result = log_quiet(BELAY_ERR_INVALID, "belay_tx_begin: isolation is %d", (int)isolation);
    if (result == BELAY_OK && node_excluded(node))
        result = node_refuse(node);
    return result == BELAY_OK ? transaction_begin(node, concurrency, isolation, timeout_ms, tx) : result;
}

/* ---- One call at a time ---- */

static int enter(const char *call, belay_tx *tx)
{
    int result = check_output(call, tx, "the transaction");
    if (result == BELAY_OK && atomic_exchange(&tx->busy, true))
        return log_quiet(BELAY_ERR_INVALID, "%s: another thread is in a call of this transaction", call);
    return result;
}

static int leave(belay_tx *tx, int result)
{
    atomic_store(&tx->busy, false);
    return result;
}

static int check_active(const char *call, const belay_tx *tx)
{
    if (tx->status == BELAY_TX_ACTIVE)
        return BELAY_OK;
    if (tx->status == BELAY_TX_ROLLBACK_ONLY)
        return log_quiet(BELAY_ERR_CONFLICT, "%s: the transaction can only be rolled back", call);
    return log_quiet(BELAY_ERR_INVALID, "%s: the transaction is over", call);
}

static int check_cache(const char *call, const belay_tx *tx, const belay_cache *cache)
{
    if (cache->node != tx->node)
        return log_quiet(BELAY_ERR_INVALID, "%s: cache %s is of another node", call, cache->settings.name);
    return cache_is_transactional(cache) ? BELAY_OK
                                         : log_quiet(BELAY_ERR_INVALID, "%s: cache %s is not TRANSACTIONAL",
                                                     call, cache->settings.name);
}

static int check_use(const char *call, const belay_tx *tx, const belay_cache *cache, const void *key,
                     size_t key_length)
{
    int result = check_active(call, tx);
    if (result == BELAY_OK)
        result = check_key(call, cache, key, key_length);
    if (result == BELAY_OK)
        result = check_not_own(call, key, key_length);
    return result == BELAY_OK ? check_cache(call, tx, cache) : result;
}

/* ---- Reading ---- */

static int get(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length, void *buffer,
               size_t capacity, size_t *value_length)
{
    belay_bytes bytes = {key, key_length};
    char nothing; /* a NULL buffer would mean that the value is not wanted */
    int result = check_use("belay_tx_get", tx, cache, key, key_length);
    if (result == BELAY_OK && !buffer && capacity > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_tx_get: the buffer is NULL");
    return result == BELAY_OK
               ? transaction_get(tx, cache, &bytes, buffer ? buffer : &nothing, capacity, value_length)
               : result;
}

int belay_tx_get(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length, void *buffer,
                 size_t capacity, size_t *value_length)
{
    int result = check_output("belay_tx_get", value_length, "value_length");
    if (result == BELAY_OK)
        result = enter("belay_tx_get", tx);
    if (result != BELAY_OK)
        return result;
    return leave(tx, get(tx, cache, key, key_length, buffer, capacity, value_length));
}

int belay_tx_get_all(belay_tx *tx, belay_cache *cache, belay_get_item *items, size_t count)
{
    int result = BELAY_OK;
    if (!items && count > 0)
        return log_quiet(BELAY_ERR_INVALID, "belay_tx_get_all: items is NULL");
    int entered = enter("belay_tx_get_all", tx);
    if (entered != BELAY_OK)
        return entered;
    for (size_t i = 0; i < count; ++i) {
        belay_get_item *item = &items[i];
        item->status = get(tx, cache, item->key.data, item->key.length, item->buffer, item->capacity,
                           &item->length);
        if (result == BELAY_OK && item->status != BELAY_ERR_NOT_FOUND)
            result = item->status;
    }
    return leave(tx, result);
}

/* ---- Writing ---- */

int belay_tx_put(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length, const void *value,
                 size_t value_length)
{
    belay_bytes bytes = {key, key_length}, written = {value, value_length};
    int result = enter("belay_tx_put", tx);
    if (result != BELAY_OK)
        return result;
    result = check_use("belay_tx_put", tx, cache, key, key_length);
    if (result == BELAY_OK)
        result = check_value("belay_tx_put", value, value_length);
    if (result == BELAY_OK)
        result = transaction_write(tx, cache, RECORD_PUT, &bytes, &written);
    return leave(tx, result);
}

int belay_tx_remove(belay_tx *tx, belay_cache *cache, const void *key, size_t key_length)
{
    belay_bytes bytes = {key, key_length};
    int result = enter("belay_tx_remove", tx);
    if (result != BELAY_OK)
        return result;
    result = check_use("belay_tx_remove", tx, cache, key, key_length);
    if (result == BELAY_OK)
        result = transaction_write(tx, cache, RECORD_REMOVE, &bytes, NULL);
    return leave(tx, result);
}

/* ---- The end ---- */

static bool is_over(const belay_tx *tx)
{
    return tx->status != BELAY_TX_ACTIVE && tx->status != BELAY_TX_ROLLBACK_ONLY;
}

static int commit(belay_tx *tx)
{
    if (is_over(tx))
        return log_quiet(BELAY_ERR_INVALID, "belay_tx_commit: the transaction is over");
    if (tx->status == BELAY_TX_ACTIVE)
        return transaction_commit(tx);
    transaction_rollback(tx);
    return tx->failure != BELAY_OK
               ? tx->failure
               : log_quiet(BELAY_ERR_CONFLICT, "belay_tx_commit: the transaction was set to be rolled back");
}

int belay_tx_commit(belay_tx *tx)
{
    int result = enter("belay_tx_commit", tx);
    return result == BELAY_OK ? leave(tx, commit(tx)) : result;
}

int belay_tx_rollback(belay_tx *tx)
{
    int result = enter("belay_tx_rollback", tx);
    if (result != BELAY_OK)
        return result;
    if (is_over(tx))
        return leave(tx, log_quiet(BELAY_ERR_INVALID, "belay_tx_rollback: the transaction is over"));
    transaction_rollback(tx);
    return leave(tx, BELAY_OK);
}

int belay_tx_set_rollback_only(belay_tx *tx)
{
    int result = enter("belay_tx_set_rollback_only", tx);
    if (result != BELAY_OK)
        return result;
    if (is_over(tx))
        return leave(tx, log_quiet(BELAY_ERR_INVALID, "belay_tx_set_rollback_only: the transaction is over"));
    tx->status = BELAY_TX_ROLLBACK_ONLY;
    return leave(tx, BELAY_OK);
}

int belay_tx_state(const belay_tx *tx)
{
    int result = check_output("belay_tx_state", tx, "the transaction");
    return result == BELAY_OK ? (int)tx->status : result;
}

int belay_tx_close(belay_tx *tx)
{
    if (!tx)
        return BELAY_OK;
    int result = enter("belay_tx_close", tx);
    if (result != BELAY_OK)
        return result;
    if (!is_over(tx))
        transaction_rollback(tx);
    transaction_free(tx);
    return BELAY_OK;
}
