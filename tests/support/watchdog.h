/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file watchdog.h
 * Ends a process that hangs, and says where each of its threads was.
 *
 * A hung job is ended by all of its ranks at about the same time, so every rank's lines are seen.
 */
#ifndef TESTS_WATCHDOG_H
#define TESTS_WATCHDOG_H

/* End the process with status 1 in @p seconds from now (0: never). May be called again to set a new limit. */
void watchdog_start(const char *program, int rank, unsigned seconds);

/* What this thread is doing now. Any thread; cheap enough for every few operations, not for every one. */
void at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print what every thread is doing. Safe in a signal handler. */
void watchdog_report(void);

#endif
