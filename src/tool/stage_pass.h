/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_pass.h
 * What the parts of one pass share:
 *
 *   stage_pass.c     the steps of a pass
 *   stage_labour.c   the threads of this rank
 *   stage_batches.c  batches: taken, done, settled, and done again when their rank died
 *   stage_judge.c    the copies compared, and the outcome of all ranks summed up
 */
#ifndef BELAY_TOOL_STAGE_PASS_H
#define BELAY_TOOL_STAGE_PASS_H

#include "tool/stage.h"
#include "tool/stage_ledger.h"
#include "tool/stage_worker.h"

#include <stdatomic.h>

struct pass {
    struct stage *stage;
    unsigned number; /* from 0 */
    const struct stage_mode *mode;
    belay_node *node;
    belay_cache *cache;
    struct stage_tally *tally; /* of this rank */
    struct stage_ledger put, check;
    struct stage_view view; /* as this rank's workers left it */
    bool last;              /* no other pass follows */

    /* Of the step that is under way: */
    struct stage_ledger *ledger;
    int (*each)(struct stage_worker *worker, uint32_t piece);
    bool again;         /* batches are not done for the first time */
    atomic_uint cursor; /* workers that go through all batches together: the next one */

    /* Which batches each rank has put, for those who check: batches of rank r are owned[owned_from[r]...] */
    uint32_t *owned, *owned_from;
};

/* Let this rank's workers do @p work, one of them in this thread, and add up what they measured. */
typedef int (*labour)(struct pass *pass, struct stage_worker *worker);
int labour_all(struct pass *pass, labour work);

/* Put what is left to take, and flush: so that what has a receipt is safe. Then, when all ranks have met, put again what a lost
 * one left. */
int batches_put(struct pass *pass);
int batches_put_rest(struct pass *pass);

/* The same for getting the files back and comparing them. Files are checked by another rank than put them. */
int batches_check(struct pass *pass);
int batches_check_rest(struct pass *pass);

/* Compare the copies once there are all, and sum up what all ranks counted. For one rank: a crew_errand. @p value: struct
 * stage_outcome. @p context: struct pass. */
int judge_pass(void *value, void *context);

#endif
