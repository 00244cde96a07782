/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_check.c
 * Were keys changed since a transaction read them? Asked when everything that the transaction writes is locked and marked, if
 * it writes at all. The primaries' processors take no part unless a mark says that somebody may be about to change a key.
 *
 * First the mark, then the version: if nobody is prepared to change the key, and after that the version is the old one, then at the
 * time of the first look nobody had shown anything of a transaction that changes this key. Both must be of one primary: a new one
 * may have the old version again, of what its predecessor had changed already and has left prepared here.
 */
#include "base/log.h"
#include "cache/async.h"
#include "cache/lookup.h"
#include "cache/operation.h"
#include "cache/route.h"
#include "cache/staging.h"
#include "cache/transaction.h"
#include "cache/transaction_commit.h"
#include "copy/mark.h"

#include <stdlib.h>

/* ---- Marks ---- */

/* By an RDMA READ of the word in the descriptor of the primary's copy. */
static bool fetch_mark(belay_cache *cache, uint32_t partition, int primary, uint64_t hash, uint64_t *mark)
{
    belay_node *node = cache->node;
    uint64_t block = atomic_load_explicit(&cache->blocks[primary].offset, memory_order_acquire);
    uint32_t staging = block ? staging_take(node) : ARENA_NO_SEGMENT;
    uint64_t offset = block + (uint64_t)partition * DESCRIPTOR_SIZE +
                      offsetof(struct copy_descriptor, marks) + mark_index(hash) * sizeof *mark;
    fabric_ticket ticket;
    struct node_wait wait;
    bool in_time = true;
    if (staging == ARENA_NO_SEGMENT)
        return false;
    void *memory = arena_segment(node->arena, staging);
    if (fabric_read(node->fabric, primary, offset, memory, sizeof *mark, 0, &ticket) != BELAY_OK) {
        staging_give(node, staging);
        return false;
    }
    node_wait_begin(&wait, node, node_deadline(node));
    while (!fabric_done(node->fabric, primary, ticket) && view_alive(node->view, primary) && in_time)
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    bool done = fabric_done(node->fabric, primary, ticket) && view_alive(node->view, primary);
    if (done)
        *mark = *(const uint64_t *)memory;
    if (done || !view_alive(node->view, primary))
        staging_give(node, staging);
    return done;
}

bool transaction_mark(belay_cache *cache, uint32_t partition, uint64_t hash, uint64_t *mark)
{
    int primary = cache_primary(cache, partition);
    if (route_check(cache, partition) != BELAY_OK)
        return false;
    const struct copy_descriptor *descriptor = cache_mapped_descriptor(cache, primary, partition);
    if (!descriptor)
        return cache->blocks && fetch_mark(cache, partition, primary, hash, mark);
    *mark = atomic_load_explicit(&descriptor->marks[mark_index(hash)], memory_order_acquire);
    return atomic_load_explicit(&descriptor->serving, memory_order_acquire) == COPY_SERVES;
}

/* ---- One key ---- */

enum verdict { VERDICT_SAME, VERDICT_CHANGED, VERDICT_UNKNOWN, VERDICT_FAILED };

static enum verdict check_absent(const struct tx_key *key)
{
    uint64_t mark;
    if (!transaction_mark(key->cache, key->partition, key->hash, &mark))
        return VERDICT_UNKNOWN;
    return mark_changes(mark) == key->changes ? VERDICT_SAME : VERDICT_CHANGED;
}

static enum verdict check_key(const struct tx_key *key, int *error)
{
    const struct view *view = key->cache->node->view;
    uint32_t number = view->number;
    struct read_result result;
    uint64_t mark;
    if (!transaction_mark(key->cache, key->partition, key->hash, &mark) || mark_prepared(mark) > 0)
        return VERDICT_UNKNOWN;
    int status = lookup_get(key->cache, key->key, key->key_length, NULL, 0, &result);
    if (view->number != number)
        return VERDICT_UNKNOWN;
    if (status == BELAY_ERR_NOT_FOUND)
        return key->version ? VERDICT_CHANGED : check_absent(key);
    if (status == BELAY_OK || status == BELAY_ERR_TRUNCATED)
        return result.version == key->version ? VERDICT_SAME : VERDICT_CHANGED;
    *error = status;
    return VERDICT_FAILED;
}

/* ---- All of them ---- */

static int ask_for(struct commit *commit, const struct tx_key *key)
{
    struct commit_part *part = commit_part_for(commit, key->cache, key->partition);
    struct record_action action = {.version = key->version,
                                   .changes = key->changes,
                                   .key_length = key->key_length,
                                   .kind = RECORD_READ,
                                   .check = RECORD_CHANGES};
    if (!part)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to check a transaction");
    record_add(&part->body, &action, key->key, NULL);
    part->actions++;
    return BELAY_OK;
}

static int changed(const struct tx_key *key)
{
    char text[40];
    return log_quiet(BELAY_ERR_CONFLICT, "key %s of cache %s was changed since the transaction read it",
                     transaction_key_text(key, text), key->cache->settings.name);
}

static int check_one(const struct tx_key *key, struct commit *commit)
{
    int error = BELAY_OK;
    switch (check_key(key, &error)) {
    case VERDICT_SAME: return BELAY_OK;
    case VERDICT_CHANGED: return changed(key);
    case VERDICT_UNKNOWN: return ask_for(commit, key);
    default: return error;
    }
}

int transaction_check(struct belay_tx *tx,
                      bool (*wanted)(const struct belay_tx *tx, const struct tx_key *key,
                                     const void *context),
                      const void *context)
{
    struct commit *commit = malloc(sizeof *commit);
    int result = BELAY_OK;
    if (!commit)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to check a transaction");
    commit_init(commit, tx->node, tx->id);
    atomic_thread_fence(memory_order_seq_cst); /* what was read before was read before */
    for (const struct tx_key *key = tx->first; key && result == BELAY_OK; key = key->next)
        if (wanted(tx, key, context))
            result = check_one(key, commit);
    if (result == BELAY_OK && commit->count > 0) {
        result = commit_seal(commit);
        if (result == BELAY_OK)
            result = commit_run(commit, MESSAGE_TX_CHECK, tx->deadline);
    }
    commit_free(commit);
    return result;
}
