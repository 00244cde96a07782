/* SPDX-License-Identifier: BSD-3-Clause */
#include "watchdog.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 1024, POSITION_SIZE = 160 };

/* Kept as text, since a signal handler may not format. Places are never given back: a thread that has ended
 * says so. */
static char positions[THREADS_MAX][POSITION_SIZE];
static atomic_int positions_used;
static _Thread_local int own = -1;
static char heading[80];

void at(const char *format, ...)
{
    if (own < 0)
        own = atomic_fetch_add(&positions_used, 1);
    if (own >= THREADS_MAX)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(positions[own], POSITION_SIZE, format, arguments);
    va_end(arguments);
}

static void write_text(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

void watchdog_report(void)
{
    int used = atomic_load(&positions_used);
    for (int i = 0; i < used && i < THREADS_MAX; ++i) {
        char line[sizeof heading + POSITION_SIZE + 8];
        size_t length = strlen(heading);
        memcpy(line, heading, length);
        size_t position = strnlen(positions[i], POSITION_SIZE - 1);
        memcpy(line + length, positions[i], position);
        memcpy(line + length + position, "\n", 2);
        write_text(line);
    }
}

static void bark(int signal_number)
{
    (void)signal_number;
    watchdog_report();
    sleep(2); /* mpirun kills the others as soon as one rank ends: let them report too */
    _exit(1);
}

void watchdog_start(const char *program, int rank, unsigned seconds)
{
    snprintf(heading, sizeof heading, "%s[%d]: hung after %u s: ", program, rank, seconds);
    struct sigaction action = {.sa_handler = bark};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}
