/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_pass.h"

#include "base/clock.h"
#include "tool/message.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- One batch ---- */

static uint64_t batch_bytes(const struct stage_tree *tree, const struct tree_batch *batch)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < batch->count; ++i)
        bytes += tree->pieces[batch->first + i].length;
    return bytes;
}

/* What is put is safe at once with FULL_SYNC, else after a flush; what is read back needs no safety. */
static bool needs_flush(const struct pass *pass)
{
    return pass->ledger == &pass->put && pass->mode->sync != BELAY_FULL_SYNC;
}

static int do_batch(struct pass *pass, struct stage_worker *worker, uint32_t number)
{
    const struct stage_tree *tree = &pass->stage->tree;
    const struct tree_batch *batch = &tree->batches[number];
    worker->found = (struct stage_found){0};
    for (uint32_t i = 0; i < batch->count; ++i) {
        if (crew_stopped(pass->stage->crew))
            return crew_result(pass->stage->crew);
        int result = pass->each(worker, batch->first + i);
        if (result != BELAY_OK)
            return result;
    }
    crew_did(pass->stage->crew, batch->count, batch_bytes(tree, batch));
    const struct stage_receipt receipt = {worker->rank, pass->again ? batch->count : 0, worker->found};
    if (!needs_flush(pass))
        return ledger_enter(pass->ledger, number, &receipt);
    ledger_defer(pass->ledger, number, &receipt);
    return BELAY_OK;
}

/* ---- Batches whose rank was lost ---- */

static int do_claimed(struct pass *pass, struct stage_worker *worker)
{
    for (;;) {
        uint32_t batch = atomic_fetch_add(&pass->cursor, 1);
        if (batch >= pass->ledger->batches)
            return BELAY_OK;
        if (pass->ledger->statuses[batch] == BELAY_OK)
            continue;
        bool mine;
        int result = ledger_claim(pass->ledger, batch, &mine);
        if (result == BELAY_OK && mine)
            result = do_batch(pass, worker, batch);
        if (result != BELAY_OK)
            return result;
    }
}

static int do_deferred_again(struct pass *pass, struct stage_worker *worker)
{
    for (;;) {
        uint32_t batch = atomic_fetch_add(&pass->cursor, 1);
        if (batch >= pass->ledger->batches)
            return BELAY_OK;
        int result = pass->ledger->deferred[batch] ? do_batch(pass, worker, batch) : BELAY_OK;
        if (result != BELAY_OK)
            return result;
    }
}

static int all_workers_again(struct pass *pass, labour work)
{
    pass->again = true;
    atomic_store(&pass->cursor, 0);
    return labour_all(pass, work);
}

/* Flush, and enter what was deferred until then. Writes that may have died with a rank are made again. */
static int settle(struct pass *pass)
{
    int result = belay_flush(pass->node);
    for (unsigned tries = 0; result == BELAY_ERR_NODE_FAILED && tries < pass->stage->ranks; ++tries) {
        result = all_workers_again(pass, do_deferred_again);
        if (result != BELAY_OK)
            return result;
        result = belay_flush(pass->node);
    }
    if (result == BELAY_OK)
        return ledger_enter_deferred(pass->ledger);
    message("%s: flush: %s", pass->mode->name, belay_last_error());
    return result;
}

/* Until there is a receipt for every batch, do those that nobody who lives is doing. */
static int do_rest(struct pass *pass)
{
    unsigned pause = 0;
    for (;;) {
        uint32_t missing;
        int result = ledger_read(pass->ledger, &missing);
        if (result != BELAY_OK || missing == 0)
            return result;
        if (crew_stopped(pass->stage->crew))
            return crew_result(pass->stage->crew);
        result = all_workers_again(pass, do_claimed);
        if (result == BELAY_OK && needs_flush(pass))
            result = settle(pass);
        if (result != BELAY_OK)
            return result;
        crew_nap(&pause);
    }
}

/* ---- Putting ---- */

/* --kill */
static void die_if_asked(const struct pass *pass, struct stage_worker *worker, uint64_t taken)
{
    const struct stage *stage = pass->stage;
    const struct stage_options *options = &stage->options;
    uint64_t batches = stage->tree.batch_count;
    if (!options->kill || options->kill_rank != stage->rank || taken * 100 < options->kill_percent * batches)
        return;
    for (uint32_t i = 0; taken < batches && i < (stage->tree.batches[taken].count + 1) / 2; ++i)
        worker_put(worker, stage->tree.batches[taken].first + i); /* half-way */
    raise(SIGKILL);
}

static int put_batches(struct pass *pass, struct stage_worker *worker)
{
    for (;;) {
        uint64_t batch;
        int result = ledger_take(pass->ledger, 0, &batch);
        if (result == BELAY_OK)
            die_if_asked(pass, worker, batch);
        if (result != BELAY_OK || batch >= pass->ledger->batches)
            return result;
        result = do_batch(pass, worker, (uint32_t)batch);
        if (result != BELAY_OK)
            return result;
    }
}

int batches_put(struct pass *pass)
{
    struct stage_timing *timing = &pass->tally->put;
    pass->ledger = &pass->put;
    pass->each = worker_put;
    pass->again = false;
    uint64_t begun = clock_now();
    int result = labour_all(pass, put_batches);
    if (result != BELAY_OK)
        return result;
    uint64_t flush_begun = clock_now();
    result = settle(pass);
    uint64_t now = clock_now();
    timing->workers = pass->stage->options.jobs;
    timing->in_cache += (now - flush_begun) * timing->workers; /* all workers wait for it */
    timing->elapsed = now - begun;
    return result;
}

int batches_put_rest(struct pass *pass)
{
    uint64_t begun = clock_now();
    int result = do_rest(pass);
    pass->tally->put.elapsed += clock_now() - begun;
    return result;
}

/* ---- Checking ---- */

/* Sort the batches by who has put them. */
static int sort_owned(struct pass *pass)
{
    const struct stage_ledger *put = &pass->put;
    unsigned ranks = pass->stage->ranks;
    uint32_t *ends = calloc(ranks + 1u, sizeof *ends);
    pass->owned = calloc(put->batches + 1u, sizeof *pass->owned);
    pass->owned_from = calloc(ranks + 1u, sizeof *pass->owned_from);
    if (!ends || !pass->owned || !pass->owned_from) {
        free(ends);
        return BELAY_ERR_NO_MEMORY;
    }
    for (uint32_t b = 0; b < put->batches; ++b)
        ++ends[put->receipts[b].rank + 1];
    for (unsigned r = 0; r < ranks; ++r)
        ends[r + 1] += ends[r];
    memcpy(pass->owned_from, ends, (ranks + 1u) * sizeof *ends);
    for (uint32_t b = 0; b < put->batches; ++b)
        pass->owned[ends[put->receipts[b].rank]++] = b;
    free(ends);
    return BELAY_OK;
}

static int check_batches_of(struct pass *pass, struct stage_worker *worker, unsigned owner)
{
    uint32_t from = pass->owned_from[owner], count = pass->owned_from[owner + 1] - from;
    if (count == 0)
        return BELAY_OK;
    for (;;) {
        uint64_t taken;
        int result = ledger_take(pass->ledger, owner, &taken);
        if (result != BELAY_OK || taken >= count)
            return result;
        result = do_batch(pass, worker, pass->owned[from + taken]);
        if (result != BELAY_OK)
            return result;
    }
}

/* Check what others have put, beginning with the next rank; one's own only when there are no others. */
static int check_batches(struct pass *pass, struct stage_worker *worker)
{
    const struct stage *stage = pass->stage;
    for (unsigned step = 1; step <= stage->ranks; ++step) {
        unsigned owner = (stage->rank + step) % stage->ranks;
        int result = owner != stage->rank || stage->ranks == 1 ? check_batches_of(pass, worker, owner)
                                                               : BELAY_OK;
        if (result != BELAY_OK)
            return result;
    }
    return BELAY_OK;
}

int batches_check(struct pass *pass)
{
    struct stage_timing *timing = &pass->tally->get;
    int result = sort_owned(pass);
    if (result != BELAY_OK)
        return result;
    pass->ledger = &pass->check;
    pass->each = worker_check;
    pass->again = false;
    uint64_t begun = clock_now();
    result = labour_all(pass, check_batches);
    timing->workers = pass->stage->options.jobs;
    timing->elapsed = clock_now() - begun;
    return result;
}

int batches_check_rest(struct pass *pass)
{
    uint64_t begun = clock_now();
    int result = do_rest(pass);
    pass->tally->get.elapsed += clock_now() - begun;
    return result;
}
