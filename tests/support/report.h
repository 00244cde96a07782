/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file report.h
 * What a test found: failures are counted and printed, and the test goes on. Any thread.
 */
#ifndef TESTS_REPORT_H
#define TESTS_REPORT_H

#include <stdbool.h>

/* Lines carry the program's name and rank from here on. */
void report_init(const char *program, int rank);

/* Count a failure and print it, unless there were too many already. */
void report_failure(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line about what was done, from this rank. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

unsigned report_failures(void);

/* True when @p result is the expected one, else a failure with both results' texts and belay_last_error(). */
bool report_result(const char *file, int line, const char *call, int result, int expected);

/* A failure unless the condition holds: the message says what was seen. True when it holds. */
#define CHECK(condition, ...)                                                                                \
    ((condition) ? true : (report_failure(__FILE__, __LINE__, "not (" #condition "): " __VA_ARGS__), false))

/* A failure unless the Belay call gives the expected result. True when it does. */
#define CHECK_RESULT(call, expected) report_result(__FILE__, __LINE__, #call, (call), (expected))
#define CHECK_OK(call)               CHECK_RESULT(call, BELAY_OK)

#endif
