/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/message.h"
#include "tool/stage_pass.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct labourer { /* one thread */
    struct pass *pass;
    labour work;
    struct stage_worker *worker;
    pthread_t thread;
    int result;
};

static void *run(void *argument)
{
    struct labourer *labourer = argument;
    labourer->result = labourer->work(labourer->pass, labourer->worker);
    return NULL;
}

static struct stage_worker *worker_new(const struct pass *pass)
{
    struct stage_worker *worker = calloc(1, sizeof *worker);
    if (worker)
        *worker = (struct stage_worker){.tree = &pass->stage->tree,
                                        .node = pass->node,
                                        .cache = pass->cache,
                                        .mode = pass->mode->name,
                                        .directory = pass->stage->directory,
                                        .rank = pass->stage->rank,
                                        .view = pass->view};
    return worker;
}

int labour_all(struct pass *pass, labour work)
{
    unsigned jobs = pass->stage->options.jobs, begun = 0;
    struct labourer *labourers = calloc(jobs, sizeof *labourers);
    if (!labourers)
        return BELAY_ERR_NO_MEMORY;
    int result = BELAY_OK;
    for (; begun < jobs && result == BELAY_OK; ++begun) {
        struct labourer *labourer = &labourers[begun];
        *labourer = (struct labourer){.pass = pass, .work = work, .worker = worker_new(pass)};
        bool last = begun + 1 == jobs;
        int error = !labourer->worker ? ENOMEM
                    : last            ? 0
                                      : pthread_create(&labourer->thread, NULL, run, labourer);
        if (error) {
            message("cannot start a thread: %s", strerror(error));
            free(labourer->worker);
            result = BELAY_ERR_SYSTEM;
            break;
        }
        if (last)
            run(labourer);
    }
    for (unsigned i = 0; i < begun; ++i) {
        struct labourer *labourer = &labourers[i];
        if (i + 1 < jobs)
            pthread_join(labourer->thread, NULL);
        if (result == BELAY_OK)
            result = labourer->result;
        tally_add(pass->tally, &labourer->worker->tally);
        if (labourer->worker->view.number > pass->view.number)
            pass->view = labourer->worker->view;
        worker_release(labourer->worker);
        free(labourer->worker);
    }
    free(labourers);
    return result;
}
