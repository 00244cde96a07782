/* SPDX-License-Identifier: BSD-3-Clause */
/* The checker itself: histories known to be linearizable or not, and random ones against a search of all
 * orders. */
#include "../support/linearizability.h"
#include "../support/random.h"

#include <belay.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Operations as one writes them on paper. */
#define GET(from, to, value)                                                                                 \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_GET, .answer = value,                               \
        .result = (value) ? BELAY_OK : BELAY_ERR_NOT_FOUND                                                   \
    }
#define PUT(from, to, value)                                                                                 \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_PUT, .argument = value                              \
    }
#define REMOVE(from, to, how)                                                                                \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_REMOVE, .result = how                               \
    }
#define ADD(from, to, delta, old)                                                                            \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_FETCH_ADD, .argument = delta, .answer = old         \
    }
#define CAS(from, to, old, new, how)                                                                         \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_COMPARE_AND_SET, .expected = old, .argument = new,  \
        .result = how                                                                                        \
    }
#define ABSENT(from, to, value, how)                                                                         \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_PUT_IF_ABSENT, .argument = value, .result = how     \
    }
#define EXCHANGE(from, to, value, old)                                                                       \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_GET_AND_PUT, .argument = value, .answer = old       \
    }
#define REPLACE(from, to, value, how)                                                                        \
    {                                                                                                        \
        .invoked = from, .returned = to, .kind = HISTORY_REPLACE, .argument = value, .result = how           \
    }

static enum linearizability check(struct history_operation *operations, size_t count)
{
    struct history history = {operations, count, count};
    history_sort(&history);
    return linearizability_check(operations, count, 0).verdict;
}

#define expect(verdict, ...)                                                                                 \
    do {                                                                                                     \
        struct history_operation operations[] = {__VA_ARGS__};                                               \
        assert_int_equal(check(operations, COUNT(operations)), verdict);                                     \
    } while (0)

static void test_sequential(void **state)
{
    (void)state;
    assert_int_equal(linearizability_check(NULL, 0, 0).verdict, LINEARIZABLE);
    expect(LINEARIZABLE, GET(1, 2, 0), PUT(3, 4, 7), GET(5, 6, 7), REMOVE(7, 8, BELAY_OK), GET(9, 10, 0));
    expect(NOT_LINEARIZABLE, PUT(1, 2, 7), GET(3, 4, 0));
    expect(NOT_LINEARIZABLE, GET(1, 2, 7));
    expect(NOT_LINEARIZABLE, PUT(1, 2, 7), PUT(3, 4, 8), GET(5, 6, 7));
    expect(NOT_LINEARIZABLE, PUT(1, 2, 7), REMOVE(3, 4, BELAY_ERR_NOT_FOUND));
}

static void test_initial_value(void **state)
{
    (void)state;
    struct history_operation read = GET(1, 2, 5);
    assert_int_equal(linearizability_check(&read, 1, 5).verdict, LINEARIZABLE);
    assert_int_equal(linearizability_check(&read, 1, 6).verdict, NOT_LINEARIZABLE);
}

static void test_overlapping_reads(void **state)
{
    (void)state;
    /* A read that overlaps a write may see the old or the new value... */
    expect(LINEARIZABLE, PUT(1, 2, 7), PUT(3, 9, 8), GET(4, 5, 7));
    expect(LINEARIZABLE, PUT(1, 2, 7), PUT(3, 9, 8), GET(4, 5, 8));
    /* ... but once one read has seen the new one, no later read sees the old. */
    expect(LINEARIZABLE, PUT(1, 2, 7), PUT(3, 9, 8), GET(4, 5, 7), GET(6, 7, 8));
    expect(NOT_LINEARIZABLE, PUT(1, 2, 7), PUT(3, 9, 8), GET(4, 5, 8), GET(6, 7, 7));
}

static void test_concurrent_writes(void **state)
{
    (void)state;
    /* Two writes at once have one order for everybody. */
    expect(LINEARIZABLE, PUT(1, 10, 7), PUT(2, 9, 8), GET(11, 12, 7), GET(13, 14, 7));
    expect(LINEARIZABLE, PUT(1, 10, 7), PUT(2, 9, 8), GET(11, 12, 8), GET(13, 14, 8));
    expect(NOT_LINEARIZABLE, PUT(1, 10, 7), PUT(2, 9, 8), GET(11, 12, 7), GET(13, 14, 8));
    /* A read in between settles it. */
    expect(NOT_LINEARIZABLE, PUT(1, 10, 7), PUT(2, 4, 8), GET(5, 6, 7), GET(11, 12, 8));
}

static void test_conditional(void **state)
{
    (void)state;
    expect(LINEARIZABLE, ABSENT(1, 9, 7, BELAY_OK), ABSENT(2, 8, 8, BELAY_ERR_EXISTS), GET(10, 11, 7));
    expect(NOT_LINEARIZABLE, ABSENT(1, 9, 7, BELAY_OK), ABSENT(2, 8, 8, BELAY_OK));
    expect(NOT_LINEARIZABLE, ABSENT(1, 2, 7, BELAY_ERR_EXISTS));
    expect(LINEARIZABLE, PUT(1, 2, 7), CAS(3, 9, 7, 8, BELAY_OK), CAS(4, 8, 7, 9, BELAY_ERR_CONFLICT),
           GET(10, 11, 8));
    expect(NOT_LINEARIZABLE, PUT(1, 2, 7), CAS(3, 9, 7, 8, BELAY_OK), CAS(4, 8, 7, 9, BELAY_OK));
    expect(NOT_LINEARIZABLE, PUT(1, 2, 7), CAS(3, 4, 7, 8, BELAY_ERR_CONFLICT));
    expect(LINEARIZABLE, CAS(1, 2, 0, 7, BELAY_OK), REPLACE(3, 4, 8, BELAY_OK), GET(5, 6, 8));
    expect(NOT_LINEARIZABLE, REPLACE(3, 4, 8, BELAY_OK));
    expect(LINEARIZABLE, REPLACE(3, 4, 8, BELAY_ERR_NOT_FOUND), GET(5, 6, 0));
}

static void test_read_and_write(void **state)
{
    (void)state;
    expect(LINEARIZABLE, EXCHANGE(1, 9, 7, 8), EXCHANGE(2, 8, 8, 0), GET(10, 11, 7));
    expect(NOT_LINEARIZABLE, EXCHANGE(1, 9, 7, 0), EXCHANGE(2, 8, 8, 0));
    expect(LINEARIZABLE, ADD(1, 9, 5, 3), ADD(2, 8, 3, 0), GET(10, 11, 8));
    expect(NOT_LINEARIZABLE, ADD(1, 9, 5, 0), ADD(2, 8, 3, 0));
    expect(NOT_LINEARIZABLE, ADD(1, 2, 5, 0), ADD(3, 4, 3, 5), GET(10, 11, 5)); /* a lost update */
    expect(NOT_LINEARIZABLE, ADD(1, 2, 5, 0), GET(3, 4, 10));                   /* applied twice */
}

static void test_unknown_outcome(void **state)
{
    (void)state;
    /* An operation of which nobody heard again may have been applied at any time later, or never. */
    expect(LINEARIZABLE, PUT(1, HISTORY_NEVER, 7), GET(2, 3, 0), GET(4, 5, 7), GET(6, 7, 7));
    expect(LINEARIZABLE, PUT(1, HISTORY_NEVER, 7), GET(2, 3, 0), GET(4, 5, 0));
    expect(NOT_LINEARIZABLE, PUT(1, HISTORY_NEVER, 7), GET(2, 3, 7), GET(4, 5, 0));
    expect(NOT_LINEARIZABLE, PUT(3, HISTORY_NEVER, 7), GET(1, 2, 7)); /* not before it began */
}

static void test_names_the_culprit(void **state)
{
    (void)state;
    struct history_operation operations[] = {PUT(1, 2, 7), GET(3, 4, 7), GET(5, 6, 9), GET(7, 8, 7)};
    struct linearizability_verdict verdict = linearizability_check(operations, COUNT(operations), 0);
    assert_int_equal(verdict.verdict, NOT_LINEARIZABLE);
    assert_int_equal(verdict.failed, 2);
    assert_int_equal(verdict.possible_values, 1);
    assert_int_equal(verdict.some_value, 7);
}

static void test_too_wide(void **state)
{
    (void)state;
    struct history_operation operations[65];
    for (size_t i = 0; i < COUNT(operations); ++i)
        operations[i] = (struct history_operation)PUT(i + 1, 1000 + i, i + 1);
    assert_int_equal(check(operations, COUNT(operations)), UNDECIDED);
    struct history_operation unsorted[] = {PUT(3, 4, 7), PUT(1, 2, 8)};
    assert_int_equal(linearizability_check(unsorted, COUNT(unsorted), 0).verdict, UNDECIDED);
}

/* Every order that keeps to real time, tried one after the other. */
static bool some_order_explains(const struct history_operation *operations, size_t count, unsigned done,
                                uint64_t value)
{
    if (done == (1u << count) - 1)
        return true;
    for (size_t i = 0; i < count; ++i) {
        bool first = !(done >> i & 1);
        for (size_t j = 0; j < count && first; ++j)
            first = (done >> j & 1) || operations[j].returned >= operations[i].invoked;
        uint64_t next;
        if (first && linearizability_step(&operations[i], value, &next) &&
            some_order_explains(operations, count, done | 1u << i, next))
            return true;
    }
    return false;
}

static struct history_operation random_operation(struct random_source *source, uint64_t unique)
{
    uint64_t from = random_between(source, 1, 40);
    uint64_t to = from + random_between(source, 1, 20);
    uint64_t seen = random_below(source, 4);
    switch (random_below(source, 6)) {
    case 0: return (struct history_operation)PUT(from, to, unique);
    case 1:
        return (struct history_operation)REMOVE(from, to,
                                                random_percent(source, 50) ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    case 2: return (struct history_operation)ADD(from, to, 1, seen);
    case 3:
        return (struct history_operation)CAS(from, to, seen, unique,
                                             random_percent(source, 50) ? BELAY_OK : BELAY_ERR_CONFLICT);
    default: return (struct history_operation)GET(from, to, seen);
    }
}

static void test_against_all_orders(void **state)
{
    (void)state;
    struct random_source source = random_stream(1, 2, 3);
    unsigned verdicts[2] = {0, 0};
    for (int round = 0; round < 20000; ++round) {
        struct history_operation operations[7];
        size_t count = random_between(&source, 2, COUNT(operations));
        for (size_t i = 0; i < count; ++i)
            operations[i] = random_operation(&source, i % 3 + 1);
        enum linearizability verdict = check(operations, count);
        bool explained = some_order_explains(operations, count, 0, 0);
        assert_int_equal(verdict, explained ? LINEARIZABLE : NOT_LINEARIZABLE);
        ++verdicts[explained];
    }
    assert_true(verdicts[0] > 1000 && verdicts[1] > 1000); /* both kinds were really tried */
}

/* A true register with 8 callers: every operation takes effect at its own moment, somewhere within its
 * time. */
static void simulate(struct history_operation *operations, size_t count, uint64_t seed)
{
    enum { CALLERS = 8, LONGEST = 60 };
    struct random_source source = random_stream(seed, 0, 0);
    uint64_t free_at[CALLERS] = {0}, value = 0, moment = LONGEST;
    for (size_t i = 0; i < count; ++i) {
        unsigned caller;
        do {
            moment += random_between(&source, 1, 10);
            caller = (unsigned)random_below(&source, CALLERS);
        } while (free_at[caller] >= moment);
        uint64_t earliest = moment - LONGEST > free_at[caller] ? moment - LONGEST : free_at[caller] + 1;
        uint64_t from = random_between(&source, earliest, moment);
        uint64_t to = moment + random_between(&source, 1, LONGEST);
        free_at[caller] = to;
        if (random_percent(&source, 50)) {
            value = i + 1;
            operations[i] = (struct history_operation)PUT(from, to, value);
        } else {
            operations[i] = (struct history_operation)GET(from, to, value);
        }
    }
}

static void test_long_histories(void **state)
{
    (void)state;
    enum { LENGTH = 50000 };
    struct history history;
    history_create(&history, LENGTH);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
        history.count = LENGTH;
        simulate(history.operations, LENGTH, seed);
        history_sort(&history);
        struct linearizability_verdict verdict = linearizability_check(history.operations, LENGTH, 0);
        assert_int_equal(verdict.verdict, LINEARIZABLE);
        assert_true(verdict.configurations < 10000);
        size_t read = LENGTH / 2;
        while (history.operations[read].kind != HISTORY_GET)
            ++read;
        history.operations[read].answer = 1; /* the first write's, long gone */
        history.operations[read].result = BELAY_OK;
        assert_int_equal(linearizability_check(history.operations, LENGTH, 0).verdict, NOT_LINEARIZABLE);
    }
    history_destroy(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequential),        cmocka_unit_test(test_initial_value),
        cmocka_unit_test(test_overlapping_reads), cmocka_unit_test(test_concurrent_writes),
        cmocka_unit_test(test_conditional),       cmocka_unit_test(test_read_and_write),
        cmocka_unit_test(test_unknown_outcome),   cmocka_unit_test(test_names_the_culprit),
        cmocka_unit_test(test_too_wide),          cmocka_unit_test(test_against_all_orders),
        cmocka_unit_test(test_long_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
