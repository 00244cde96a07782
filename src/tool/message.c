/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/message.h"

#include "tool/launcher.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char prefix[48] = "belay: ";
static bool over_bar;

void message_begin(const char *command, int rank)
{
    if (rank >= 0)
        snprintf(prefix, sizeof prefix, "%s[%d]: ", command, rank);
    else
        snprintf(prefix, sizeof prefix, "%s: ", command);
}

void message_over_bar(bool bar)
{
    over_bar = bar;
}

static void write_line(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

static void write_line(const char *format, va_list arguments)
{
    char line[2048];
    int start = snprintf(line, sizeof line, "%s%s", over_bar ? "\r\033[K" : "", prefix);
    int length = vsnprintf(line + start, sizeof line - (size_t)start - 1, format, arguments);
    size_t end = (size_t)start + (length < 0 ? 0 : (size_t)length);
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    line[end++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, end);
    (void)written; /* nowhere left to tell */
}

void message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void message_error(const char *format, ...)
{
    if (launcher_rank() > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

const char *printable(const char *name, size_t length, char *text, size_t room)
{
    size_t at = 0;
    for (size_t i = 0; i < length; ++i) {
        unsigned char byte = (unsigned char)name[i];
        bool plain = byte >= 0x20 && byte != 0x7f && byte != '\\';
        if (at + (plain ? 1 : 4) + 4 > room) { /* the dots and the end must fit too */
            at += (size_t)snprintf(text + at, room - at, "...");
            break;
        }
        if (plain)
            text[at++] = (char)byte;
        else
            at += (size_t)snprintf(text + at, room - at, "\\%03o", byte);
    }
    text[at] = '\0';
    return text;
}
