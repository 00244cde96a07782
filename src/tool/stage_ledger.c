/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_ledger.h"

#include <stdlib.h>
#include <string.h>

/* What notices are called. */
static const struct {
    const char *counter, *receipt, *claim;
} words[] = {
    [LEDGER_PUT] = {"put", "put-receipt", "put-claim"},
    [LEDGER_CHECK] = {"check", "check-receipt", "check-claim"},
};

int ledger_open(struct stage_ledger *ledger, enum ledger_step step, struct stage_board *board,
                const struct stage_losses *losses, uint32_t pass, uint32_t batches)
{
    *ledger = (struct stage_ledger){
        .board = board, .losses = losses, .step = step, .pass = pass, .batches = batches};
    ledger->receipts = calloc(batches + 1u, sizeof *ledger->receipts);
    ledger->statuses = calloc(batches + 1u, sizeof *ledger->statuses);
    ledger->deferred = calloc(batches + 1u, sizeof *ledger->deferred);
    return ledger->receipts && ledger->statuses && ledger->deferred ? BELAY_OK : BELAY_ERR_NO_MEMORY;
}

void ledger_close(struct stage_ledger *ledger)
{
    free(ledger->receipts);
    free(ledger->statuses);
    free(ledger->deferred);
    memset(ledger, 0, sizeof *ledger);
}

int ledger_take(struct stage_ledger *ledger, uint32_t heap, uint64_t *number)
{
    return board_take(ledger->board, (struct notice){words[ledger->step].counter, ledger->pass, heap},
                      number);
}

static struct notice receipt_of(const struct stage_ledger *ledger, uint32_t batch)
{
    return (struct notice){words[ledger->step].receipt, ledger->pass, batch};
}

int ledger_enter(struct stage_ledger *ledger, uint32_t batch, const struct stage_receipt *receipt)
{
    int result = board_put_first(ledger->board, receipt_of(ledger, batch), receipt, sizeof *receipt);
    return result == BELAY_ERR_EXISTS ? BELAY_OK : result; /* as good as ours */
}

void ledger_defer(struct stage_ledger *ledger, uint32_t batch, const struct stage_receipt *receipt)
{
    ledger->receipts[batch] = *receipt;
    ledger->deferred[batch] = true;
}

int ledger_enter_deferred(struct stage_ledger *ledger)
{
    for (uint32_t b = 0; b < ledger->batches; ++b) {
        if (!ledger->deferred[b])
            continue;
        int result = ledger_enter(ledger, b, &ledger->receipts[b]);
        if (result != BELAY_OK)
            return result;
        ledger->deferred[b] = false;
    }
    return BELAY_OK;
}

int ledger_read(struct stage_ledger *ledger, uint32_t *missing)
{
    uint32_t none = 0;
    int result = board_get_range(ledger->board, words[ledger->step].receipt, ledger->pass, ledger->batches,
                                 ledger->receipts, sizeof *ledger->receipts, ledger->statuses);
    for (uint32_t b = 0; b < ledger->batches && result == BELAY_OK; ++b) {
        if (ledger->statuses[b] == BELAY_ERR_NOT_FOUND)
            ++none;
        else if (ledger->statuses[b] != BELAY_OK)
            result = ledger->statuses[b];
        else if (ledger->receipts[b].rank >= ledger->losses->ranks)
            result = BELAY_ERR_TYPE;
    }
    if (result == BELAY_OK)
        *missing = none;
    return result;
}

int ledger_claim(struct stage_ledger *ledger, uint32_t batch, bool *mine)
{
    struct notice claim = {words[ledger->step].claim, ledger->pass, batch};
    uint32_t rank = ledger->losses->rank, holder;
    int result = board_put_first(ledger->board, claim, &rank, sizeof rank);
    *mine = result == BELAY_OK;
    if (result == BELAY_ERR_EXISTS)
        result = board_get(ledger->board, claim, &holder, sizeof holder);
    if (*mine || result != BELAY_OK || !losses_has(ledger->losses, holder % BELAY_NODES_MAX))
        return result;
    result = board_exchange(ledger->board, claim, holder, rank);
    *mine = result == BELAY_OK;
    return result == BELAY_ERR_CONFLICT ? BELAY_OK : result;
}

void ledger_sum(const struct stage_ledger *ledger, struct stage_found *sum, uint64_t *again)
{
    *sum = (struct stage_found){0};
    *again = 0;
    for (uint32_t b = 0; b < ledger->batches; ++b) {
        const struct stage_receipt *receipt = &ledger->receipts[b];
        found_add(sum, &receipt->found);
        *again += receipt->again;
    }
}
