/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs transport: its set-up, its links, and what the polling thread does in which order.
 *
 * Threads that post never touch what belongs to the polling thread. What they want of it (a connection, a loss declared)
 * they leave as reasons at the link, and the link in a list.
 */
#include "fabric/verbs.h"

#include "base/clock.h"
#include "base/log.h"
#include "belay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Receive slots and message rings are sized by the number of peers, within these bounds. */
enum {
    GRANT_MIN = 8,
    GRANT_MAX = 64,
    DEPTH_MIN = 16,
    DEPTH_MAX = 256,
    RING_MIN = 32 * 1024,
    RING_MAX = 256 * 1024,
    COMPLETIONS_MAX = 128 * 1024,
    POLLS_PER_LOOK = 32
};
static const size_t slots_budget = (size_t)64 << 20, rings_budget = (size_t)64 << 20; /* bytes */

static size_t clamp(size_t value, size_t least, size_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* ---- Reasons -------------------------------------------------------------------------------------------------- */

static void push_attention(struct verbs_link *link)
{
    struct verbs *v = verbs_of(link);
    link->next = atomic_load_explicit(&v->attention, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&v->attention, &link->next, link, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

void verbs_attend(struct verbs_link *link, unsigned reason)
{
    if (atomic_fetch_or(&link->reasons, reason) == 0)
        push_attention(link);
    fabric_wake(link->common.fabric);
}

void verbs_break(struct verbs_link *link, const char *format, ...)
{
    va_list arguments;
    if (link->closed)
        return;
    va_start(arguments, format);
    vsnprintf(link->why, sizeof link->why, format, arguments);
    va_end(arguments);
    link->closed = true;
    verbs_attend(link, REASON_BROKEN);
}

/* From now on nothing is posted, and what waits is dropped. Under the link's lock. */
static void stop_posting(struct verbs_link *link)
{
    link->closed = true;
    verbs_overflow_clear(&link->overflow);
    atomic_store_explicit(&link->waiting, 0, memory_order_relaxed);
}

void verbs_lose(struct verbs_link *link, const char *format, ...)
{
    char why[sizeof link->why];
    va_list arguments;
    if (link->phase == PHASE_CLOSED)
        return;
    verbs_complete_rest(verbs_of(link));
    if (link->phase == PHASE_CLOSED)
        return;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    spin_acquire(&link->lock);
    stop_posting(link);
    spin_release(&link->lock);
    verbs_connect_lose(link);
    fabric_link_lose(&link->common, why);
}

static void handle_reasons(struct verbs_link *link)
{
    fabric *f = link->common.fabric;
    unsigned reasons = atomic_exchange(&link->reasons, 0);
    if (verbs_link_at(f, link->common.peer) != link && fabric_link_state(&link->common) != FABRIC_LOST) {
        /* fabric_add_peer() has not published it yet */
        if (atomic_fetch_or(&link->reasons, reasons) == 0)
            push_attention(link);
        return;
    }
    if (reasons & REASON_CUT) {
        verbs_connect_lose(link);
        atomic_store_explicit(&link->common.drained, true, memory_order_release);
    }
    if (reasons & REASON_BROKEN)
        verbs_lose(link, "%s", link->why);
    if (link->phase == PHASE_CLOSED)
        return;
    if (reasons & REASON_ATTACHED)
        verbs_connect_attached(link);
    if (reasons & REASON_CONNECT)
        verbs_connect_begin(link);
}

static int give_attention(struct verbs *v)
{
    struct verbs_link *link = atomic_exchange_explicit(&v->attention, NULL, memory_order_acquire);
    int count = 0;
    while (link) {
        struct verbs_link *next = link->next;
        handle_reasons(link);
        link = next;
        ++count;
    }
    return count;
}

/* ---- Polling -------------------------------------------------------------------------------------------------- */

static int verbs_poll(struct fabric_transport *transport)
{
    struct verbs *v = (struct verbs *)transport;
    int handled = verbs_complete(v);
    if (atomic_load_explicit(&v->attention, memory_order_relaxed))
        handled += give_attention(v);
    if (v->connecting > 0 && ++v->polls % POLLS_PER_LOOK == 0)
        verbs_connect_ready(&v->connect_source);
    if (v->buried)
        verbs_connect_clear(v, clock_now());
    return handled;
}

static void verbs_arm(struct fabric_transport *transport)
{
    verbs_complete_arm((struct verbs *)transport);
}

/* ---- Links ---------------------------------------------------------------------------------------------------- */

static int check_card(const struct verbs_card *card, int peer)
{
    if ((card->family == 4 || card->family == 6) && card->port != 0 && card->mtu >= IBV_MTU_256 &&
        card->mtu <= IBV_MTU_4096)
        return BELAY_OK;
    return log_error(BELAY_ERR_REFUSED, "the address of node %d has no valid RDMA part", peer);
}

static int verbs_attach(struct fabric_transport *transport, int peer, const struct fabric_card *card,
                        struct fabric_link **out)
{
    struct verbs_card verbs;
    memcpy(&verbs, card->verbs, sizeof verbs);
    int result = check_card(&verbs, peer);
    if (result != BELAY_OK)
        return result;
    struct verbs_link *link = aligned_alloc(_Alignof(struct verbs_link), sizeof *link);
    if (!link)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a link to node %d", peer);
    memset(link, 0, sizeof *link);
    fabric_link_init(&link->common, transport, peer, card);
    link->card = verbs;
    *out = &link->common;
    verbs_attend(link, REASON_ATTACHED);
    return BELAY_OK;
}

/* A lost link has given back everything but itself. */
static void verbs_retire(struct fabric_link *link)
{
    (void)link;
}

static void verbs_detach(struct fabric_link *base)
{
    struct verbs_link *link = (struct verbs_link *)base;
    verbs_overflow_clear(&link->overflow);
    verbs_connect_close(link, PHASE_CLOSED);
    free(link);
}

static int verbs_connect(struct fabric_link *base)
{
    struct verbs_link *link = (struct verbs_link *)base;
    spin_acquire(&link->lock);
    if (!link->begun && !link->closed)
        verbs_begin(link);
    spin_release(&link->lock);
    return BELAY_OK;
}

/* Once the queue pair is in error, the device takes nothing of the peer any more; what it took before is in the completion queue, which
 * is polled before the pair is destroyed. */
static void verbs_cut(struct fabric_link *base)
{
    struct verbs_link *link = (struct verbs_link *)base;
    spin_acquire(&link->lock);
    stop_posting(link);
    if (link->queue)
        verbs_queue_stop(link->queue);
    spin_release(&link->lock);
    verbs_attend(link, REASON_CUT);
}

/* ---- Set-up --------------------------------------------------------------------------------------------------- */

/* Sizes for as many peers as there can be, within what the device has. */
static int choose_sizes(struct verbs *v)
{
    size_t peers = (size_t)v->common.fabric->peers_max;
    size_t completions_max = clamp((size_t)v->limits.max_cqe, 0, COMPLETIONS_MAX);
    v->grant = (unsigned)clamp(slots_budget / sizeof(struct verbs_slot) / peers, GRANT_MIN, GRANT_MAX);
    v->ring_size = clamp(rings_budget / peers, RING_MIN, RING_MAX) & ~(size_t)4095;
    size_t slots = peers * (v->grant + VERBS_CREDIT_SLOTS + 1);
    v->receiver.capacity = (unsigned)clamp(slots, 0, (size_t)v->limits.max_srq_wr);
    size_t depth = completions_max > slots ? (completions_max - slots) / peers : 0;
    v->depth = (unsigned)clamp(depth, 0, clamp((size_t)v->limits.max_qp_wr, 0, DEPTH_MAX));
    if (v->depth < DEPTH_MIN)
        return log_error(
            BELAY_ERR_NO_DEVICE,
            "%s: its queues (%d completions, %d requests, %d shared receives) are too short for %zu nodes",
            v->device.name, v->limits.max_cqe, v->limits.max_qp_wr, v->limits.max_srq_wr, peers);
    return BELAY_OK;
}

static int query_limits(struct verbs *v)
{
    struct ibv_port_attr port;
    int result = ibv_query_device(v->context, &v->limits);
    if (result == 0)
        result = ibv_query_port(v->context, v->device.port, &port);
    if (result != 0)
        return log_error(BELAY_ERR_SYSTEM, "%s does not answer: %s", v->device.name, strerror(result));
    v->max_transfer = port.max_msg_sz & ~(uint32_t)4095;
    return choose_sizes(v);
}

static int check_memory(const struct verbs *v)
{
    size_t slots = (v->grant + VERBS_CREDIT_SLOTS) * sizeof(struct verbs_slot);
    size_t peers = (size_t)v->common.fabric->peers_max;
    return verbs_check_memlock(v->common.fabric->region_size + peers * (slots + v->ring_size));
}

static int open_device(struct verbs *v)
{
    fabric *f = v->common.fabric;
    v->domain = ibv_alloc_pd(v->context);
    if (!v->domain)
        return log_error(BELAY_ERR_SYSTEM, "%s: no protection domain: %s", v->device.name, strerror(errno));
    int result = verbs_register(v->domain, f->region, f->region_size, true, "the region", &v->region);
    if (result != BELAY_OK)
        return result;
    v->channel = ibv_create_comp_channel(v->context);
    if (!v->channel)
        return log_error(BELAY_ERR_SYSTEM, "%s: no completion channel: %s", v->device.name, strerror(errno));
    int entries = (int)((size_t)f->peers_max * v->depth + v->receiver.capacity);
    v->completions = ibv_create_cq(v->context, entries, NULL, v->channel, 0);
    if (!v->completions)
        return log_error(BELAY_ERR_SYSTEM, "%s: no completion queue of %d: %s", v->device.name, entries,
                         strerror(errno));
    return verbs_receiver_create(v);
}

static int watch(fabric *f, struct fabric_source *source, int descriptor,
                 void (*ready)(struct fabric_source *))
{
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0)
        return log_error(BELAY_ERR_SYSTEM, "fcntl: %s", strerror(errno));
    *source = (struct fabric_source){.descriptor = descriptor, .ready = ready};
    return fabric_watch(f, source);
}

static int set_up(struct verbs *v)
{
    fabric *f = v->common.fabric;
    int result = verbs_device_choose(f->device, &v->device);
    if (result == BELAY_OK)
        result = verbs_connect_create(v);
    if (result == BELAY_OK)
        result = query_limits(v);
    if (result == BELAY_OK)
        result = check_memory(v);
    if (result == BELAY_OK && f->chosen)
        f->chosen(f->handler.context, v->device.name, f->region, f->region_size);
    if (result == BELAY_OK)
        result = open_device(v);
    if (result == BELAY_OK)
        result = watch(f, &v->completion_source, v->channel->fd, verbs_complete_ready);
    if (result == BELAY_OK)
        result = verbs_connect_listen(v);
    return result;
}

static void verbs_destroy(struct fabric_transport *transport)
{
    struct verbs *v = (struct verbs *)transport;
    verbs_connect_destroy(v);
    verbs_receiver_destroy(v);
    if (v->completions) {
        ibv_ack_cq_events(v->completions, v->events_unacked);
        ibv_destroy_cq(v->completions);
    }
    if (v->channel)
        ibv_destroy_comp_channel(v->channel);
    if (v->region)
        ibv_dereg_mr(v->region);
    if (v->domain)
        ibv_dealloc_pd(v->domain);
    free(v);
}

/* Must come before anything is registered. Where it fails, a child of fork() must not touch registered memory. */
static void prepare_for_fork(void)
{
    int result = ibv_fork_init();
    if (result != 0)
        log_debug("ibv_fork_init: %s", strerror(result));
}

static int verbs_create(fabric *f, struct fabric_transport **out)
{
    struct verbs *v = aligned_alloc(_Alignof(struct verbs), sizeof *v);
    if (!v)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the verbs transport");
    memset(v, 0, sizeof *v);
    v->common = (struct fabric_transport){.ops = &verbs_transport, .fabric = f};
    v->timer_source.descriptor = -1;
    prepare_for_fork();
    int result = set_up(v);
    if (result != BELAY_OK) {
        verbs_destroy(&v->common);
        return result;
    }
    log_info("RDMA device: %s", v->device.text);
    *out = &v->common;
    return BELAY_OK;
}

static void verbs_address(const struct fabric_transport *transport, struct fabric_card *card)
{
    const struct verbs *v = (const struct verbs *)transport;
    bool v4 = v->device.address.any.sa_family == AF_INET;
    struct verbs_card verbs = {.family = v4 ? 4 : 6,
                               .mtu = (uint8_t)v->device.mtu,
                               .port = rdma_get_src_port(v->listener),
                               .rkey = v->region->rkey,
                               .base = (uintptr_t)v->common.fabric->region};
    _Static_assert(sizeof verbs <= sizeof card->verbs, "the card has room");
    if (v4)
        memcpy(verbs.ip, &v->device.address.v4.sin_addr, sizeof v->device.address.v4.sin_addr);
    else
        memcpy(verbs.ip, &v->device.address.v6.sin6_addr, sizeof v->device.address.v6.sin6_addr);
    memcpy(card->verbs, &verbs, sizeof verbs);
}

static const char *verbs_device_text(const struct fabric_transport *transport)
{
    return ((const struct verbs *)transport)->device.text;
}

const struct transport_ops verbs_transport = {
    .name = "verbs",
    .create = verbs_create,
    .destroy = verbs_destroy,
    .address = verbs_address,
    .attach = verbs_attach,
    .retire = verbs_retire,
    .detach = verbs_detach,
    .connect = verbs_connect,
    .cut = verbs_cut,
    .write = verbs_write,
    .read = verbs_read,
    .fence = verbs_fence,
    .send = verbs_send,
    .done = verbs_done,
    .congested = verbs_congested,
    .poll = verbs_poll,
    .arm = verbs_arm,
    .device_text = verbs_device_text,
};
