/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file top_screen.h
 * Where `belay top` writes: a terminal, redrawn in place on its second screen, lines cut at its edge; or anything else, to
 * which reports go one behind the other.
 */
#ifndef BELAY_TOOL_TOP_SCREEN_H
#define BELAY_TOOL_TOP_SCREEN_H

#include <stdbool.h>

struct top_screen;

/* From here on Ctrl-C and SIGTERM only end top_wait(). NULL: no memory. */
struct top_screen *top_open(void);
void top_close(struct top_screen *screen); /* the terminal is as it was */

void top_begin(struct top_screen *screen);
void top_print(struct top_screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));
void top_end_line(struct top_screen *screen);
void top_show(struct top_screen *screen);

/* Wait. @return true: the user wants to stop. */
bool top_wait(struct top_screen *screen, double seconds);

#endif
