/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All peers' messages arrive in one shared receive queue. A peer that is connected gets a grant of credits, and the queue
 * gets as many slots more, so a message always finds a slot: no receiver-not-ready retries, whatever the peers do.
 *
 * Slots of a lost peer stay in the queue and serve the next one that connects; but the device may have taken one for a
 * message that was cut off in the middle, so one is written off with each loss.
 */
#include "base/log.h"
#include "belay.h"
#include "fabric/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The slots that one peer's grant needs, registered together. */
struct verbs_slab {
    struct verbs_slab *next;
    struct ibv_mr *memory;
    struct verbs_slot *slots;
    unsigned count;
};

static unsigned slots_per_peer(const struct verbs *v)
{
    return v->grant + VERBS_CREDIT_SLOTS;
}

static size_t slab_size(const struct verbs_slab *slab)
{
    return slab->count * sizeof(struct verbs_slot);
}

static void slab_destroy(struct verbs_slab *slab)
{
    if (slab->memory)
        ibv_dereg_mr(slab->memory);
    munmap(slab->slots, slab_size(slab));
    free(slab);
}

int verbs_receiver_create(struct verbs *v)
{
    struct ibv_srq_init_attr attributes = {.attr = {.max_wr = v->receiver.capacity, .max_sge = 1}};
    v->receiver.queue = ibv_create_srq(v->domain, &attributes);
    if (!v->receiver.queue)
        return log_error(BELAY_ERR_SYSTEM, "%s: no shared receive queue of %u slots: %s", v->device.name,
                         v->receiver.capacity, strerror(errno));
    return BELAY_OK;
}

void verbs_receiver_destroy(struct verbs *v)
{
    if (v->receiver.queue)
        ibv_destroy_srq(v->receiver.queue);
    while (v->receiver.slabs) {
        struct verbs_slab *slab = v->receiver.slabs;
        v->receiver.slabs = slab->next;
        slab_destroy(slab);
    }
}

/* Post the slots that are gathered. One that the device refuses is lost to the queue, and an error it is. */
void verbs_receiver_flush(struct verbs *v)
{
    struct verbs_receiver *receiver = &v->receiver;
    struct ibv_recv_wr *bad;
    if (receiver->handled == 0)
        return;
    receiver->work[receiver->handled - 1].next = NULL;
    int result = ibv_post_srq_recv(receiver->queue, receiver->work, &bad);
    if (result != 0)
        log_error(BELAY_ERR_SYSTEM, "%s: receive slots cannot be posted: %s", v->device.name,
                  strerror(result));
    receiver->handled = 0;
}

void verbs_receiver_return(struct verbs *v, struct verbs_slot *slot)
{
    struct verbs_receiver *receiver = &v->receiver;
    enum { BATCH = sizeof receiver->work / sizeof *receiver->work };
    struct ibv_recv_wr *work = &receiver->work[receiver->handled];
    struct ibv_sge *piece = &receiver->pieces[receiver->handled];
    *piece = (struct ibv_sge){(uintptr_t)slot->body, sizeof slot->body, slot->slab->memory->lkey};
    *work = (struct ibv_recv_wr){
        .wr_id = (uintptr_t)slot | VERBS_RECEIVE_TAG, .next = work + 1, .sg_list = piece, .num_sge = 1};
    if (++receiver->handled == BATCH)
        verbs_receiver_flush(v);
}

/* Make a slab and post its slots. */
static int slab_create(struct verbs *v)
{
    struct verbs_slab *slab = calloc(1, sizeof *slab);
    if (!slab)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for receive slots");
    slab->count = slots_per_peer(v);
    slab->slots = mmap(NULL, slab_size(slab), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slab->slots == MAP_FAILED) {
        int result = log_error(BELAY_ERR_NO_MEMORY, "no memory for receive slots: %s", strerror(errno));
        free(slab);
        return result;
    }
    int result = verbs_register(v->domain, slab->slots, slab_size(slab), false, "receive slots",
                                &slab->memory);
    if (result != BELAY_OK) {
        slab_destroy(slab);
        return result;
    }
    slab->next = v->receiver.slabs;
    v->receiver.slabs = slab;
    v->receiver.slots += slab->count;
    for (unsigned i = 0; i < slab->count; ++i) {
        slab->slots[i].slab = slab;
        verbs_receiver_return(v, &slab->slots[i]);
    }
    verbs_receiver_flush(v);
    return BELAY_OK;
}

int verbs_receiver_promise(struct verbs *v)
{
    struct verbs_receiver *receiver = &v->receiver;
    unsigned wanted = receiver->promised + slots_per_peer(v);
    if (wanted > receiver->slots) {
        if (receiver->slots + slots_per_peer(v) > receiver->capacity)
            return log_error(BELAY_ERR_NO_MEMORY, "%s: its shared receive queue holds no more than %u slots",
                             v->device.name, receiver->capacity);
        int result = slab_create(v);
        if (result != BELAY_OK)
            return result;
    }
    receiver->promised = wanted;
    return BELAY_OK;
}

void verbs_receiver_release(struct verbs *v)
{
    v->receiver.promised -= slots_per_peer(v) - 1;
}
