/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_worker.h
 * One thread's part of a pass: put pieces into the cache, or get them back and compare them with the disk.
 */
#ifndef BELAY_TOOL_STAGE_WORKER_H
#define BELAY_TOOL_STAGE_WORKER_H

#include "belay.h"
#include "tool/stage_tally.h"
#include "tool/stage_tree.h"

/* The node's view as a worker saw it last: when it changes, calls may have to wait. */
struct stage_view {
    int number;
    uint64_t change_until; /* calls begun before have to do with its last change; clock_now() */
};

struct stage_worker {
    const struct stage_tree *tree;
    belay_node *node;
    belay_cache *cache;
    const char *mode; /* for messages */
    int directory;    /* open */
    uint32_t rank;
    void *buffer; /* grows to the longest piece that it meets */
    size_t room;
    struct stage_found found; /* of the batch at hand */
    struct stage_tally tally;
    struct stage_view view;
};

/* @return BELAY_OK, also when the piece cannot be read (that is counted), or why not to go on. */
int worker_put(struct stage_worker *worker, uint32_t piece);

/* @return BELAY_OK, also when the piece is lost or differs (that is counted), or why not to go on. */
int worker_check(struct stage_worker *worker, uint32_t piece);

void worker_release(struct stage_worker *worker);

#endif
