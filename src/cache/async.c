/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/async.h"

#include "base/log.h"
#include "cache/operation.h"
#include "cache/transaction_coordinator.h"
#include "mirror/mirror.h"

#include <stdlib.h>
#include <string.h>

enum {
    FILTER_SIZE = 1024 /* classes of keys */
};

struct filter {
    _Atomic uint32_t last[FILTER_SIZE];
};

/* What this node sent to one primary. The filter keeps, per class of keys, the number of the last update sent. */
struct sent {
    _Alignas(64) spin_lock lock; /* numbers go out in order */
    _Atomic uint32_t issued, applied;
    atomic_bool dirty;             /* something was written there since the last flush */
    atomic_bool at_risk;           /* of it, something that does not wait for all copies */
    atomic_uint flushes;           /* under way: they have taken `dirty`, but others cannot count on it yet */
    struct filter *_Atomic filter; /* made with the first update */
};

/* What one peer sent to this node. */
struct received {
    uint32_t last, acknowledged;
    uint32_t parked; /* updates that wait: nothing later may be acknowledged */
    bool due;        /* in the list of those to acknowledge */
    int next_due;
};

/* A peer's flush: first its parked updates, then the fences of all backups. */
struct flush {
    struct flush *next;
    int peer;
    uint32_t call;
    bool fenced;
    fabric_ticket fences[]; /* by node */
};

struct async_state {
    struct sent *sent;
    struct received *received;
    int first_due; /* -1: none */
    struct flush *flushes;
    atomic_int failure; /* first since the last flush */
    atomic_uint_fast64_t failures;
};

/* ---- At the sender ---- */

static struct filter *filter_of(struct sent *sent)
{
    struct filter *filter = atomic_load_explicit(&sent->filter, memory_order_acquire);
    if (!filter && (filter = calloc(1, sizeof *filter)))
        atomic_store_explicit(&sent->filter, filter, memory_order_release);
    return filter;
}

int async_send(belay_node *node, int primary, const struct message_header *header, struct wire_update *wire,
               uint64_t hash, const void *key, const void *value, size_t value_length)
{
    struct sent *sent = &node->async->sent[primary];
    spin_acquire(&sent->lock);
    struct filter *filter = filter_of(sent);
    if (!filter) {
        spin_release(&sent->lock);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to track asynchronous writes");
    }
    uint32_t number = atomic_load_explicit(&sent->issued, memory_order_relaxed) + 1;
    wire->async_number = number;
    struct iovec parts[3] = {{wire, wire_update_size(header->flags)},
                             part_of(key, wire->key_length),
                             part_of(value, value_length)};
    int result = node_send(node, primary, header, parts, value_length ? 3 : 2, 0);
    if (result == BELAY_OK) {
        atomic_store_explicit(&filter->last[hash % FILTER_SIZE], number, memory_order_relaxed);
        atomic_store_explicit(&sent->issued, number, memory_order_release);
        async_mark_dirty(node, primary);
        async_mark_at_risk(node, primary);
    }
    spin_release(&sent->lock);
    return result;
}

bool async_unsettled(const belay_node *node, int primary, uint64_t hash)
{
    const struct sent *sent = &node->async->sent[primary];
    uint32_t applied = atomic_load_explicit(&sent->applied, memory_order_acquire);
    if (atomic_load_explicit(&sent->issued, memory_order_relaxed) == applied)
        return false;
    struct filter *filter = atomic_load_explicit(&sent->filter, memory_order_acquire);
    uint32_t number = atomic_load_explicit(&filter->last[hash % FILTER_SIZE], memory_order_relaxed);
    return (int32_t)(number - applied) > 0;
}

static void set(atomic_bool *flag)
{
    if (!atomic_load_explicit(flag, memory_order_relaxed))
        atomic_store_explicit(flag, true, memory_order_relaxed);
}

void async_mark_dirty(belay_node *node, int primary)
{
    set(&node->async->sent[primary].dirty);
}

void async_mark_at_risk(belay_node *node, int primary)
{
    set(&node->async->sent[primary].at_risk);
}

void async_note_failure(belay_node *node, int status, uint32_t partition)
{
    int none = BELAY_OK;
    atomic_compare_exchange_strong(&node->async->failure, &none, status);
    uint64_t count = atomic_fetch_add(&node->async->failures, 1) + 1;
    if ((count & (count - 1)) == 0) /* the 1st, 2nd, 4th, 8th, ... */
        log_warn("asynchronous write to partition %u failed: %s (failure number %llu)", partition,
                 belay_strerror(status), (unsigned long long)count);
}

static int handle_done(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct wire_async wire;
    (void)header;
    if (length != sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    struct sent *sent = &node->async->sent[peer];
    if ((int32_t)(atomic_load_explicit(&sent->issued, memory_order_acquire) + 1 - wire.async_number) < 0)
        return BELAY_ERR_PROTOCOL;
    atomic_store_explicit(&sent->applied, wire.async_number, memory_order_release);
    return BELAY_OK;
}

static int handle_failed(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct wire_async wire;
    (void)peer;
    if (length != sizeof wire || header->status >= 0)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    async_note_failure(node, header->status, wire.partition);
    return BELAY_OK;
}

/* ---- At the primary ---- */

static void make_due(belay_node *node, int peer)
{
    struct received *received = &node->async->received[peer];
    if (received->due)
        return;
    received->due = true;
    received->next_due = node->async->first_due;
    node->async->first_due = peer;
    node_attend(node);
}

void async_received(belay_node *node, int peer, uint32_t async_number)
{
    node->async->received[peer].last = async_number;
    make_due(node, peer);
}

void async_parked(belay_node *node, int peer, bool is_async)
{
    node->async->received[peer].parked += is_async;
}

void async_applied(belay_node *node, int peer, uint32_t async_number, int status, uint32_t partition,
                   bool was_parked)
{
    struct received *received = &node->async->received[peer];
    received->parked -= was_parked;
    if (was_parked)
        make_due(node, peer);
    if (status == BELAY_OK || status == BELAY_ERR_NOT_FOUND) /* removing what is not there is no failure */
        return;
    if (status > 0) /* this node has no such cache, or does not hold the key */
        status = BELAY_ERR_NODE_FAILED;
    struct message_header header = {
        .type = MESSAGE_ASYNC_FAILED, .status = status, .view = node->view->number};
    struct wire_async wire = {.async_number = async_number, .partition = partition};
    struct iovec part = {&wire, sizeof wire};
    node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
}

static void acknowledge(belay_node *node, int peer)
{
    struct received *received = &node->async->received[peer];
    struct message_header header = {.type = MESSAGE_ASYNC_DONE, .view = node->view->number};
    struct wire_async wire = {.async_number = received->last};
    struct iovec part = {&wire, sizeof wire};
    node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
    received->acknowledged = received->last;
}

static int acknowledge_due(belay_node *node)
{
    struct async_state *async = node->async;
    int acknowledged = 0;
    int peer = async->first_due;
    async->first_due = -1;
    while (peer >= 0) {
        struct received *received = &async->received[peer];
        int next = received->next_due;
        received->due = false;
        if (received->parked == 0 && received->acknowledged != received->last) {
            acknowledge(node, peer);
            ++acknowledged;
        }
        peer = next;
    }
    return acknowledged;
}

/* ---- Flush ---- */

static bool fences_done(const belay_node *node, const struct flush *flush)
{
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (flush->fences[peer] && view_alive(node->view, peer) &&
            !fabric_done(node->fabric, peer, flush->fences[peer]))
            return false;
    return true;
}

static void fence_all(belay_node *node, struct flush *flush)
{
    flush->fenced = true;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (peer != node->id && view_alive(node->view, peer) &&
            fabric_fence(node->fabric, peer, &flush->fences[peer]) != BELAY_OK)
            flush->fences[peer] = 0;
}

static bool flush_finished(belay_node *node, struct flush *flush)
{
    if (!flush->fenced && node->async->received[flush->peer].parked == 0)
        fence_all(node, flush);
    return flush->fenced && fences_done(node, flush);
}

static int answer_flushes(belay_node *node)
{
    int answered = 0;
    for (struct flush **at = &node->async->flushes; *at;) {
        struct flush *flush = *at;
        if (!flush_finished(node, flush)) {
            at = &flush->next;
            continue;
        }
        node_reply(node, flush->peer, flush->call, BELAY_OK, NULL, 0);
        *at = flush->next;
        free(flush);
        ++answered;
    }
    return answered;
}

static int handle_flush(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    (void)body;
    if (length != 0)
        return BELAY_ERR_PROTOCOL;
    struct flush *flush = calloc(1, sizeof *flush + (size_t)node->view->nodes * sizeof flush->fences[0]);
    if (!flush) {
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
        return BELAY_OK;
    }
    flush->peer = peer;
    flush->call = header->call;
    flush->next = node->async->flushes;
    node->async->flushes = flush;
    node_attend(node);
    return BELAY_OK;
}

static int progress(belay_node *node, bool *busy)
{
    int done = 0;
    if (node->async->first_due >= 0)
        done += acknowledge_due(node);
    if (node->async->flushes) {
        done += answer_flushes(node);
        *busy = *busy || node->async->flushes;
    }
    return done;
}

/* What was written with FULL_SYNC is safe when its primary dies. The rest is told by the next belay_flush(), whoever found out. */
static void note_flushed(belay_node *node, int *result, int flushed, bool at_risk)
{
    if (flushed == BELAY_ERR_NODE_FAILED && at_risk)
        async_note_failure(node, flushed, 0);
    else if (*result == BELAY_OK && flushed != BELAY_ERR_NODE_FAILED)
        *result = flushed;
}

/* @return whether there may be something at the primary that is not on all copies: written since, or by a flush that is not done. */
static bool flush_is_due(struct sent *sent, bool *at_risk)
{
    atomic_fetch_add(&sent->flushes, 1);
    bool dirty = atomic_exchange(&sent->dirty,
                                 false); /* before the look at others, who count themselves first */
    if (!dirty && atomic_load(&sent->flushes) == 1) {
        atomic_fetch_sub(&sent->flushes, 1);
        return false;
    }
    *at_risk = atomic_exchange(&sent->at_risk, false);
    return true;
}

/* What was not flushed is left to the next one. */
static void flush_is_over(struct sent *sent, int result, bool at_risk)
{
    if (result != BELAY_OK && result != BELAY_ERR_NODE_FAILED) {
        if (at_risk)
            atomic_store(&sent->at_risk, true);
        atomic_store(&sent->dirty, true);
    }
    atomic_fetch_sub(&sent->flushes, 1);
}

static int flush_primaries(belay_node *node, uint64_t deadline)
{
    int result = BELAY_OK;
    struct waited_call *calls = calloc((size_t)node->view->nodes, sizeof *calls);
    bool *at_risk = calloc((size_t)node->view->nodes, sizeof *at_risk);
    if (!calls || !at_risk) {
        free(calls);
        free(at_risk);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to flush %d nodes", node->view->nodes);
    }
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (peer == node->id || !flush_is_due(&node->async->sent[peer], &at_risk[peer]))
            continue;
        waited_call_init(&calls[peer], peer, NULL, 0);
        int begun = node_call(node, peer, (struct message_header){.type = MESSAGE_FLUSH}, NULL, 0,
                              &calls[peer].call, deadline);
        if (begun != BELAY_OK) {
            calls[peer].call.answered = NULL;
            flush_is_over(&node->async->sent[peer], begun, at_risk[peer]);
            note_flushed(node, &result, begun, at_risk[peer]);
        }
    }
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!calls[peer].call.answered)
            continue;
        int flushed = node_finish_call(node, &calls[peer], deadline, "belay_flush");
        flush_is_over(&node->async->sent[peer], flushed, at_risk[peer]);
        note_flushed(node, &result, flushed, at_risk[peer]);
    }
    free(at_risk);
    free(calls);
    return result;
}

int async_settle(belay_node *node, uint64_t deadline)
{
    int settled = transaction_coordinator_settle(node, deadline);
    int result = flush_primaries(node, deadline);
    int fenced = mirror_fence(node, deadline);
    if (result == BELAY_OK)
        result = settled;
    return result != BELAY_OK ? result : fenced;
}

int async_flush(belay_node *node, uint64_t deadline)
{
    int result = async_settle(node, deadline);
    int failure = atomic_exchange(&node->async->failure, BELAY_OK);
    return failure == BELAY_OK ? result
                               : log_quiet(failure, "an asynchronous write since the last flush failed: %s",
                                           belay_strerror(failure));
}

/* Updates to a lost primary that did not wait for all copies: nobody can tell whether they are on any that is left. */
static void peer_lost(belay_node *node, int peer)
{
    struct async_state *async = node->async;
    uint32_t issued = atomic_load(&async->sent[peer].issued);
    atomic_store(&async->sent[peer].applied, issued);
    atomic_store(&async->sent[peer].dirty, false);
    if (atomic_exchange(&async->sent[peer].at_risk, false))
        async_note_failure(node, BELAY_ERR_NODE_FAILED, 0);
    for (struct flush **at = &async->flushes; *at;) {
        struct flush *flush = *at;
        if (flush->peer != peer) {
            at = &flush->next;
            continue;
        }
        *at = flush->next;
        free(flush);
    }
}

int async_create(belay_node *node)
{
    struct async_state *async = calloc(1, sizeof *async);
    if (!async)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for asynchronous writes");
    node->async = async;
    async->first_due = -1;
    size_t nodes = (size_t)node->view->nodes;
    async->sent = aligned_alloc(64, nodes * sizeof *async->sent);
    async->received = calloc(nodes, sizeof *async->received);
    if (!async->sent || !async->received) {
        async_destroy(node);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for asynchronous writes to %zu nodes", nodes);
    }
    memset(async->sent, 0, nodes * sizeof *async->sent);
    node_handle(node, MESSAGE_FLUSH, handle_flush);
    node_handle(node, MESSAGE_ASYNC_DONE, handle_done);
    node_handle(node, MESSAGE_ASYNC_FAILED, handle_failed);
    node_add_progress_hook(node, progress);
    node_add_lost_hook(node, peer_lost);
    return BELAY_OK;
}

void async_destroy(belay_node *node)
{
    struct async_state *async = node->async;
    if (!async)
        return;
    for (struct flush *flush = async->flushes, *next; flush; flush = next) {
        next = flush->next;
        free(flush);
    }
    for (int peer = 0; async->sent && peer < node->view->nodes; ++peer)
        free(async->sent[peer].filter);
    free(async->sent);
    free(async->received);
    free(async);
    node->async = NULL;
}
