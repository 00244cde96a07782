/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_pass.h"

#include "tool/message.h"

#include <stdlib.h>

/* ---- The steps. All ranks meet behind each. ---- */

static void show_step(const struct pass *pass, const char *name)
{
    const struct stage *stage = pass->stage;
    char title[48];
    snprintf(title, sizeof title, "%-12s %-6s", pass->mode->name, name);
    progress_step(stage->progress, title, stage->tree.piece_count, stage->tree.bytes);
    if (losses_is_first(&stage->losses))
        progress_show(stage->progress, 0, 0);
}

static int step_put(struct pass *pass)
{
    show_step(pass, "put");
    return batches_put(pass);
}

static int step_check(struct pass *pass)
{
    show_step(pass, "get");
    return batches_check(pass);
}

static int step_check_rest(struct pass *pass)
{
    struct stage *stage = pass->stage;
    int result = batches_check_rest(pass);
    progress_erase(stage->progress);
    return result == BELAY_OK ? board_put(&stage->board, (struct notice){"tally", pass->number, stage->rank},
                                          pass->tally, sizeof *pass->tally)
                              : result;
}

static int step_judge(struct pass *pass)
{
    struct stage *stage = pass->stage;
    return crew_let_first(stage->crew, (struct notice){"outcome", pass->number, 0}, judge_pass, pass,
                          &stage->outcomes[pass->number], sizeof stage->outcomes[0]);
}

static int clear(void *value, void *context)
{
    const struct pass *pass = context;
    *(uint8_t *)value = 1;
    return belay_clear(pass->cache);
}

/* Make room for the next pass. */
static int step_clear(struct pass *pass)
{
    uint8_t cleared;
    if (pass->last)
        return BELAY_OK;
    return crew_let_first(pass->stage->crew, (struct notice){"cleared", pass->number, 0}, clear, pass,
                          &cleared, sizeof cleared);
}

static int run_steps(struct pass *pass)
{
    static int (*const steps[])(struct pass *) = {step_put,        batches_put_rest, step_check,
                                                  step_check_rest, step_judge,       step_clear};
    int result = crew_meet(pass->stage->crew); /* so that the first step is timed from one moment on */
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && result == BELAY_OK; ++i) {
        result = steps[i](pass);
        if (result == BELAY_OK)
            result = crew_meet(pass->stage->crew);
    }
    return result;
}

/* ---- A pass ---- */

static int open_cache(struct pass *pass)
{
    const belay_cache_config config = {
        .name = pass->mode->cache,
        .backups = pass->stage->options.backups,
        .write_synchronization_mode = pass->mode->sync,
        .partitions = stage_partitions(pass->stage),
    };
    int result = belay_cache_open(pass->node, &config, &pass->cache);
    if (result != BELAY_OK)
        message("cannot open the cache %s: %s", config.name, belay_last_error());
    return result;
}

static int open_pass(struct pass *pass)
{
    struct stage *stage = pass->stage;
    uint32_t batches = (uint32_t)stage->tree.batch_count;
    pass->view.number = belay_view_number(pass->node);
    pass->tally = calloc(1, sizeof *pass->tally);
    int result = pass->tally ? BELAY_OK : BELAY_ERR_NO_MEMORY;
    if (result == BELAY_OK)
        result = ledger_open(&pass->put, LEDGER_PUT, &stage->board, &stage->losses, pass->number, batches);
    if (result == BELAY_OK)
        result = ledger_open(&pass->check, LEDGER_CHECK, &stage->board, &stage->losses, pass->number,
                             batches);
    return result == BELAY_OK ? open_cache(pass) : result;
}

static void close_pass(struct pass *pass)
{
    belay_cache_close(pass->cache);
    ledger_close(&pass->put);
    ledger_close(&pass->check);
    free(pass->owned);
    free(pass->owned_from);
    free(pass->tally);
}

int stage_pass(struct stage *stage, belay_node *node, const struct stage_mode *mode, bool last)
{
    struct pass pass = {.stage = stage, .number = stage->passes, .mode = mode, .node = node, .last = last};
    int result = open_pass(&pass);
    if (result == BELAY_OK)
        result = run_steps(&pass);
    if (result == BELAY_OK)
        stage->outcomes[stage->passes++].mode = mode;
    else if (result == BELAY_ERR_NO_SPACE && !crew_stopped(stage->crew))
        stage_explain_no_space(stage);
    if (result != BELAY_OK)
        crew_fail(stage->crew, result);
    close_pass(&pass);
    return result;
}
