/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Posting. Each call describes an operation and either makes it a work request at once or, where there is no room, no credit,
 * no connection yet, or something waiting already, appends it to the overflow queue: order is kept.
 *
 * A work request is first *pending*: FABRIC_MORE lets a few gather, and one doorbell starts them.
 *
 * Completions cost time, so only those are asked for that somebody waits for, and as many as it takes to get room back:
 * one at the latest after a quarter of the send queue or of the ring. Each signalled request leaves a record of what its
 * completion frees; completions of one queue pair come in order, so they need not say which they are.
 */
#include "base/fence.h"
#include "base/log.h"
#include "base/parts.h"
#include "belay.h"
#include "fabric/verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A dead peer shows after the time-out has passed 1 + retries times: 4.096 us * 2^15 * 8, about 1.1 s; some devices
 * take up to twice that. */
enum { ACK_TIMEOUT = 15, ACK_RETRIES = 7, NOT_READY_TIMER = 12, NOT_READY_RETRIES = 6, INLINE_WANTED = 256 };

static struct verbs_link *verbs_link_of(const struct fabric_link *link)
{
    return (struct verbs_link *)(uintptr_t)link;
}

/* ---- The queue pair ------------------------------------------------------------------------------------------- */

static int pair_create(struct verbs *v, struct verbs_link *link, struct verbs_queue *queue)
{
    struct ibv_qp_init_attr attributes = {
        .qp_context = link,
        .send_cq = v->completions,
        .recv_cq = v->completions,
        .srq = v->receiver.queue,
        .cap = {.max_send_wr = v->depth, .max_send_sge = 1, .max_inline_data = INLINE_WANTED},
        .qp_type = IBV_QPT_RC,
    };
    /* How much a device takes inline cannot be asked, only tried. */
    while (!(queue->pair = ibv_create_qp(v->domain, &attributes)) && attributes.cap.max_inline_data > 0)
        attributes.cap.max_inline_data /= 2;
    if (!queue->pair)
        return log_error(BELAY_ERR_SYSTEM, "%s: no queue pair: %s", v->device.name, strerror(errno));
    queue->number = queue->pair->qp_num;
    queue->max_inline = attributes.cap.max_inline_data;
    return BELAY_OK;
}

static int pair_initialise(struct verbs_queue *queue, struct rdma_cm_id *id)
{
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_INIT};
    int mask;
    if (rdma_init_qp_attr(id, &attributes, &mask) != 0)
        return log_error(BELAY_ERR_SYSTEM, "rdma_init_qp_attr: %s", strerror(errno));
    attributes.qp_access_flags = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
    int result = ibv_modify_qp(queue->pair, &attributes, mask);
    return result == 0
               ? BELAY_OK
               : log_error(BELAY_ERR_SYSTEM, "a queue pair cannot be initialised: %s", strerror(result));
}

static int ring_create(struct verbs *v, struct verbs_queue *queue)
{
    void *ring = mmap(NULL, v->ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for messages: %s", strerror(errno));
    queue->ring = ring;
    queue->ring_size = v->ring_size;
    return verbs_register(v->domain, ring, v->ring_size, false, "messages", &queue->ring_memory);
}

int verbs_queue_create(struct verbs_link *link, struct rdma_cm_id *id, struct verbs_queue **out)
{
    struct verbs *v = verbs_of(link);
    size_t size = sizeof(struct verbs_queue) + v->depth * sizeof(struct verbs_record);
    struct verbs_queue *queue = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!queue)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a queue pair");
    memset(queue, 0, size);
    queue->depth = v->depth;
    queue->grant = (uint16_t)v->grant;
    int result = verbs_receiver_promise(v);
    if (result != BELAY_OK) {
        free(queue);
        return result;
    }
    if ((result = ring_create(v, queue)) != BELAY_OK || (result = pair_create(v, link, queue)) != BELAY_OK ||
        (result = pair_initialise(queue, id)) != BELAY_OK) {
        verbs_queue_destroy(v, queue);
        return result;
    }
    *out = queue;
    return BELAY_OK;
}

void verbs_queue_destroy(struct verbs *v, struct verbs_queue *queue)
{
    if (queue->pair)
        ibv_destroy_qp(queue->pair);
    if (queue->ring_memory)
        ibv_dereg_mr(queue->ring_memory);
    if (queue->ring)
        munmap(queue->ring, queue->ring_size);
    verbs_receiver_release(v);
    free(queue);
}

void verbs_queue_stop(struct verbs_queue *queue)
{
    struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};
    int result = queue->stopped ? 0 : ibv_modify_qp(queue->pair, &error, IBV_QP_STATE);
    if (result != 0)
        log_warn("a queue pair cannot be stopped: %s", strerror(result));
    queue->stopped = true;
}

static int pair_advance(struct verbs_queue *queue, struct rdma_cm_id *id, enum ibv_qp_state state,
                        enum ibv_mtu mtu)
{
    struct ibv_qp_attr attributes = {.qp_state = state};
    int mask;
    if (rdma_init_qp_attr(id, &attributes, &mask) != 0)
        return log_error(BELAY_ERR_SYSTEM, "rdma_init_qp_attr: %s", strerror(errno));
    if (state == IBV_QPS_RTR) {
        attributes.path_mtu = mtu;
        attributes.min_rnr_timer = NOT_READY_TIMER;
        mask |= IBV_QP_MIN_RNR_TIMER;
    } else {
        attributes.timeout = ACK_TIMEOUT;
        attributes.retry_cnt = ACK_RETRIES;
        attributes.rnr_retry = NOT_READY_RETRIES;
    }
    int result = ibv_modify_qp(queue->pair, &attributes, mask);
    return result == 0 ? BELAY_OK
                       : log_error(BELAY_ERR_SYSTEM, "a queue pair cannot be made ready to %s: %s",
                                   state == IBV_QPS_RTR ? "receive" : "send", strerror(result));
}

/* A cut may come from another thread at any time. */
int verbs_queue_ready(struct verbs_link *link, struct rdma_cm_id *id, enum ibv_mtu mtu)
{
    int result = BELAY_ERR_NODE_FAILED;
    spin_acquire(&link->lock);
    if (!link->closed)
        result = pair_advance(link->queue, id, IBV_QPS_RTR, mtu);
    if (result == BELAY_OK)
        result = pair_advance(link->queue, id, IBV_QPS_RTS, mtu);
    spin_release(&link->lock);
    return result;
}

/* ---- Work requests. Under the link's lock --------------------------------------------------------------------- */

/* Start the pending requests. */
static int flush(struct verbs_link *link)
{
    struct verbs_queue *queue = link->queue;
    struct ibv_send_wr *bad;
    if (link->closed || queue->pending == 0)
        return BELAY_OK;
    queue->work[queue->pending - 1].next = NULL;
    queue->pending = 0;
    int result = ibv_post_send(queue->pair, queue->work, &bad);
    if (result == 0)
        return BELAY_OK;
    verbs_break(link, "posting to it failed: %s", strerror(result));
    return BELAY_ERR_NODE_FAILED;
}

/* Find room for a body in the ring, contiguous; *after is the ring's head behind it. */
static unsigned char *ring_place(const struct verbs_queue *queue, size_t length, uint64_t *after)
{
    size_t offset = queue->ring_head % queue->ring_size;
    uint64_t begin = queue->ring_head;
    if (offset + length > queue->ring_size)
        begin += queue->ring_size - offset;
    *after = begin + (length + 7) / 8 * 8;
    if (*after - atomic_load_explicit(&queue->ring_tail, memory_order_acquire) > queue->ring_size)
        return NULL;
    return queue->ring + begin % queue->ring_size;
}

static bool request_fits(const struct verbs_queue *queue)
{
    return queue->requests - atomic_load_explicit(&queue->requests_done, memory_order_acquire) < queue->depth;
}

/* Ask for the completion of the newest request. */
static void signal_newest(struct verbs_link *link, struct ibv_send_wr *work, fabric_ticket ticket)
{
    struct verbs_queue *queue = link->queue;
    work->send_flags |= IBV_SEND_SIGNALED;
    queue->records[queue->records_head++ % queue->depth] = (struct verbs_record){queue->requests,
                                                                                 queue->ring_head, ticket};
    queue->quiet_requests = 0;
    queue->quiet_bytes = 0;
    link->signalled = ticket;
    atomic_fetch_add_explicit(&verbs_of(link)->signalled, 1, memory_order_relaxed);
}

/* Make a pending request of the bytes at @p place in the ring (NULL: of operation->local). */
static void prepare(struct verbs_link *link, const struct verbs_operation *operation, unsigned char *place,
                    uint64_t ring_head, uint32_t immediate)
{
    struct verbs_queue *queue = link->queue;
    struct ibv_send_wr *work = &queue->work[queue->pending];
    struct ibv_sge *piece = &queue->pieces[queue->pending];
    *piece = (struct ibv_sge){place ? (uintptr_t)place : (uintptr_t)operation->local, operation->length,
                              place ? queue->ring_memory->lkey : verbs_of(link)->region->lkey};
    *work = (struct ibv_send_wr){.wr_id = (uintptr_t)link,
                                 .next = work + 1,
                                 .sg_list = piece,
                                 .num_sge = operation->length > 0,
                                 .opcode = operation->opcode};
    if (operation->opcode == IBV_WR_SEND_WITH_IMM) {
        work->imm_data = htonl(immediate);
        work->send_flags = IBV_SEND_SOLICITED;
    } else {
        work->wr.rdma.remote_addr = queue->remote_base + operation->remote_offset;
        work->wr.rdma.rkey = queue->rkey;
    }
    if (operation->length <= queue->max_inline && operation->opcode != IBV_WR_RDMA_READ)
        work->send_flags |= IBV_SEND_INLINE;
    queue->quiet_bytes += ring_head - queue->ring_head;
    queue->ring_head = ring_head;
    queue->issued = operation->ticket;
    ++queue->requests;
    ++queue->pending;
    if (operation->signalled || ++queue->quiet_requests >= queue->depth / 4 ||
        queue->quiet_bytes >= queue->ring_size / 4)
        signal_newest(link, work, operation->ticket);
}

static uint32_t take_owed_credits(struct verbs_queue *queue)
{
    unsigned owed = atomic_exchange_explicit(&queue->owed, 0, memory_order_relaxed);
    return owed << IMMEDIATE_CREDITS_SHIFT;
}

/* Make a request of an operation and flush when enough are pending. @return false: no room or no credit now. */
static bool issue(struct verbs_link *link, const struct verbs_operation *operation, const struct iovec *parts,
                  int count)
{
    struct verbs_queue *queue = link->queue;
    unsigned char *place = NULL;
    uint64_t ring_head = queue->ring_head;
    uint32_t immediate = 0;
    bool message = operation->opcode == IBV_WR_SEND_WITH_IMM;
    if (!request_fits(queue) || (message && atomic_load_explicit(&queue->credits, memory_order_acquire) == 0))
        return false;
    if (operation->copied) {
        place = ring_place(queue, operation->length, &ring_head);
        if (!place)
            return false;
        parts_copy(place, parts, count);
    }
    if (message) {
        atomic_fetch_sub_explicit(&queue->credits, 1, memory_order_relaxed);
        immediate = (uint32_t)link->common.fabric->node | take_owed_credits(queue);
    }
    prepare(link, operation, place, ring_head, immediate);
    if (queue->pending == VERBS_PENDING_MAX)
        flush(link);
    return !link->closed;
}

/* Post what waits as far as there is room. */
static void drain(struct verbs_link *link)
{
    struct iovec body;
    struct verbs_operation *operation;
    unsigned moved = 0;
    while ((operation = verbs_overflow_first(&link->overflow, &body)) && issue(link, operation, &body, 1)) {
        verbs_overflow_remove_first(&link->overflow);
        ++moved;
    }
    if (moved > 0)
        atomic_fetch_sub_explicit(&link->waiting, moved, memory_order_relaxed);
    flush(link);
}

/* Completions and credits are published without the link's lock. Who publishes looks at `waiting` afterwards, who waits
 * looks for room again afterwards: one of them sees the other. */
static int wait_for_room(struct verbs_link *link, const struct verbs_operation *operation,
                         const struct iovec *parts, int count)
{
    if (!verbs_overflow_append(&link->overflow, operation, parts, count))
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for what waits to be sent to node %d",
                         link->common.peer);
    atomic_fetch_add_explicit(&link->waiting, 1, memory_order_relaxed);
    fence_full();
    fabric_count(&link->common.fabric->counts.overflowed);
    if (link->open)
        drain(link);
    else if (!link->begun)
        verbs_begin(link);
    return link->closed ? BELAY_ERR_NODE_FAILED : BELAY_OK;
}

static bool must_wait(const struct verbs_link *link)
{
    return !link->open || atomic_load_explicit(&link->waiting, memory_order_relaxed) > 0;
}

/* Post one operation; gives it the next ticket. */
static int post(struct verbs_link *link, struct verbs_operation *operation, const struct iovec *parts,
                int count, bool more)
{
    if (link->closed)
        return BELAY_ERR_NODE_FAILED;
    operation->ticket = ++link->posted;
    if (must_wait(link) || !issue(link, operation, parts, count))
        return link->closed ? BELAY_ERR_NODE_FAILED : wait_for_room(link, operation, parts, count);
    return more ? BELAY_OK : flush(link);
}

void verbs_begin(struct verbs_link *link)
{
    link->begun = true;
    verbs_attend(link, REASON_CONNECT);
}

/* ---- Operations ----------------------------------------------------------------------------------------------- */

/* A transfer that is longer than the device allows is cut. */
static int transfer(struct verbs_link *link, struct verbs_operation *operation, size_t length, bool signalled,
                    bool more)
{
    size_t most = verbs_of(link)->max_transfer;
    int result = BELAY_OK;
    while (result == BELAY_OK && length > 0) {
        operation->length = (uint32_t)(length < most ? length : most);
        length -= operation->length;
        operation->signalled = signalled && length == 0;
        struct iovec source = {operation->local, operation->length};
        result = post(link, operation, &source, 1, more || length > 0);
        operation->remote_offset += operation->length;
        operation->local = (unsigned char *)operation->local + operation->length;
    }
    return result;
}

int verbs_write(struct fabric_link *base, uint64_t remote_offset, const void *local, size_t length,
                unsigned flags, fabric_ticket *ticket)
{
    struct verbs_link *link = verbs_link_of(base);
    struct verbs_operation operation = {.opcode = IBV_WR_RDMA_WRITE,
                                        .copied = length <= FABRIC_INLINE_MAX,
                                        .remote_offset = remote_offset,
                                        .local = (void *)(uintptr_t)local};
    spin_acquire(&link->lock);
    int result = transfer(link, &operation, length, flags & FABRIC_SIGNALED, flags & FABRIC_MORE);
    spin_release(&link->lock);
    if (result == BELAY_OK)
        *ticket = operation.ticket;
    return result;
}

int verbs_read(struct fabric_link *base, uint64_t remote_offset, void *local, size_t length, unsigned flags,
               fabric_ticket *ticket)
{
    struct verbs_link *link = verbs_link_of(base);
    struct verbs_operation operation = {
        .opcode = IBV_WR_RDMA_READ, .remote_offset = remote_offset, .local = local};
    spin_acquire(&link->lock);
    int result = transfer(link, &operation, length, true, flags & FABRIC_MORE);
    spin_release(&link->lock);
    if (result == BELAY_OK)
        *ticket = operation.ticket;
    return result;
}

/* A message that nobody has promised to take in any case is refused where it would have to wait, except that a few may
 * wait for the connection that the first of them begins. */
static bool send_has_no_room(const struct verbs_link *link)
{
    if (!link->open)
        return atomic_load_explicit(&link->waiting, memory_order_relaxed) >= verbs_of(link)->grant / 2;
    return must_wait(link) || !request_fits(link->queue) ||
           atomic_load_explicit(&link->queue->credits, memory_order_acquire) == 0;
}

int verbs_send(struct fabric_link *base, const struct iovec *parts, int count, size_t length, unsigned flags)
{
    struct verbs_link *link = verbs_link_of(base);
    struct verbs_operation operation = {
        .opcode = IBV_WR_SEND_WITH_IMM, .length = (uint32_t)length, .copied = true};
    int result;
    spin_acquire(&link->lock);
    if (!link->closed && !(flags & FABRIC_QUEUE) && send_has_no_room(link)) {
        if (link->open)
            flush(link);
        result = FABRIC_AGAIN;
    } else {
        result = post(link, &operation, parts, count, flags & FABRIC_MORE);
    }
    spin_release(&link->lock);
    return result;
}

/* The newest operation may be signalled yet if it has not been started. */
static bool signal_unstarted(struct verbs_link *link)
{
    struct verbs_operation *waiting = verbs_overflow_last(&link->overflow);
    if (waiting) {
        waiting->signalled = true;
        return true;
    }
    struct verbs_queue *queue = link->queue;
    if (!link->open || queue->pending == 0)
        return false;
    signal_newest(link, &queue->work[queue->pending - 1], link->posted);
    return true;
}

static int fence(struct verbs_link *link)
{
    struct verbs_operation nothing = {.opcode = IBV_WR_RDMA_WRITE, .signalled = true};
    if (link->closed)
        return BELAY_ERR_NODE_FAILED;
    if (link->signalled != link->posted && !signal_unstarted(link))
        return post(link, &nothing, NULL, 0, false);
    return link->open ? flush(link) : BELAY_OK;
}

int verbs_fence(struct fabric_link *base, fabric_ticket *ticket)
{
    struct verbs_link *link = verbs_link_of(base);
    spin_acquire(&link->lock);
    int result = fence(link);
    fabric_ticket last = link->posted;
    spin_release(&link->lock);
    if (result == BELAY_OK)
        *ticket = last;
    return result;
}

bool verbs_done(const struct fabric_link *base, fabric_ticket ticket)
{
    const struct verbs_link *link = verbs_link_of(base);
    return atomic_load_explicit(&link->done, memory_order_acquire) >= ticket;
}

bool verbs_congested(const struct fabric_link *base)
{
    const struct verbs_link *link = verbs_link_of(base);
    unsigned waiting = atomic_load_explicit(&link->waiting, memory_order_relaxed);
    return waiting > 0 && (fabric_link_state(base) != FABRIC_KNOWN || waiting >= verbs_of(link)->depth / 2);
}

/* ---- Of the polling thread ------------------------------------------------------------------------------------ */

void verbs_queue_open(struct verbs_link *link)
{
    spin_acquire(&link->lock);
    if (!link->closed) {
        link->open = true;
        drain(link);
    }
    spin_release(&link->lock);
}

void verbs_queue_complete(struct verbs_link *link)
{
    struct verbs_queue *queue = link->queue;
    const struct verbs_record *record = &queue->records[queue->records_tail++ % queue->depth];
    atomic_store_explicit(&link->done, record->ticket, memory_order_release);
    atomic_store_explicit(&queue->ring_tail, record->ring_end, memory_order_release);
    atomic_store_explicit(&queue->requests_done, record->request, memory_order_release);
    atomic_fetch_add_explicit(&verbs_of(link)->completed, 1, memory_order_relaxed);
}

/* Credits go back in a message of their own only when no other message to the peer has taken them along. It passes those that
 * wait for credits, so that two nodes cannot wait for each other's. */
static void give_credits_back(struct verbs_link *link)
{
    struct verbs_queue *queue = link->queue;
    const struct verbs_operation nothing = {.opcode = IBV_WR_SEND_WITH_IMM, .ticket = queue->issued};
    if (!request_fits(queue))
        return;
    uint32_t immediate = (uint32_t)link->common.fabric->node | take_owed_credits(queue) |
                         IMMEDIATE_CREDITS_ONLY;
    prepare(link, &nothing, NULL, queue->ring_head, immediate);
    flush(link);
}

void verbs_queue_advance(struct verbs_link *link)
{
    struct verbs_queue *queue = link->queue;
    fence_full();
    bool returns = atomic_load_explicit(&queue->owed, memory_order_relaxed) >= queue->grant / 2u;
    if (!returns && atomic_load_explicit(&link->waiting, memory_order_relaxed) == 0)
        return;
    spin_acquire(&link->lock);
    if (link->open && !link->closed) {
        if (returns)
            give_credits_back(link);
        drain(link);
    }
    spin_release(&link->lock);
}
