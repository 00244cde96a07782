/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_crew.h
 * The ranks of a stage job as a crew that works through numbered steps together.
 *
 * Every rank pins a record on the board a few times a second: its step, what it did of it, and a beat that
 * shows that it lives. crew_meet() ends a step: it returns when all ranks have come. It returns early with
 * the reason when one has failed (it says so on the board) or has not been heard of for CREW_SILENCE_SECONDS;
 * so no rank waits for one that will not come.
 */
#ifndef BELAY_TOOL_STAGE_CREW_H
#define BELAY_TOOL_STAGE_CREW_H

#include "tool/stage_board.h"

#include <stdbool.h>
#include <stdint.h>

enum { CREW_SILENCE_SECONDS = 60 };

typedef struct stage_crew stage_crew;

struct crew_done {
    uint64_t files, bytes;
};

/* Called by the crew's own thread a few times a second with what all ranks did of the current step. */
typedef void (*crew_watcher)(const struct crew_done *sum, void *context);

/* @p watch NULL: none. Errors: NO_MEMORY, SYSTEM. */
int crew_open(struct stage_board *board, unsigned rank, unsigned ranks, crew_watcher watch, void *context,
              stage_crew **out);
void crew_close(stage_crew *crew); /* may be NULL */

/* Count something as done of the current step. Any thread. */
void crew_did(stage_crew *crew, uint64_t files, uint64_t bytes);

/* Finish the current step and wait for the others. By one thread, when the others of this rank are done. */
int crew_meet(stage_crew *crew);

/* Tell all that this rank cannot go on. Any thread. @return @p result */
int crew_fail(stage_crew *crew, int result);

/* Whether this rank or another has failed: then there is no point in working on. Any thread; one load. */
bool crew_stopped(const stage_crew *crew);

/* What failed first as far as this rank knows, BELAY_OK if nothing. */
int crew_result(const stage_crew *crew);

#endif
