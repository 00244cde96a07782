/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static FILE *captured;
static int real_stderr;

/* Standard error goes to a file from here to captured_text(). */
static void capture(void)
{
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    captured = tmpfile();
    assert_non_null(captured);
    dup2(fileno(captured), STDERR_FILENO);
}

static const char *captured_text(void)
{
    static char text[4096];
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    rewind(captured);
    text[fread(text, 1, sizeof text - 1, captured)] = '\0';
    fclose(captured);
    return text;
}

static void set_level(const char *level, int node)
{
    setenv("BELAY_LOG", level, 1);
    log_init(node);
}

static void errors_are_printed_kept_and_returned(void **state)
{
    (void)state;
    set_level("warn", 3);
    capture();
    assert_int_equal(log_error(-7, "no room for %d bytes", 12), -7);
    assert_string_equal(captured_text(), "belay[3]: error: no room for 12 bytes\n");
    assert_string_equal(log_last_error(), "no room for 12 bytes");
    log_clear_error();
    assert_string_equal(log_last_error(), "");
}

static void quiet_errors_are_kept_and_printed_for_debugging_only(void **state)
{
    (void)state;
    set_level("info", 0);
    capture();
    assert_int_equal(log_quiet(-2, "key of %u bytes", 0u), -2);
    assert_string_equal(captured_text(), "");
    assert_string_equal(log_last_error(), "key of 0 bytes");
    set_level("debug", 0);
    capture();
    log_quiet(-2, "key of %u bytes", 0u);
    assert_string_equal(captured_text(), "belay[0]: debug: key of 0 bytes\n");
}

static void level_decides_what_is_printed(void **state)
{
    (void)state;
    set_level("info", -1);
    capture();
    log_warn("a");
    log_info("b");
    log_debug("c");
    assert_string_equal(captured_text(), "belay: warn: a\nbelay: info: b\n");
    set_level("off", -1);
    capture();
    log_error(-1, "d");
    log_warn("e");
    assert_string_equal(captured_text(), "");
    assert_string_equal(log_last_error(), "d");
}

static void unknown_level_changes_nothing(void **state)
{
    (void)state;
    set_level("info", -1);
    set_level("loud", -1);
    capture();
    log_info("shown");
    log_debug("hidden");
    assert_string_equal(captured_text(), "belay: info: shown\n");
}

static void long_text_is_cut_and_stays_one_line(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    set_level("warn", 123456);
    capture();
    log_error(-1, "%s", text);
    const char *line = captured_text();
    assert_true(strlen(line) < 1000);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_true(strlen(log_last_error()) < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_printed_kept_and_returned),
        cmocka_unit_test(quiet_errors_are_kept_and_printed_for_debugging_only),
        cmocka_unit_test(level_decides_what_is_printed),
        cmocka_unit_test(unknown_level_changes_nothing),
        cmocka_unit_test(long_text_is_cut_and_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
