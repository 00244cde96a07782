/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_end.c
 * The end of a transaction: what it read is checked and what it writes is locked, all or nothing, then it is decided.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cache/operation.h"
#include "cache/route.h"
#include "cache/transaction.h"
#include "cache/transaction_commit.h"
#include "cache/transaction_coordinator.h"

#include <stdlib.h>

/* ---- What has to be checked ---- */

/* Do its locks say that nothing of what it read can have changed? Those of a primary are gone when another one takes its place, not
 * before this node has cut it off. */
static bool is_locked_throughout(const struct belay_tx *tx)
{
    if (tx->concurrency != BELAY_PESSIMISTIC || tx->view != tx->node->view->number)
        return false;
    for (const struct tx_key *key = tx->first; key; key = key->next)
        if (!view_alive(tx->node->view, cache_primary(key->cache, key->partition)))
            return false;
    return true;
}

static bool is_promised(const struct belay_tx *tx, const struct tx_key *key)
{
    if (!key->was_read)
        return false;
    return tx->isolation == BELAY_SERIALIZABLE || tx->concurrency == BELAY_PESSIMISTIC ||
           key->write != RECORD_READ;
}

/* Read from a partition that takes no part in the commit: to be checked one-sided. */
static bool is_outside(const struct belay_tx *tx, const struct tx_key *key, const void *context)
{
    return is_promised(tx, key) && !commit_part_find(context, key->cache, key->partition);
}

static bool any_outside(const struct belay_tx *tx, const struct commit *commit)
{
    for (const struct tx_key *key = tx->first; key; key = key->next)
        if (is_outside(tx, key, commit))
            return true;
    return false;
}

/* When all that it writes is locked. */
static int check_outside(struct belay_tx *tx, const struct commit *commit)
{
    return is_locked_throughout(tx) ? BELAY_OK : transaction_check(tx, is_outside, commit);
}

/* ---- What the participants are told ---- */

static void add_action(const struct belay_tx *tx, struct commit_part *part, const struct tx_key *key,
                       enum record_check check)
{
    struct record_action action = {.version = key->version,
                                   .value_length = (uint32_t)key->written_length,
                                   .changes = key->changes,
                                   .key_length = key->key_length,
                                   .kind = key->write,
                                   .check = (uint8_t)(is_promised(tx, key) ? check : RECORD_UNCHECKED)};
    record_add(&part->body, &action, key->key, key->written);
    part->actions++;
}

static int make_commit(struct belay_tx *tx, struct commit *commit)
{
    enum record_check check = is_locked_throughout(tx) ? RECORD_VERSION : RECORD_CHANGES;
    for (struct tx_key *key = tx->first; key; key = key->next)
        if (key->write != RECORD_READ && !commit_part_for(commit, key->cache, key->partition))
            return log_error(BELAY_ERR_NO_MEMORY, "no memory to commit a transaction");
    for (struct tx_key *key = tx->first; key; key = key->next) {
        struct commit_part *part = commit_part_find(commit, key->cache, key->partition);
        if (part && (key->write != RECORD_READ || is_promised(tx, key)))
            add_action(tx, part, key, check);
    }
    commit->alone = commit->count == 1 && !any_outside(tx, commit);
    return BELAY_OK;
}

/* ---- Several participants ---- */

static void list(struct commit *commit)
{
    struct coordinator_state *state = commit->node->caches->coordinator;
    spin_acquire(&state->lock);
    commit->next = state->running;
    state->running = commit;
    spin_release(&state->lock);
}

static void unlist(struct commit *commit)
{
    struct coordinator_state *state = commit->node->caches->coordinator;
    spin_acquire(&state->lock);
    struct commit **at = &state->running;
    while (*at != commit)
        at = &(*at)->next;
    *at = commit->next;
    spin_release(&state->lock);
}

/* The failure that says most: a definite one before a lock that was in the way. */
static int worst(const struct commit *commit, const struct commit_part **locked)
{
    int result = BELAY_OK;
    for (uint32_t i = 0; i < commit->count; ++i) {
        const struct commit_part *part = &commit->parts[i];
        if (part->status == OPERATION_LOCKED)
            *locked = part;
        if (part->status != BELAY_OK && (result == BELAY_OK || result == OPERATION_LOCKED))
            result = part->status;
    }
    return result;
}

static int conflict(const struct commit_part *part)
{
    char text[40];
    uint64_t holder = part->locked.holder;
    if (holder == 0)
        return log_quiet(BELAY_ERR_CONFLICT, "key %s of cache %s is about to be changed",
                         commit_key_text(part, text), part->cache->settings.name);
    return log_quiet(BELAY_ERR_CONFLICT, "key %s of cache %s is locked by transaction %u of node %d",
                     commit_key_text(part, text), part->cache->settings.name, (unsigned)holder,
                     transaction_coordinator_of(holder));
}

static int timed_out(const struct belay_tx *tx, const struct commit_part *part)
{
    char text[40];
    uint64_t holder = part->locked.holder;
    return log_quiet(BELAY_ERR_TIMEOUT,
                     "key %s of cache %s is locked by transaction %u of node %d for more than %u ms",
                     commit_key_text(part, text), part->cache->settings.name, (unsigned)holder,
                     transaction_coordinator_of(holder), tx->timeout_ms);
}

/* Prepare everywhere, or nowhere. @return BELAY_OK, OPERATION_LOCKED (may be tried again), or a failure. */
static int prepare(struct belay_tx *tx, struct commit *commit, const struct commit_part **locked)
{
    FAULT_POINT("tx-before-prepare");
    /* Alone, this is the decision already: whoever has been asked will answer, or die. */
    int result = commit_run(commit, MESSAGE_TX_PREPARE, commit->alone ? 0 : tx->deadline);
    if (result != BELAY_OK)
        result = worst(commit, locked);
    FAULT_POINT("tx-all-prepared");
    if (result == BELAY_OK && !commit->alone)
        result = check_outside(tx, commit);
    if (result != BELAY_OK && !commit->alone) {
        FAULT_POINT("tx-before-abort");
        commit_run(commit, MESSAGE_TX_ABORT, 0);
    }
    return result;
}

/* Does it suffice to wait for a lock that is in the way, and try again? Not if its owner is likely to change what was read. */
static bool waits_for_locks(const struct belay_tx *tx)
{
    return tx->isolation != BELAY_SERIALIZABLE || tx->concurrency == BELAY_PESSIMISTIC;
}

static void pause_for(belay_node *node, uint64_t us)
{
    struct node_wait wait;
    node_wait_begin(&wait, node, clock_now() + us * 1000);
    while (node_wait_more(&wait))
        ;
    node_wait_end(&wait);
}

static int prepare_patiently(struct belay_tx *tx, struct commit *commit)
{
    enum { PAUSE_US = 50, PAUSES_MAX = 16 };
    const struct commit_part *locked = NULL; /* NULL: no lock has been in the way so far */
    uint64_t random = tx->id * 0x9e3779b97f4a7c15ull;
    for (unsigned pauses = 1;; pauses = pauses < PAUSES_MAX ? 2 * pauses : PAUSES_MAX) {
        int result = prepare(tx, commit, &locked);
        if (result == BELAY_ERR_TIMEOUT && locked)
            return timed_out(tx, locked);
        if (result != OPERATION_LOCKED)
            return result;
        if (!waits_for_locks(tx))
            return conflict(locked);
        if (clock_now() >= tx->deadline)
            return timed_out(tx, locked);
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        pause_for(tx->node, PAUSE_US * (1 + (random >> 33) % pauses));
    }
}

/* A lane is there soon: more threads than lanes would have to commit at once. */
static int take_lane(struct belay_tx *tx, struct commit *commit)
{
    struct node_wait wait;
    bool in_time = true;
    bool taken = transaction_lane_take(tx->node, &commit->lane, &commit->sequence);
    if (taken)
        return BELAY_OK;
    node_wait_begin(&wait, tx->node, tx->deadline);
    while (!(taken = transaction_lane_take(tx->node, &commit->lane, &commit->sequence)) && in_time)
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    return taken ? BELAY_OK
                 : log_quiet(BELAY_ERR_TIMEOUT, "%d transactions of this node are being committed already",
                             LANES);
}

static int commit_writes(struct belay_tx *tx, struct commit *commit)
{
    int result = take_lane(tx, commit);
    if (result != BELAY_OK) {
        commit_free(commit);
        return result;
    }
    uint16_t lane = commit->lane;
    result = commit_seal(commit);
    list(commit);
    if (result == BELAY_OK)
        result = prepare_patiently(tx, commit);
    if (result == BELAY_OK && !commit->alone)
        return commit_decide(commit); /* which gives commit and lane back */
    unlist(commit);
    transaction_lane_give(tx->node, lane);
    commit_free(commit);
    return result;
}

/* ---- The end ---- */

int transaction_commit(struct belay_tx *tx)
{
    struct commit *commit = malloc(sizeof *commit);
    if (!commit)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to commit a transaction");
    commit_init(commit, tx->node, tx->id);
    int result = make_commit(tx, commit);
    if (result == BELAY_OK && commit->count > 0) {
        result = commit_writes(tx, commit);
    } else {
        if (result == BELAY_OK)
            result = check_outside(tx, commit);
        commit_free(commit);
    }
    if (route_is_stale(result) && node_excluded(tx->node))
        result = node_refuse(tx->node); /* nobody here knows what became of it */
    tx->status = result == BELAY_OK ? BELAY_TX_COMMITTED : BELAY_TX_ROLLED_BACK;
    if (result == BELAY_ERR_EXCLUDED)
        tx->status = BELAY_TX_UNKNOWN;
    tx->failure = result;
    transaction_release_locks(tx);
    return result;
}

void transaction_rollback(struct belay_tx *tx)
{
    tx->status = BELAY_TX_ROLLED_BACK;
    transaction_release_locks(tx);
}
