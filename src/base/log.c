/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum log_level level_shown = LOG_WARN;
static int log_node = -1;
static _Thread_local char last_error[512];

static const char *const level_names[] = {"off", "error", "warn", "info", "debug"};

void log_init(int node)
{
    log_node = node;
    const char *wanted = getenv("BELAY_LOG");
    if (!wanted)
        return;
    for (int level = LOG_OFF; level <= LOG_DEBUG; ++level)
        if (strcmp(wanted, level_names[level]) == 0)
            level_shown = (enum log_level)level;
}

static void print_line(enum log_level level, const char *text)
{
    char line[640];
    int length;
    if (log_node >= 0)
        length = snprintf(line, sizeof line, "belay[%d]: %s: %s\n", log_node, level_names[level], text);
    else
        length = snprintf(line, sizeof line, "belay: %s: %s\n", level_names[level], text);
    if (length >= (int)sizeof line)
        length = sizeof line - 1;
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written;
}

int(log_error)(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    if (level_shown >= LOG_ERROR)
        print_line(LOG_ERROR, last_error);
    return code;
}

int(log_quiet)(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    if (level_shown >= LOG_DEBUG)
        print_line(LOG_DEBUG, last_error);
    return code;
}

static void print_formatted(enum log_level level, const char *format, va_list arguments)
{
    char text[512];
    if (level_shown < level)
        return;
    vsnprintf(text, sizeof text, format, arguments);
    print_line(level, text);
}

void log_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_formatted(LOG_WARN, format, arguments);
    va_end(arguments);
}

void log_info(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_formatted(LOG_INFO, format, arguments);
    va_end(arguments);
}

void log_debug(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_formatted(LOG_DEBUG, format, arguments);
    va_end(arguments);
}

const char *log_last_error(void)
{
    return last_error;
}

void log_clear_error(void)
{
    last_error[0] = '\0';
}
