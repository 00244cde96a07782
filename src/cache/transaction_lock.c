/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_lock.c
 * A pessimistic transaction locks keys at their primaries, and waits by asking again. While it waits it looks for deadlocks by
 * edge chasing: whoever has the lock is asked, at its coordinator, for whom it waits itself, and so on. If the chase comes back, the
 * transactions on the way wait for each other: since each keeps its locks while it waits, all these edges hold at the same time.
 * The one that began last, by its number, gives up; so exactly one of a circle does.
 */
#include "base/clock.h"
#include "base/log.h"
#include "cache/operation.h"
#include "cache/route.h"
#include "cache/transaction.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_wire.h"

#include <stdio.h>
#include <string.h>

enum {
    GRACE_MS =
        500, /* a primary answers at once whether a lock can be had; so long it may take beyond the deadline */
    PAUSE_FIRST_US = 20,
    PAUSE_MAX_US = 1000,
    ROUNDS_BEFORE_CHASE = 4, /* and from then on with every ROUNDS_PER_CHASE-th */
    ROUNDS_PER_CHASE = 8,
    CIRCLE_MAX = 16
};

const char *transaction_bytes_text(const unsigned char *key, size_t key_length, char *text)
{
    enum { SHOWN = 16 };
    size_t length = key_length < SHOWN ? key_length : SHOWN;
    bool printable = true;
    for (size_t i = 0; i < length; ++i)
        printable = printable && key[i] >= ' ' && key[i] <= '~';
    if (printable) {
        snprintf(text, 40, "\"%.*s\"%s", (int)length, (const char *)key, length < key_length ? "..." : "");
        return text;
    }
    for (size_t i = 0; i < length; ++i)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    snprintf(text + 2 * length, 4, "%s", length < key_length ? "..." : "");
    return text;
}

const char *transaction_key_text(const struct tx_key *key, char *text)
{
    return transaction_bytes_text(key->key, key->key_length, text);
}

/* ---- Deadlocks ---- */

static int handle_waits(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct coordinator_state *state = node->caches->coordinator;
    struct wire_question question;
    uint64_t waits_for = 0;
    if (length != sizeof question)
        return BELAY_ERR_PROTOCOL;
    memcpy(&question, body, sizeof question);
    spin_acquire(&state->lock);
    for (struct belay_tx *tx = state->open; tx; tx = tx->next)
        if (tx->id == question.id)
            waits_for = atomic_load(&tx->waits_for);
    spin_release(&state->lock);
    node_reply(node, peer, header->call, BELAY_OK, &waits_for, sizeof waits_for);
    return BELAY_OK;
}

void transaction_lock_register(belay_node *node)
{
    node_handle(node, MESSAGE_TX_WAITS, handle_waits);
}

static uint64_t ask_for_whom(struct belay_tx *tx, uint64_t id)
{
    struct wire_question question = {id};
    struct message_header header = {.type = MESSAGE_TX_WAITS};
    struct iovec part = {&question, sizeof question};
    struct waited_call call;
    uint64_t waits_for = 0;
    int peer = transaction_coordinator_of(id);
    if (peer < 0 || peer >= tx->node->view->nodes)
        return 0;
    waited_call_init(&call, peer, &waits_for, sizeof waits_for);
    int result = node_call_wait(tx->node, peer, header, &part, 1, &call, tx->deadline, "deadlock detection");
    return result == BELAY_OK && call.length == sizeof waits_for ? waits_for : 0;
}

static int name_deadlock(const struct tx_key *key, const uint64_t *circle, int count)
{
    char text[40], names[512] = "";
    for (int i = 0, used = 0; i < count && used < (int)sizeof names - 64; ++i)
        used += snprintf(names + used, sizeof names - (size_t)used, "%s transaction %u of node %d",
                         i ? ", which waits for" : "", (unsigned)circle[i],
                         transaction_coordinator_of(circle[i]));
    return log_quiet(BELAY_ERR_CONFLICT, "deadlock over key %s of cache %s:%s, which waits for the first",
                     transaction_key_text(key, text), key->cache->settings.name, names);
}

/* @return BELAY_OK, or CONFLICT: there is a deadlock, and this transaction has to give up. */
static int chase(struct belay_tx *tx, const struct tx_key *key, uint64_t holder)
{
    uint64_t circle[CIRCLE_MAX] = {tx->id};
    bool youngest = true;
    for (int count = 1; count < CIRCLE_MAX; ++count) {
        circle[count] = holder;
        youngest = youngest && transaction_is_younger(tx->id, holder);
        holder = ask_for_whom(tx, holder);
        if (holder == tx->id)
            return youngest ? name_deadlock(key, circle, count + 1) : BELAY_OK;
        for (int i = 1; i <= count; ++i)
            if (circle[i] == holder)
                return BELAY_OK; /* a circle without this one: others will end it */
        if (!holder)
            return BELAY_OK;
    }
    return BELAY_OK;
}

/* ---- One key ---- */

static int ask_once(struct belay_tx *tx, const struct tx_key *key, bool exclusive, uint64_t *holder)
{
    struct wire_transaction wire = {
        .id = tx->id, .partition = key->partition, .flags = exclusive ? WIRE_TX_EXCLUSIVE : 0};
    struct message_header header = {.type = MESSAGE_TX_LOCK, .cache = key->cache->number};
    struct iovec parts[2] = {part_of(&wire, sizeof wire), part_of(key->key, key->key_length)};
    struct waited_call call;
    struct wire_locked locked = {0};
    int primary = cache_primary(key->cache, key->partition);
    int result = route_check(key->cache, key->partition);
    if (result != BELAY_OK)
        return result;
    waited_call_init(&call, primary, &locked, sizeof locked);
    result = node_call_wait(tx->node, primary, header, parts, 2, &call,
                            tx->deadline + GRACE_MS * NANOSECONDS_PER_MS, "lock");
    *holder = locked.holder;
    if (locked.holder)
        transaction_id_met(tx->node, locked.holder);
    return result;
}

static void pause_for(belay_node *node, unsigned us)
{
    struct node_wait wait;
    node_wait_begin(&wait, node, clock_now() + us * 1000ull);
    while (node_wait_more(&wait))
        ;
    node_wait_end(&wait);
}

static int timed_out(const struct belay_tx *tx, const struct tx_key *key, int result, uint64_t holder)
{
    char text[40];
    if (result != OPERATION_LOCKED)
        return log_quiet(BELAY_ERR_TIMEOUT, "no primary of partition %u of cache %s answers", key->partition,
                         key->cache->settings.name);
    return log_quiet(BELAY_ERR_TIMEOUT,
                     "key %s of cache %s is locked by transaction %u of node %d for more than %u ms",
                     transaction_key_text(key, text), key->cache->settings.name, (unsigned)holder,
                     transaction_coordinator_of(holder), tx->timeout_ms);
}

static int wait_for_lock(struct belay_tx *tx, const struct tx_key *key, bool exclusive)
{
    unsigned pause = PAUSE_FIRST_US;
    uint64_t holder = 0;
    for (unsigned round = 0;; ++round) {
        int result = ask_once(tx, key, exclusive, &holder);
        if (result != OPERATION_LOCKED && !route_is_stale(result))
            return result;
        atomic_store(&tx->waits_for, result == OPERATION_LOCKED ? holder : 0);
        if (clock_now() >= tx->deadline)
            return timed_out(tx, key, result, holder);
        if (result == OPERATION_LOCKED && round % ROUNDS_PER_CHASE == ROUNDS_BEFORE_CHASE) {
            int deadlock = chase(tx, key, holder);
            if (deadlock != BELAY_OK)
                return deadlock;
        }
        pause_for(tx->node, pause);
        pause = pause < PAUSE_MAX_US ? 2 * pause : PAUSE_MAX_US;
    }
}

int transaction_lock(struct belay_tx *tx, struct tx_key *key, bool exclusive)
{
    enum key_lock wanted = exclusive ? KEY_EXCLUSIVE : KEY_SHARED;
    if (key->lock >= wanted)
        return BELAY_OK;
    tx->has_locks = true;
    int result = wait_for_lock(tx, key, exclusive);
    atomic_store(&tx->waits_for, 0);
    if (result != BELAY_OK)
        return transaction_doom(tx, result);
    key->lock = wanted;
    return BELAY_OK;
}

/* ---- All of them ---- */

static void release_at(struct belay_tx *tx, const struct tx_key *key)
{
    struct wire_transaction wire = {.id = tx->id, .partition = key->partition};
    struct message_header header = {
        .type = MESSAGE_TX_RELEASE, .cache = key->cache->number, .view = tx->node->view->number};
    struct iovec part = part_of(&wire, sizeof wire);
    int primary = cache_primary(key->cache, key->partition);
    if (primary >= 0 && view_alive(tx->node->view, primary))
        node_send(tx->node, primary, &header, &part, 1, FABRIC_QUEUE);
}

/* Was its partition told before? */
static bool is_first_of_partition(const struct belay_tx *tx, const struct tx_key *key)
{
    const struct tx_key *other = tx->first;
    while (other != key && (other->partition != key->partition || other->cache != key->cache))
        other = other->next;
    return other == key;
}

void transaction_release_locks(struct belay_tx *tx)
{
    if (!tx->has_locks)
        return;
    for (const struct tx_key *key = tx->first; key; key = key->next)
        if (is_first_of_partition(tx, key))
            release_at(tx, key);
    tx->has_locks = false;
}
