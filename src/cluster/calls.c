/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/calls.h"

#include "belay.h"

#include <stdlib.h>

/* A call number is a slot's index + 1 in the low bits, the slot's generation above, and CALL_AWAITED. */
enum { INDEX_BITS = 15, NO_SLOT = CALLS_MAX };

int calls_create(struct calls *calls)
{
    calls->slots = calloc(CALLS_MAX, sizeof *calls->slots);
    if (!calls->slots)
        return BELAY_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < CALLS_MAX; ++i)
        calls->slots[i].next_free = i + 1;
    calls->free_first = 0;
    return BELAY_OK;
}

void calls_destroy(struct calls *calls)
{
    free(calls->slots);
    calls->slots = NULL;
}

bool calls_register(struct calls *calls, struct call *call, bool awaited)
{
    spin_acquire(&calls->lock);
    uint32_t index = calls->free_first;
    if (index == NO_SLOT) {
        spin_release(&calls->lock);
        return false;
    }
    struct call_slot *slot = &calls->slots[index];
    calls->free_first = slot->next_free;
    calls->outstanding++;
    slot->generation++;
    slot->call = call;
    call->number = (slot->generation << INDEX_BITS & ~CALL_AWAITED) | (index + 1) |
                   (awaited ? CALL_AWAITED : 0);
    spin_release(&calls->lock);
    return true;
}

/* The lock is held. */
static void release_slot(struct calls *calls, uint32_t index)
{
    calls->slots[index].call = NULL;
    calls->slots[index].next_free = calls->free_first;
    calls->free_first = index;
    calls->outstanding--;
}

struct call *calls_take(struct calls *calls, uint32_t number, int peer)
{
    uint32_t index = (number & ((1u << INDEX_BITS) - 1)) - 1;
    if (index >= CALLS_MAX)
        return NULL;
    spin_acquire(&calls->lock);
    struct call *call = calls->slots[index].call;
    if (call && call->number == number && call->peer == peer)
        release_slot(calls, index);
    else
        call = NULL;
    spin_release(&calls->lock);
    return call;
}

bool calls_cancel(struct calls *calls, struct call *call)
{
    return call->number && calls_take(calls, call->number, call->peer) == call;
}

static struct call *take_any(struct calls *calls, int peer)
{
    struct call *found = NULL;
    spin_acquire(&calls->lock);
    for (uint32_t i = 0; i < CALLS_MAX && !found; ++i) {
        struct call *call = calls->slots[i].call;
        if (call && call->peer == peer) {
            release_slot(calls, i);
            found = call;
        }
    }
    spin_release(&calls->lock);
    return found;
}

void calls_fail(struct calls *calls, int peer, int status)
{
    for (struct call *call; (call = take_any(calls, peer));)
        call->answered(call, status, NULL, 0);
}
