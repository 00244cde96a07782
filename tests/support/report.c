/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include "belay.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

enum { FAILURES_SHOWN = 20 };

static const char *report_program = "test";
static int report_rank;
static atomic_uint failures;

void report_init(const char *program, int rank)
{
    report_program = program;
    report_rank = rank;
}

void report_failure(const char *file, int line, const char *format, ...)
{
    unsigned before = atomic_fetch_add(&failures, 1);
    if (before >= FAILURES_SHOWN)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s[%d]: FAILED %s:%d: %s\n", report_program, report_rank, file, line, text);
    if (before == FAILURES_SHOWN - 1)
        fprintf(stderr, "%s[%d]: further failures are counted only\n", report_program, report_rank);
}

void report_note(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("%s[%d]: %s\n", report_program, report_rank, text);
    fflush(stdout);
}

unsigned report_failures(void)
{
    return atomic_load(&failures);
}

bool report_result(const char *file, int line, const char *call, int result, int expected)
{
    if (result == expected)
        return true;
    report_failure(file, line, "%s gave %d (%s), expected %d (%s); last error: %s", call, result,
                   belay_strerror(result), expected, belay_strerror(expected), belay_last_error());
    return false;
}
