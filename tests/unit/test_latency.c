/* SPDX-License-Identifier: BSD-3-Clause */
/* Percentiles from the histogram against those of the sorted durations. */
#include "tool/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 100000 };

static struct latency histogram, other;

static int reset(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
    return 0;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(latency_percentile(&histogram, 50), 0);
    assert_int_equal(latency_percentile(&histogram, 100), 0);
}

static void test_buckets_are_in_order_and_narrow(void **state)
{
    (void)state;
    unsigned last = 0;
    for (uint64_t ns = 1; ns < 1ull << LATENCY_LONGEST_BITS; ns += ns / 1000 + 1) {
        unsigned bucket = latency_bucket(ns);
        assert_true(bucket == last || bucket == last + 1);
        assert_true(bucket < LATENCY_BUCKETS);
        last = bucket;
    }
    assert_int_equal(latency_bucket((1ull << LATENCY_LONGEST_BITS) - 1), LATENCY_BUCKETS - 1);
    assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

static int by_size(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void test_percentiles_are_close_to_exact(void **state)
{
    (void)state;
    static const double percents[] = {0, 1, 50, 90, 99, 99.9, 99.99, 100};
    uint64_t *durations = malloc(MANY * sizeof *durations);
    assert_non_null(durations);
    srand48(1);
    for (size_t i = 0; i < MANY; ++i) {
        durations[i] = (uint64_t)mrand48() & ((1ull << lrand48() % 33) - 1); /* all magnitudes alike */
        latency_record(i % 2 ? &histogram : &other, durations[i]);
    }
    latency_add(&histogram, &other);
    qsort(durations, MANY, sizeof *durations, by_size);
    assert_int_equal(histogram.count, MANY);
    assert_int_equal(histogram.longest, durations[MANY - 1]);
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; ++i) {
        size_t rank = (size_t)(percents[i] / 100 * MANY + 0.5);
        uint64_t exact = durations[rank > 0 ? rank - 1 : 0];
        uint64_t told = latency_percentile(&histogram, percents[i]);
        assert_true(told >= exact);
        assert_true(told <= exact + exact / LATENCY_STEPS);
    }
    assert_int_equal(latency_percentile(&histogram, 100), durations[MANY - 1]);
    free(durations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, reset),
        cmocka_unit_test(test_buckets_are_in_order_and_narrow),
        cmocka_unit_test_setup(test_percentiles_are_close_to_exact, reset),
    };
    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
