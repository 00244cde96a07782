/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes and names as people write and read them. */
#include "tool/message.h"
#include "tool/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_sizes_that_are(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"0", 0},
        {"1", 1},
        {"007", 7},
        {"4K", 4096},
        {"1.5G", 3ull << 29},
        {".5M", 1 << 19},
        {"2T", 2ull << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        uint64_t bytes = 1234567;
        assert_true(quantity_parse_size(sizes[i].text, &bytes));
        assert_int_equal(bytes, sizes[i].bytes);
    }
}

static void test_sizes_that_are_not(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",     " 1",   "-1",  "+1",  "K",   "1k",     "1KB",       "1.5",
        "0x10", "1e3K", "nan", "inf", "1 K", "1.2.3K", "99999999T", "18446744073709551616"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        uint64_t bytes = 1234567;
        assert_false(quantity_parse_size(texts[i], &bytes));
        assert_int_equal(bytes, 1234567);
    }
}

static void test_sizes_printed_can_be_read(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0,     1,       1023,       1024,       1025,
                                     65536, 1 << 20, 5ull << 30, 1ull << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        char text[QUANTITY_TEXT];
        uint64_t bytes;
        assert_true(quantity_parse_size(quantity_binary(sizes[i], text), &bytes));
        assert_int_equal(bytes, sizes[i]);
    }
}

static void test_counts_and_durations(void **state)
{
    (void)state;
    char text[QUANTITY_TEXT];
    assert_string_equal(quantity_count(0, text), "0");
    assert_string_equal(quantity_count(999, text), "999");
    assert_string_equal(quantity_count(1000, text), "1,000");
    assert_string_equal(quantity_count(1234567, text), "1,234,567");
    assert_string_equal(quantity_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_string_equal(quantity_duration(740, text), "740 ns");
    assert_string_equal(quantity_duration(12345, text), "12.3 us");
    assert_string_equal(quantity_duration(1234567, text), "1.23 ms");
    assert_string_equal(quantity_duration(61000000000, text), "61.00 s");
}

static void test_names_cannot_move_the_cursor(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(printable("a b\xc3\xa4", 5, text, sizeof text), "a b\xc3\xa4");
    assert_string_equal(printable("a\n\033[2J\\\x7f", 8, text, sizeof text), "a\\012\\033[2J\\134\\177");
    assert_string_equal(printable("", 0, text, sizeof text), "");
    char name[200];
    for (int byte = 1; byte < 256; ++byte) {
        memset(name, byte, sizeof name);
        printable(name, sizeof name, text, sizeof text);
        assert_true(strlen(text) < sizeof text);
        assert_string_equal(text + strlen(text) - 3, "...");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_that_are),
        cmocka_unit_test(test_sizes_that_are_not),
        cmocka_unit_test(test_sizes_printed_can_be_read),
        cmocka_unit_test(test_counts_and_durations),
        cmocka_unit_test(test_names_cannot_move_the_cursor),
    };
    return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}
