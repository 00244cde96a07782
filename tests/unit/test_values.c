/* SPDX-License-Identifier: BSD-3-Clause */
/* The tests' own keys, values and model: they must notice what they are there to notice. */
#include "../support/key.h"
#include "../support/model.h"
#include "../support/random.h"
#include "../support/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_keys_differ_and_name_their_number(void **state)
{
    (void)state;
    size_t shortest = SIZE_MAX, longest = 0;
    for (uint64_t n = 0; n < 20000; ++n) {
        struct key key;
        uint64_t number;
        key_make(n, &key);
        assert_true(key_number(key.bytes, key.length, &number));
        assert_int_equal(number, n); /* so no two numbers have the same bytes */
        shortest = key.length < shortest ? key.length : shortest;
        longest = key.length > longest ? key.length : longest;
    }
    assert_int_equal(shortest, 1);
    assert_int_equal(longest, BELAY_KEY_MAX);
    assert_false(key_number("not one of ours", 15, &(uint64_t){0}));
}

static void test_value_tells_origin(void **state)
{
    (void)state;
    unsigned char value[300];
    struct value_origin origin;
    for (size_t length = 0; length <= sizeof value; ++length) {
        value_make(7, (struct value_origin){.sequence = 99, .writer = 5}, value, length);
        memset(&origin, 0, sizeof origin);
        assert_null(value_fault(7, value, length, &origin));
        if (length >= VALUE_DESCRIBED) {
            assert_int_equal(origin.sequence, 99);
            assert_int_equal(origin.writer, 5);
        }
    }
}

static void test_value_notices(void **state)
{
    (void)state;
    unsigned char value[300], other[300];
    const struct value_origin first = {.sequence = 1, .writer = 5}, second = {.sequence = 2, .writer = 5};
    for (size_t length = 1; length <= sizeof value; ++length) {
        value_make(7, first, value, length);
        assert_non_null(value_fault(8, value, length, NULL)); /* foreign */
        for (size_t bit = 0; bit < length * 8; bit += 5) {    /* damaged */
            value[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_non_null(value_fault(7, value, length, NULL));
            value[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        if (length <= VALUE_DESCRIBED)
            continue;
        assert_non_null(value_fault(7, value, length - 1, NULL)); /* cut */
        value_make(7, second, other, length);
        for (size_t cut = VALUE_DESCRIBED / 2; cut < length;
             cut += 16) { /* the start of one update, the end of another */
            unsigned char torn[300];
            memcpy(torn, value, cut);
            memcpy(torn + cut, other + cut, length - cut);
            assert_non_null(value_fault(7, torn, length, NULL));
        }
    }
    memset(value, 0, sizeof value);
    assert_non_null(value_fault(0, value, 64, NULL)); /* nothing but zeroes */
}

static void test_model_knows_the_newest(void **state)
{
    (void)state;
    struct model model;
    unsigned char old[100], new[100];
    size_t index;
    model_create(&model, 20, 3, 10, 5);
    assert_true(model_owns(&model, 26, &index));
    assert_int_equal(index, 2);
    assert_false(model_owns(&model, 25, &index) || model_owns(&model, 50, &index) ||
                 model_owns(&model, 17, &index));
    model_next_value(&model, 2, old, sizeof old);
    assert_non_null(model_fault(&model, 2, old, sizeof old));
    model_set(&model, 2, sizeof old);
    assert_null(model_fault(&model, 2, old, sizeof old));
    model_next_value(&model, 2, new, sizeof new);
    model_set(&model, 2, sizeof new);
    assert_non_null(model_fault(&model, 2, old, sizeof old));
    assert_null(model_fault(&model, 2, new, sizeof new));
    assert_int_equal(model_present(&model), 1);
    model_remove(&model, 2);
    assert_non_null(model_fault(&model, 2, new, sizeof new));
    assert_int_equal(model_present(&model), 0);
    model_destroy(&model);
}

static void test_random_lengths_reach_all_sizes(void **state)
{
    (void)state;
    struct random_source source = random_stream(1, 1, 1);
    unsigned none = 0, beyond_message = 0, beyond_segment = 0;
    for (int i = 0; i < 100000; ++i) {
        size_t length = model_random_length(&source, 300000);
        assert_true(length <= 300000);
        none += length == 0;
        beyond_message += length > 8 * 1024;
        beyond_segment += length > 64 * 1024;
    }
    assert_true(none > 100 && beyond_message > 1000 && beyond_segment > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_differ_and_name_their_number),
        cmocka_unit_test(test_value_tells_origin),
        cmocka_unit_test(test_value_notices),
        cmocka_unit_test(test_model_knows_the_newest),
        cmocka_unit_test(test_random_lengths_reach_all_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
