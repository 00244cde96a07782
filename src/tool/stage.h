/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage.h
 * What the parts of `belay stage` share. The course of a job:
 *
 *   stage.c         While MPI is up, the first rank walks the tree, all get its list, and the node opens.
 *   stage_pass.c    For each write synchronization mode a pass over the tree in a cache of its own: ranks take
 *                   batches and put them, flush, take batches that others put and check them; one rank compares the
 *                   copies and sums up what all have pinned on the board.
 *   stage_report.c  One rank tells the outcomes.
 *
 * From the opening of the node on, ranks may die. The others finish the job: stage_losses.h knows who is left, stage_crew.h lets
 * nobody wait for the dead, stage_ledger.h has their work done again.
 */
#ifndef BELAY_TOOL_STAGE_H
#define BELAY_TOOL_STAGE_H

#include "belay.h"
#include "tool/progress.h"
#include "tool/stage_board.h"
#include "tool/stage_crew.h"
#include "tool/stage_losses.h"
#include "tool/stage_tally.h"
#include "tool/stage_tree.h"

#include <stdbool.h>
#include <stdio.h>

enum { STAGE_MODES = 3 };

/* The first rank's count for all: plain data, sent as it is. */
struct stage_options {
    uint64_t limit, piece_size; /* bytes */
    unsigned backups, jobs;
    unsigned modes; /* bit m: pass over the tree with stage_modes[m] */
    bool keep_going, quiet;
    bool kill; /* one rank kills itself when so many percent of the batches are taken */
    unsigned kill_rank, kill_percent;
    int style; /* enum progress_style */
};

struct stage_mode {
    belay_sync sync;
    const char *name;
    const char *cache;
};

extern const struct stage_mode stage_modes[STAGE_MODES];

/* What came out of one pass, of all ranks. Plain data, but for the mode, which every rank sets for itself. */
struct stage_outcome {
    const struct stage_mode *mode;
    struct stage_found put, got;
    struct stage_tally tally; /* of the ranks that lived to the end */
    struct node_set lost;     /* ranks that died since the pass before */
    uint64_t staged_again;    /* pieces: they were taken by a lost rank, or may have been lost with it */
    uint64_t restore_elapsed; /* nanoseconds until there were all copies again */
    bool restored;            /* there are all copies that there can be */
    belay_verify_report verify;
    uint64_t verify_elapsed; /* nanoseconds */
    int verify_result;
};

struct stage {
    struct stage_options options;
    const char *directory_name;
    const char *json_name; /* NULL: none */
    int directory;         /* open */
    unsigned rank, ranks;
    struct stage_tree tree;
    uint64_t arena_size; /* bytes per node that this job asked for */
    struct stage_losses losses;
    struct stage_board board;
    stage_crew *crew;
    progress *progress; /* NULL: quiet */
    struct stage_outcome outcomes[STAGE_MODES];
    unsigned passes; /* that have an outcome */
};

/**
 * One pass over the tree, by all ranks together; its outcome is added to the stage's. @p last: none follows, so its data
 * may stay.
 * @return BELAY_OK or why the job cannot go on; the others then know.
 */
int stage_pass(struct stage *stage, belay_node *node, const struct stage_mode *mode, bool last);

bool stage_outcome_good(const struct stage_outcome *outcome);

/* Partitions of a cache for this tree, and bytes of arena that each node needs for the job. */
unsigned stage_partitions(const struct stage *stage);
uint64_t stage_arena_size(const struct stage *stage);

/* Tell what to do when an arena was too small. */
void stage_explain_no_space(const struct stage *stage);

/* stage_report.c: the table of all passes, for people. */
void stage_print_table(FILE *stream, const struct stage *stage);

/* stage_json.c: the same for programs. @return false: could not be written; told why. */
bool stage_write_json(FILE *stream, const struct stage *stage);

#endif
