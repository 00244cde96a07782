/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_ledger.h
 * Who has done which batch of a step, kept on the board so that it outlives who did it.
 *
 * Ranks take batches from a counter, and pin a receipt for each when its work is safe. When all are taken and all ranks have
 * met, a batch without a receipt is one that a rank took and died with: somebody claims it and does it again,
 * and should that one die too, another takes over its claim. Once there, receipts stay, so every rank finds the same.
 *
 * Threads: those of one rank may take, enter, defer and claim at once, different batches; the rest is for one.
 */
#ifndef BELAY_TOOL_STAGE_LEDGER_H
#define BELAY_TOOL_STAGE_LEDGER_H

#include "tool/stage_board.h"
#include "tool/stage_losses.h"
#include "tool/stage_tally.h"

#include <stdbool.h>
#include <stdint.h>

enum ledger_step { LEDGER_PUT, LEDGER_CHECK };

struct stage_receipt {
    uint32_t rank;
    uint32_t again; /* pieces, if the batch was done before or was begun: all of it */
    struct stage_found found;
};

struct stage_ledger {
    struct stage_board *board;
    const struct stage_losses *losses;
    enum ledger_step step;
    uint32_t pass, batches;
    struct stage_receipt
        *receipts;  /* by batch: of the board as it was last read, and of this rank's own work */
    int *statuses;  /* by batch: BELAY_OK if it was read */
    bool *deferred; /* by batch: done here, but not yet known to be safe */
};

/* BELAY_OK or NO_MEMORY. Then, and after zeroing, ledger_close() may be called. */
int ledger_open(struct stage_ledger *ledger, enum ledger_step step, struct stage_board *board,
                const struct stage_losses *losses, uint32_t pass, uint32_t batches);
void ledger_close(struct stage_ledger *ledger);

/* Take the next number of the counter of heap @p heap: no two callers get the same. */
int ledger_take(struct stage_ledger *ledger, uint32_t heap, uint64_t *number);

/* Batch @p batch has been done by this rank, and what it did is safe: pin the receipt. */
int ledger_enter(struct stage_ledger *ledger, uint32_t batch, const struct stage_receipt *receipt);

/* It has been done, but whether that is safe will turn out: note the receipt, here alone. */
void ledger_defer(struct stage_ledger *ledger, uint32_t batch, const struct stage_receipt *receipt);

/* What was deferred is safe: enter it. */
int ledger_enter_deferred(struct stage_ledger *ledger);

/* Read all receipts. @param[out] missing how many there are not. */
int ledger_read(struct stage_ledger *ledger, uint32_t *missing);

/* A batch has no receipt: may this rank do it? Not if another has claimed it and lives. */
int ledger_claim(struct stage_ledger *ledger, uint32_t batch, bool *mine);

/* Sum of the receipts that were read. @param[out] again pieces that were done again. */
void ledger_sum(const struct stage_ledger *ledger, struct stage_found *sum, uint64_t *again);

#endif
