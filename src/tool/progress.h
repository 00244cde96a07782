/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file progress.h
 * How far a long step is, on standard error: a bar that redraws its line on a terminal, else a line now and
 * then.
 *
 * Under mpirun a rank's standard error is a pipe to its launcher. Whether a person sees it is told by where
 * the launcher's own standard error goes.
 */
#ifndef BELAY_TOOL_PROGRESS_H
#define BELAY_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_style { PROGRESS_NONE, PROGRESS_LINES, PROGRESS_BAR };

/* PROGRESS_BAR if standard error, possibly by way of the launcher, is a terminal that can redraw a line; else
 * PROGRESS_LINES. */
enum progress_style progress_choose(void);

typedef struct progress progress;

/* @return NULL without memory: all calls accept that and show nothing. */
progress *progress_open(enum progress_style style);
void progress_close(progress *p);

/* A new step of so many files and bytes begins. @p title is copied. */
void progress_step(progress *p, const char *title, uint64_t files, uint64_t bytes);

/* This much of it is done. To be called often: draws only when it is time to. */
void progress_show(progress *p, uint64_t files, uint64_t bytes);

/* Take the bar off the line. */
void progress_erase(progress *p);

#endif
