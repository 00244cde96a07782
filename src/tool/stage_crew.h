/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_crew.h
 * The ranks of a stage job as a crew that works through numbered steps together, and goes on when it loses some.
 *
 * Every rank pins a record on the board a few times a second: its step, what it did of it, and a beat that
 * shows that it lives. crew_meet() ends a step: it returns when all ranks have come that the cache's view still has;
 * who died is not waited for. It returns early with the reason when a rank has failed (it says so on the board) or has
 * not been heard of for CREW_SILENCE_SECONDS; so no rank waits for one that will not come.
 *
 * What one rank must do for all, the first of those alive does: crew_let_first().
 */
#ifndef BELAY_TOOL_STAGE_CREW_H
#define BELAY_TOOL_STAGE_CREW_H

#include "tool/stage_board.h"
#include "tool/stage_losses.h"

#include <stdbool.h>
#include <stdint.h>

enum { CREW_SILENCE_SECONDS = 60 };

typedef struct stage_crew stage_crew;

struct crew_done {
    uint64_t files, bytes;
};

/* Called by the crew's own thread a few times a second, at the first rank, with what all ranks did of the current step. */
typedef void (*crew_watcher)(const struct crew_done *sum, void *context);

/* @p watch NULL: none. Errors: NO_MEMORY, SYSTEM. */
int crew_open(struct stage_board *board, const struct stage_losses *losses, crew_watcher watch, void *context,
              stage_crew **out);
void crew_close(stage_crew *crew); /* may be NULL */

/* Count something as done of the current step. Any thread. */
void crew_did(stage_crew *crew, uint64_t files, uint64_t bytes);

/* Finish the current step and wait for the others. By one thread, when the others of this rank are done. */
int crew_meet(stage_crew *crew);

/* Make @p length bytes of @p value for all. @return BELAY_OK or why not to go on. */
typedef int (*crew_errand)(void *value, void *context);

/* By all ranks: the first one that lives runs @p errand and pins its value as @p done; the others wait for that. Should the
 * first die meanwhile, the next begins anew. @param[out] value of @p length bytes: the same on all ranks. */
int crew_let_first(stage_crew *crew, struct notice done, crew_errand errand, void *context, void *value,
                   size_t length);

/* Tell all that this rank cannot go on. Any thread. @return @p result */
int crew_fail(stage_crew *crew, int result);

/* Whether this rank or another has failed: then there is no point in working on. Any thread; one load. */
bool crew_stopped(const stage_crew *crew);

/* What failed first as far as this rank knows, BELAY_OK if nothing. */
int crew_result(const stage_crew *crew);

/* Sleep before asking again: short at first, then longer. *microseconds starts at 0. */
void crew_nap(unsigned *microseconds);

#endif
