/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_pass.h"

#include "base/clock.h"
#include "tool/message.h"

#include <stdlib.h>

enum { RESTORE_SECONDS = 300 };

/* Compare the copies when there are as many as there can be; anew if a rank is lost meanwhile. */
static int verify(const struct pass *pass, struct stage_outcome *outcome)
{
    int view, result;
    uint64_t begun;
    do {
        view = belay_view_number(pass->node);
        begun = clock_now();
        result = belay_await_copies(pass->cache, RESTORE_SECONDS * 1000);
        outcome->restored = result == BELAY_OK;
        if (result == BELAY_ERR_TIMEOUT)
            message("%s: %s", pass->mode->name, belay_last_error());
        outcome->restore_elapsed = clock_now() - begun;
        begun = clock_now();
        if (result == BELAY_OK || result == BELAY_ERR_TIMEOUT)
            result = outcome->verify_result = belay_verify(pass->cache, &outcome->verify);
        outcome->verify_elapsed = clock_now() - begun;
    } while (belay_view_number(pass->node) != view && !crew_stopped(pass->stage->crew));
    if (result == BELAY_OK || result == BELAY_ERR_DIFFERS)
        return BELAY_OK;
    message("%s: verify: %s", pass->mode->name, belay_last_error());
    return result;
}

/* A rank that died has taken its tally along. */
static int sum_up_tallies(const struct pass *pass, struct stage_tally *sum)
{
    struct stage *stage = pass->stage;
    struct stage_tally *one = malloc(sizeof *one);
    int result = one ? BELAY_OK : BELAY_ERR_NO_MEMORY;
    for (unsigned r = 0; r < stage->ranks && result == BELAY_OK; ++r) {
        result = board_get(&stage->board, (struct notice){"tally", pass->number, r}, one, sizeof *one);
        if (result == BELAY_OK)
            tally_add(sum, one);
        else if (result == BELAY_ERR_NOT_FOUND && losses_has(&stage->losses, r))
            result = BELAY_OK;
    }
    free(one);
    return result;
}

int judge_pass(void *value, void *context)
{
    struct stage_outcome *outcome = value;
    struct pass *pass = context;
    uint64_t checked_again;
    *outcome = (struct stage_outcome){0};
    int result = verify(pass, outcome);
    if (result == BELAY_OK)
        result = sum_up_tallies(pass, &outcome->tally);
    if (result != BELAY_OK)
        return result;
    ledger_sum(&pass->put, &outcome->put, &outcome->staged_again);
    ledger_sum(&pass->check, &outcome->got, &checked_again);
    outcome->lost = losses_all(&pass->stage->losses);
    for (unsigned i = 0; i < pass->number; ++i)
        outcome->lost = node_set_minus(&outcome->lost, &pass->stage->outcomes[i].lost);
    return BELAY_OK;
}

bool stage_outcome_good(const struct stage_outcome *outcome)
{
    return outcome->got.lost == 0 && outcome->got.differing == 0 && outcome->restored &&
           outcome->verify_result == BELAY_OK;
}
