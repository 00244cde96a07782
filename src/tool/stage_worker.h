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
    int view;            /* of the node, when it was last looked at */
    uint64_t view_until; /* calls begun before are put down to its change; 0: it has not changed */
};

/* @return BELAY_OK, also when the piece cannot be read (that is counted), or why not to go on. */
int worker_put(struct stage_worker *worker, uint32_t piece);

/* @return BELAY_OK, also when the piece is lost or differs (that is counted), or why not to go on. */
int worker_check(struct stage_worker *worker, uint32_t piece);

void worker_release(struct stage_worker *worker);

#endif
