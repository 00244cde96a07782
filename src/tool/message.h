/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file message.h
 * Lines of the tool for humans, on standard error: whole lines by one write, so that those of several ranks
 * and threads do not mix. They start with the command's name, and with the rank where there are several. Any
 * thread may call.
 */
#ifndef BELAY_TOOL_MESSAGE_H
#define BELAY_TOOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

/* What lines start with from now on. @p rank -1: no rank shown. */
void message_begin(const char *command, int rank);

/* Some rank draws a progress bar: lines erase it first. */
void message_over_bar(bool bar);

void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For errors that every rank finds by itself, such as wrong arguments: the first rank alone speaks. */
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A file name for a line: control characters and backslashes as \ooo, cut to the room there is. Gives
 * @p text. */
const char *printable(const char *name, size_t length, char *text, size_t room);

#endif
