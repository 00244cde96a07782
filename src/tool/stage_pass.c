/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage.h"

#include "base/clock.h"
#include "tool/message.h"
#include "tool/stage_worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pass {
    struct stage *stage;
    unsigned number;
    const struct stage_mode *mode;
    belay_node *node;
    belay_cache *cache;
    struct stage_tally *tally; /* of this rank */
    bool last;                 /* no other pass follows */
    struct stage_outcome *outcome;
    bool good;

    /* Which batches each rank has put, for those who check: batches of rank r are owned[owned_from[r]...] */
    uint32_t *owned, *owned_from;
};

typedef int (*work_function)(struct pass *pass, struct stage_worker *worker);

struct labour { /* one thread */
    struct pass *pass;
    work_function work;
    struct stage_worker *worker;
    pthread_t thread;
    int result;
};

/* ---- Threads ---- */

static void *labour_run(void *argument)
{
    struct labour *labour = argument;
    labour->result = labour->work(labour->pass, labour->worker);
    return NULL;
}

static struct stage_worker *worker_new(const struct pass *pass)
{
    struct stage_worker *worker = calloc(1, sizeof *worker);
    if (worker)
        *worker = (struct stage_worker){.tree = &pass->stage->tree,
                                        .cache = pass->cache,
                                        .mode = pass->mode->name,
                                        .directory = pass->stage->directory,
                                        .rank = pass->stage->rank};
    return worker;
}

/* Let this rank's workers do @p work, one of them in this thread, and add up what they tallied. */
static int run_workers(struct pass *pass, work_function work)
{
    unsigned jobs = pass->stage->options.jobs, begun = 0;
    struct labour *labours = calloc(jobs, sizeof *labours);
    if (!labours)
        return BELAY_ERR_NO_MEMORY;
    int result = BELAY_OK;
    for (; begun < jobs && result == BELAY_OK; ++begun) {
        struct labour *labour = &labours[begun];
        *labour = (struct labour){.pass = pass, .work = work, .worker = worker_new(pass)};
        bool last = begun + 1 == jobs;
        int error = !labour->worker ? ENOMEM
                    : last          ? 0
                                    : pthread_create(&labour->thread, NULL, labour_run, labour);
        if (error) {
            message("cannot start a thread: %s", strerror(error));
            free(labour->worker);
            result = BELAY_ERR_SYSTEM;
            break;
        }
        if (last)
            labour_run(labour);
    }
    for (unsigned i = 0; i < begun; ++i) {
        struct labour *labour = &labours[i];
        if (i + 1 < jobs)
            pthread_join(labour->thread, NULL);
        if (result == BELAY_OK)
            result = labour->result;
        tally_add(pass->tally, &labour->worker->tally);
        worker_release(labour->worker);
        free(labour->worker);
    }
    free(labours);
    return result;
}

/* ---- Putting ---- */

static uint64_t batch_bytes(const struct stage_tree *tree, const struct tree_batch *batch)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < batch->count; ++i)
        bytes += tree->pieces[batch->first + i].length;
    return bytes;
}

typedef int (*piece_function)(struct stage_worker *worker, uint32_t piece);

static int do_batch(struct pass *pass, struct stage_worker *worker, uint32_t number, piece_function each)
{
    const struct stage_tree *tree = &pass->stage->tree;
    const struct tree_batch *batch = &tree->batches[number];
    for (uint32_t i = 0; i < batch->count; ++i) {
        if (crew_stopped(pass->stage->crew))
            return crew_result(pass->stage->crew);
        int result = each(worker, batch->first + i);
        if (result != BELAY_OK)
            return result;
    }
    crew_did(pass->stage->crew, batch->count, batch_bytes(tree, batch));
    return BELAY_OK;
}

static int put_batches(struct pass *pass, struct stage_worker *worker)
{
    struct stage *stage = pass->stage;
    for (;;) {
        uint64_t batch;
        int result = board_take(&stage->board, (struct notice){"put", pass->number, 0}, &batch);
        if (result != BELAY_OK || batch >= stage->tree.batch_count)
            return result;
        result = do_batch(pass, worker, (uint32_t)batch, worker_put);
        if (result == BELAY_OK)
            result = board_put(&stage->board, (struct notice){"owner", pass->number, (uint32_t)batch},
                               &stage->rank, sizeof stage->rank);
        if (result != BELAY_OK)
            return result;
    }
}

static int put_all(struct pass *pass)
{
    struct stage_timing *timing = &pass->tally->put;
    uint64_t begun = clock_now();
    int result = run_workers(pass, put_batches);
    if (result != BELAY_OK)
        return result;
    uint64_t flush_begun = clock_now();
    result = belay_flush(pass->node);
    uint64_t now = clock_now();
    if (result != BELAY_OK)
        message("%s: flush: %s", pass->mode->name, belay_last_error());
    timing->in_cache += (now - flush_begun) * pass->stage->options.jobs; /* all workers wait for it */
    timing->elapsed = now - begun;
    timing->workers = pass->stage->options.jobs;
    return result;
}

/* ---- Checking ---- */

/* Sort the batches by who has put them. */
static int sort_owned(struct pass *pass, const unsigned *owners)
{
    const struct stage *stage = pass->stage;
    uint32_t *ends = calloc(stage->ranks + 1u, sizeof *ends);
    if (!ends)
        return BELAY_ERR_NO_MEMORY;
    for (uint32_t b = 0; b < stage->tree.batch_count; ++b)
        ++ends[owners[b] + 1];
    for (unsigned r = 0; r < stage->ranks; ++r)
        ends[r + 1] += ends[r];
    memcpy(pass->owned_from, ends, (stage->ranks + 1u) * sizeof *ends);
    for (uint32_t b = 0; b < stage->tree.batch_count; ++b)
        pass->owned[ends[owners[b]]++] = b;
    free(ends);
    return BELAY_OK;
}

static int learn_owners(struct pass *pass)
{
    struct stage *stage = pass->stage;
    uint32_t count = (uint32_t)stage->tree.batch_count;
    unsigned *owners = calloc(count + 1u, sizeof *owners);
    int *statuses = calloc(count + 1u, sizeof *statuses);
    pass->owned = calloc(count + 1u, sizeof *pass->owned);
    pass->owned_from = calloc(stage->ranks + 1u, sizeof *pass->owned_from);
    int result = BELAY_ERR_NO_MEMORY;
    if (!owners || !statuses || !pass->owned || !pass->owned_from)
        goto free_lists;
    result = board_get_range(&stage->board, "owner", pass->number, count, owners, sizeof *owners, statuses);
    for (uint32_t b = 0; b < count && result == BELAY_OK; ++b) {
        if (statuses[b] != BELAY_OK || owners[b] >= stage->ranks) {
            message("%s: nobody knows who has put batch %u: %s", pass->mode->name, b,
                    belay_strerror(statuses[b]));
            result = statuses[b] != BELAY_OK ? statuses[b] : BELAY_ERR_TYPE;
        }
    }
    if (result == BELAY_OK)
        result = sort_owned(pass, owners);
free_lists:
    free(owners);
    free(statuses);
    return result;
}

static int check_batches_of(struct pass *pass, struct stage_worker *worker, unsigned owner)
{
    uint32_t from = pass->owned_from[owner], count = pass->owned_from[owner + 1] - from;
    if (count == 0)
        return BELAY_OK;
    for (;;) {
        uint64_t taken;
        int result = board_take(&pass->stage->board, (struct notice){"check", pass->number, owner}, &taken);
        if (result != BELAY_OK || taken >= count)
            return result;
        result = do_batch(pass, worker, pass->owned[from + taken], worker_check);
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

static int check_all(struct pass *pass)
{
    int result = learn_owners(pass);
    if (result != BELAY_OK)
        return result;
    uint64_t begun = clock_now();
    result = run_workers(pass, check_batches);
    pass->tally->get.elapsed = clock_now() - begun;
    pass->tally->get.workers = pass->stage->options.jobs;
    return result;
}

/* ---- The copies, and all figures together: by the first rank ---- */

static int verify(struct pass *pass, struct stage_outcome *outcome)
{
    uint64_t begun = clock_now();
    outcome->verify_result = belay_verify(pass->cache, &outcome->verify);
    outcome->verify_elapsed = clock_now() - begun;
    if (outcome->verify_result == BELAY_OK || outcome->verify_result == BELAY_ERR_DIFFERS)
        return BELAY_OK;
    message("%s: verify: %s", pass->mode->name, belay_last_error());
    return outcome->verify_result;
}

static int sum_up(struct pass *pass, struct stage_tally *sum)
{
    struct stage *stage = pass->stage;
    struct stage_tally *one = malloc(sizeof *one);
    int result = one ? BELAY_OK : BELAY_ERR_NO_MEMORY;
    memset(sum, 0, sizeof *sum);
    for (unsigned r = 0; r < stage->ranks && result == BELAY_OK; ++r) {
        result = board_get(&stage->board, (struct notice){"tally", pass->number, r}, one, sizeof *one);
        if (result == BELAY_OK)
            tally_add(sum, one);
    }
    free(one);
    return result;
}

bool stage_outcome_good(const struct stage_outcome *outcome)
{
    return outcome->tally.lost == 0 && outcome->tally.differing == 0 && outcome->verify_result == BELAY_OK;
}

/* ---- The steps of a pass. All ranks meet behind each. ---- */

static void show_step(const struct pass *pass, const char *name)
{
    char title[48];
    snprintf(title, sizeof title, "%-12s %-6s", pass->mode->name, name);
    progress_step(pass->stage->progress, title, pass->stage->tree.piece_count, pass->stage->tree.bytes);
}

static int step_put(struct pass *pass)
{
    show_step(pass, "put");
    return put_all(pass);
}

static int step_check(struct pass *pass)
{
    struct stage *stage = pass->stage;
    show_step(pass, "get");
    int result = check_all(pass);
    if (result != BELAY_OK)
        return result;
    struct notice tally = {"tally", pass->number, stage->rank};
    return board_put(&stage->board, tally, pass->tally, sizeof *pass->tally);
}

static int step_judge(struct pass *pass)
{
    struct stage *stage = pass->stage;
    progress_erase(stage->progress);
    if (stage->rank != 0)
        return BELAY_OK;
    int result = verify(pass, pass->outcome);
    if (result == BELAY_OK)
        result = sum_up(pass, &pass->outcome->tally);
    if (result != BELAY_OK)
        return result;
    uint8_t good = stage_outcome_good(pass->outcome);
    return board_put(&stage->board, (struct notice){"verdict", pass->number, 0}, &good, sizeof good);
}

static int step_conclude(struct pass *pass)
{
    struct stage *stage = pass->stage;
    uint8_t good;
    int result = board_get(&stage->board, (struct notice){"verdict", pass->number, 0}, &good, sizeof good);
    if (result != BELAY_OK)
        return result;
    pass->good = good != 0;
    return stage->rank == 0 && !pass->last ? belay_clear(pass->cache)
                                           : BELAY_OK; /* makes room for the next */
}

static int run_steps(struct pass *pass)
{
    static int (*const steps[])(struct pass *) = {step_put, step_check, step_judge, step_conclude};
    int result = crew_meet(pass->stage->crew); /* so that the first step is timed from one moment on */
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && result == BELAY_OK; ++i) {
        result = steps[i](pass);
        if (result == BELAY_OK)
            result = crew_meet(pass->stage->crew);
    }
    return result;
}

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

int stage_pass(struct stage *stage, belay_node *node, unsigned number, const struct stage_mode *mode,
               bool last, struct stage_outcome *outcome, bool *good)
{
    struct pass pass = {
        .stage = stage, .number = number, .mode = mode, .node = node, .last = last, .outcome = outcome};
    outcome->mode = mode;
    pass.tally = calloc(1, sizeof *pass.tally);
    int result = pass.tally ? open_cache(&pass) : BELAY_ERR_NO_MEMORY;
    if (result == BELAY_OK)
        result = run_steps(&pass);
    if (result == BELAY_OK)
        *good = pass.good;
    else if (result == BELAY_ERR_NO_SPACE && !crew_stopped(stage->crew))
        stage_explain_no_space(stage);
    if (result != BELAY_OK)
        crew_fail(stage->crew, result);
    belay_cache_close(pass.cache);
    free(pass.owned);
    free(pass.owned_from);
    free(pass.tally);
    return result;
}
