/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage.h
 * What the parts of `belay stage` share. The course of a job:
 *
 *   stage.c         While MPI is up, the first rank walks the tree, all get its list, and the node opens.
 *   stage_pass.c    For each write synchronization mode a pass over the tree in a cache of its own: ranks
 *                   claim batches and put them, flush, claim batches that others put and check them, compare the
 *                   copies, and tell their figures on the board.
 *   stage_report.c  The first rank sums them up.
 */
#ifndef BELAY_TOOL_STAGE_H
#define BELAY_TOOL_STAGE_H

#include "belay.h"
#include "tool/progress.h"
#include "tool/stage_board.h"
#include "tool/stage_crew.h"
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
    int style; /* enum progress_style */
};

struct stage_mode {
    belay_sync sync;
    const char *name;
    const char *cache;
};

extern const struct stage_mode stage_modes[STAGE_MODES];

struct stage {
    struct stage_options options;
    const char *directory_name;
    int directory; /* open */
    unsigned rank, ranks;
    struct stage_tree tree;
    uint64_t arena_size; /* bytes per node that this job asked for */
    struct stage_board board;
    stage_crew *crew;
    progress *progress; /* of the first rank */
};

/* What came out of one pass, of all ranks; known to the first. */
struct stage_outcome {
    const struct stage_mode *mode;
    struct stage_tally tally;
    belay_verify_report verify;
    uint64_t verify_elapsed; /* nanoseconds */
    int verify_result;
};

/**
 * One pass over the tree, by all ranks together. @p number: from 0. @p last: none follows, so
 * its data may stay.
 * @param[out] outcome set at the first rank.
 * @param[out] good all is intact; equal on all ranks.
 * @return BELAY_OK or why the job cannot go on; the others then know.
 */
int stage_pass(struct stage *stage, belay_node *node, unsigned number, const struct stage_mode *mode,
               bool last, struct stage_outcome *outcome, bool *good);

bool stage_outcome_good(const struct stage_outcome *outcome);

/* Partitions of a cache for this tree, and bytes of arena that each node needs for the job. */
unsigned stage_partitions(const struct stage *stage);
uint64_t stage_arena_size(const struct stage *stage);

/* Tell what to do when an arena was too small. */
void stage_explain_no_space(const struct stage *stage);

/* stage_report.c: the table of all passes, for people. */
void stage_print_table(FILE *stream, const struct stage *stage, const struct stage_outcome *outcomes,
                       unsigned count);

/* stage_json.c: the same for programs. @return false: could not be written; told why. */
bool stage_write_json(FILE *stream, const struct stage *stage, const struct stage_outcome *outcomes,
                      unsigned count);

#endif
