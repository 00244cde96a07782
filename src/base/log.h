/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file log.h
 * Messages for humans, and the text that belay_last_error() gives.
 *
 * Whoever decides an error calls log_error(code, ...) once and returns its result; callers above pass the code on
 * without another message. Levels by BELAY_LOG: error, warn (default), info, debug, off. A line starts with
 * "belay[node]: level:". Any thread may log; lines are written whole.
 */
#ifndef BELAY_LOG_H
#define BELAY_LOG_H

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Read BELAY_LOG once and remember the node id that lines carry (-1: none yet). */
void log_init(int node);

/* Log an error, keep its text for belay_last_error() of this thread, and return @p code. */
int log_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* As log_error() for results that are part of normal use (a bad argument, a full arena under load): keeps the text for
 * belay_last_error(), prints it at debug level only. */
int log_quiet(int code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2), cold));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

#ifdef __clang_analyzer__ /* which cannot see that they return their code */
#define log_error(code, ...) (log_debug(__VA_ARGS__), (code))
#define log_quiet(code, ...) (log_debug(__VA_ARGS__), (code))
#endif

const char *log_last_error(void);
void log_clear_error(void);

#endif
