/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction_coordinator.h"

#include "base/log.h"
#include "cache/transaction.h"
#include "cache/transaction_commit.h"
#include "cache/transaction_recover.h"
#include "cache/transaction_serve.h"

#include <stdlib.h>

int transaction_coordinator_create(belay_node *node)
{
    node->caches->coordinator = calloc(1, sizeof *node->caches->coordinator);
    if (!node->caches->coordinator)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the state of transactions");
    transaction_serve_register(node);
    transaction_lock_register(node);
    transaction_recover_register(node);
    commit_register(node);
    return BELAY_OK;
}

void transaction_coordinator_destroy(belay_node *node)
{
    struct coordinator_state *state = node->caches->coordinator;
    if (!state)
        return;
    for (struct commit *commit; (commit = state->running);) {
        state->running = commit->next;
        commit_free(commit);
    }
    while (state->open)
        transaction_free(state->open);
    free(state);
    node->caches->coordinator = NULL;
}

uint64_t transaction_id_new(belay_node *node)
{
    struct coordinator_state *state = node->caches->coordinator;
    spin_acquire(&state->lock);
    uint32_t number = ++state->next_number ? state->next_number : ++state->next_number;
    spin_release(&state->lock);
    return (uint64_t)(node->id + 1) << 32 | number;
}

void transaction_id_met(belay_node *node, uint64_t id)
{
    enum { STEP_MAX = 1 << 20 }; /* a number that is far ahead is come near in steps: they must not run out */
    struct coordinator_state *state = node->caches->coordinator;
    uint32_t number = (uint32_t)id;
    spin_acquire(&state->lock);
    if (number > state->next_number)
        state->next_number += number - state->next_number < STEP_MAX ? number - state->next_number : STEP_MAX;
    spin_release(&state->lock);
}

bool transaction_lane_take(belay_node *node, uint16_t *lane, uint32_t *sequence)
{
    struct coordinator_state *state = node->caches->coordinator;
    spin_acquire(&state->lock);
    bool found = ~state->lanes != 0;
    if (found) {
        *lane = (uint16_t)__builtin_ctzll(~state->lanes);
        state->lanes |= 1ull << *lane;
        *sequence = ++state->sequence;
    }
    spin_release(&state->lock);
    return found;
}

void transaction_lane_give(belay_node *node, uint16_t lane)
{
    struct coordinator_state *state = node->caches->coordinator;
    spin_acquire(&state->lock);
    state->lanes &= ~(1ull << lane);
    spin_release(&state->lock);
}

static bool is_settled(belay_node *node)
{
    struct coordinator_state *state = node->caches->coordinator;
    spin_acquire(&state->lock);
    bool settled = !state->running;
    spin_release(&state->lock);
    return settled;
}

int transaction_coordinator_settle(belay_node *node, uint64_t deadline)
{
    struct node_wait wait;
    bool in_time = true;
    if (is_settled(node))
        return BELAY_OK;
    node_wait_begin(&wait, node, deadline);
    while (!is_settled(node) && in_time && !node_excluded(node))
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    return in_time ? BELAY_OK : log_quiet(BELAY_ERR_TIMEOUT, "committed transactions are not applied yet");
}
