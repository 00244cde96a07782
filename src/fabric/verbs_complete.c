/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A completion's wr_id is the link of a request, or a receive slot, tagged. Links and slots outlive their queue pair, so
 * completions that come late find them; such a link has no queue any more, and the completion is dropped.
 *
 * The first error of a queue pair is the cause of its end, the rest are flushes: losing the link drops them. After an
 * error only wr_id, status, qp_num and vendor_err are valid.
 */
#include "base/log.h"
#include "belay.h"
#include "fabric/verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { BATCH = 32, BATCHES = 4, ACKNOWLEDGE_EVENTS = 64 };

/* The sender says who it is; its queue pair proves it. */
static struct verbs_link *sender_of(struct verbs *v, const struct ibv_wc *completion)
{
    fabric *f = v->common.fabric;
    unsigned peer = ntohl(completion->imm_data) & IMMEDIATE_PEER_MASK;
    if (!(completion->wc_flags & IBV_WC_WITH_IMM) || peer >= (unsigned)f->peers_max)
        return NULL;
    struct verbs_link *link = verbs_link_at(f, (int)peer);
    return link && link->queue && link->queue->number == completion->qp_num ? link : NULL;
}

/* A queue pair whose peer claims to be another, or gives back what it never took, is not to be trusted with more. If no link
 * has this queue pair, the message is one of a peer that was lost meanwhile. */
static void malformed(struct verbs *v, uint32_t number, const char *what)
{
    fabric *f = v->common.fabric;
    for (int peer = 0; peer < f->peers_max; ++peer) {
        struct verbs_link *link = verbs_link_at(f, peer);
        if (!link || !link->queue || link->queue->number != number)
            continue;
        fabric_count(&f->counts.malformed);
        verbs_lose(link, "it sent %s", what);
    }
}

static bool take_credits(struct verbs_link *link, unsigned given)
{
    if (given == 0)
        return true;
    unsigned now = atomic_fetch_add_explicit(&link->queue->credits, given, memory_order_release) + given;
    return now <= link->queue->credits_max;
}

/* @return the link whose sender gets a credit back once the slot is posted again, or NULL. */
static struct verbs_link *receive(struct verbs *v, const struct ibv_wc *completion,
                                  const struct verbs_slot *slot)
{
    struct verbs_link *link = sender_of(v, completion);
    uint32_t immediate = ntohl(completion->imm_data);
    if (!link) {
        malformed(v, completion->qp_num, "a message in another node's name");
        return NULL;
    }
    verbs_connect_established(link);
    if (!take_credits(link, (immediate >> IMMEDIATE_CREDITS_SHIFT) & IMMEDIATE_CREDITS_MASK)) {
        malformed(v, completion->qp_num, "credits it never had");
        return NULL;
    }
    if (immediate & IMMEDIATE_CREDITS_ONLY) {
        verbs_queue_advance(link);
        return NULL;
    }
    if (!atomic_load_explicit(&link->common.drained, memory_order_relaxed))
        fabric_deliver(v->common.fabric, link->common.peer, slot->body, completion->byte_len);
    return link;
}

static void handle_error(struct verbs *v, const struct ibv_wc *completion)
{
    if (completion->wr_id & VERBS_RECEIVE_TAG) {
        if (completion->status != IBV_WC_WR_FLUSH_ERR)
            malformed(v, completion->qp_num, ibv_wc_status_str(completion->status));
        return;
    }
    struct verbs_link *link = (struct verbs_link *)(uintptr_t)completion->wr_id;
    if (link->queue)
        verbs_lose(link, "a request failed: %s (vendor error %u)", ibv_wc_status_str(completion->status),
                   completion->vendor_err);
}

/* @return the link to advance when the batch's slots are posted again, or NULL. */
static struct verbs_link *handle(struct verbs *v, const struct ibv_wc *completion, bool *received)
{
    struct verbs_link *link = (struct verbs_link *)(uintptr_t)completion->wr_id;
    *received = completion->wr_id & VERBS_RECEIVE_TAG;
    if (*received) {
        struct verbs_slot *slot = (struct verbs_slot *)(uintptr_t)(completion->wr_id - VERBS_RECEIVE_TAG);
        link = completion->status == IBV_WC_SUCCESS ? receive(v, completion, slot) : NULL;
        if (completion->status != IBV_WC_SUCCESS)
            handle_error(v, completion);
        verbs_receiver_return(v, slot);
        return link;
    }
    if (completion->status != IBV_WC_SUCCESS) {
        handle_error(v, completion);
        return NULL;
    }
    if (!link->queue)
        return NULL;
    verbs_queue_complete(link);
    return link;
}

/* Credits are owed when the slots are posted again, not before. */
static void complete_batch(struct verbs *v, const struct ibv_wc *completions, int count)
{
    struct verbs_link *links[BATCH];
    bool received[BATCH];
    for (int i = 0; i < count; ++i)
        links[i] = handle(v, &completions[i], &received[i]);
    verbs_receiver_flush(v);
    for (int i = 0; i < count; ++i)
        if (links[i] && links[i]->queue && received[i])
            atomic_fetch_add_explicit(&links[i]->queue->owed, 1, memory_order_relaxed);
    for (int i = 0; i < count; ++i)
        if (links[i] && links[i]->queue && (i == 0 || links[i] != links[i - 1]))
            verbs_queue_advance(links[i]);
}

int verbs_complete(struct verbs *v)
{
    struct ibv_wc completions[BATCH];
    int total = 0;
    v->completing = true;
    for (int batch = 0; batch < BATCHES; ++batch) {
        int count = ibv_poll_cq(v->completions, BATCH, completions);
        if (count <= 0)
            break;
        complete_batch(v, completions, count);
        total += count;
        if (count < BATCH)
            break;
    }
    v->completing = false;
    return total;
}

void verbs_complete_rest(struct verbs *v)
{
    while (!v->completing && verbs_complete(v) > 0)
        ;
}

/* Answers that a polling thread awaits do not end a sleep, nor do own requests while nobody can be waiting for them: so a
 * queue once armed mostly stays so, and callers come and go without touching the device. */
void verbs_complete_arm(struct verbs *v)
{
    bool all = atomic_load(&v->signalled) != atomic_load(&v->completed);
    int wanted = all ? ARMED_ALL : ARMED_SOLICITED;
    if (atomic_load(&v->armed) >= wanted)
        return;
    atomic_store(&v->armed, wanted);
    int result = ibv_req_notify_cq(v->completions, !all);
    if (result != 0)
        log_error(BELAY_ERR_SYSTEM, "%s: completions cannot be waited for: %s", v->device.name,
                  strerror(result));
}

void verbs_complete_ready(struct fabric_source *source)
{
    struct verbs *v = (struct verbs *)(void *)((char *)source - offsetof(struct verbs, completion_source));
    struct ibv_cq *completions;
    void *context;
    if (ibv_get_cq_event(v->channel, &completions, &context) != 0)
        return;
    atomic_store(&v->armed, ARMED_NOT);
    if (++v->events_unacked >= ACKNOWLEDGE_EVENTS) {
        ibv_ack_cq_events(v->completions, v->events_unacked);
        v->events_unacked = 0;
    }
}
