/* SPDX-License-Identifier: BSD-3-Clause */
/* The checker itself: each anomaly in a history of its own, and random histories that are serial but for one read. */
#include "../support/random.h"
#include "../support/serializability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Events as one writes them on paper; transaction t is of session t. */
#define READ(t, k, from)                                                                                     \
    {                                                                                                        \
        .tx = t, .session = t, .kind = TX_READ, .key = k, .other = from, .number = 1                         \
    }
#define WRITE(t, k, instead)                                                                                 \
    {                                                                                                        \
        .tx = t, .session = t, .kind = TX_WRITE, .key = k, .other = instead, .number = 1                     \
    }
#define COMMIT(t)                                                                                            \
    {                                                                                                        \
        .tx = t, .session = t, .kind = TX_END, .other = 1                                                    \
    }
#define ABORT(t)                                                                                             \
    {                                                                                                        \
        .tx = t, .session = t, .kind = TX_END                                                                \
    }

enum { X, Y };

#define CHECK(events) check(events, sizeof(events) / sizeof *(events))

static struct serializability_verdict check(const struct tx_event *events, size_t count)
{
    struct serializability_verdict verdict;
    assert_true(serializability_check(events, count, &verdict));
    return verdict;
}

static void test_serial(void **state)
{
    (void)state;
    const struct tx_event events[] = {WRITE(1, X, 0), WRITE(1, Y, 0), COMMIT(1),
                                      READ(2, X, 1),  WRITE(2, X, 1), COMMIT(2),
                                      READ(3, X, 2),  READ(3, Y, 1),  COMMIT(3)};
    struct serializability_verdict v = CHECK(events);
    assert_int_equal(v.transactions, 3);
    assert_int_equal(v.aborted + v.intermediate + v.lost + v.dirty + v.circular + v.any, 0);
}

static void test_dirty_write(void **state)
{
    (void)state;
    const struct tx_event events[] = {WRITE(1, X, 0), WRITE(1, Y, 2), COMMIT(1),
                                      WRITE(2, X, 1), WRITE(2, Y, 0), COMMIT(2)};
    assert_int_equal(CHECK(events).dirty, 2);
}

/* The same, when the writers do not know what they replace, but others have seen it. */
static void test_dirty_write_seen(void **state)
{
    (void)state;
    const struct tx_event events[] = {WRITE(1, X, TX_UNKNOWN),
                                      WRITE(1, Y, TX_UNKNOWN),
                                      COMMIT(1),
                                      WRITE(2, X, TX_UNKNOWN),
                                      WRITE(2, Y, TX_UNKNOWN),
                                      COMMIT(2),
                                      READ(3, X, 1),
                                      READ(3, X, 2),
                                      READ(3, Y, 2),
                                      READ(3, Y, 1),
                                      COMMIT(3)};
    assert_int_equal(CHECK(events).dirty, 2);
}

static void test_aborted_read(void **state)
{
    (void)state;
    const struct tx_event events[] = {ABORT(1), READ(2, X, 1), COMMIT(2)};
    assert_int_equal(CHECK(events).aborted, 1);
    const struct tx_event by_one_that_aborts[] = {ABORT(1), READ(2, X, 1), ABORT(2)};
    assert_int_equal(CHECK(by_one_that_aborts).aborted, 0);
}

static void test_intermediate_read(void **state)
{
    (void)state;
    struct tx_event events[] = {WRITE(1, X, 0), COMMIT(1), READ(2, X, 1), COMMIT(2)};
    events[0].number = 2;
    assert_int_equal(CHECK(events).intermediate, 1);
}

static void test_circular_information(void **state)
{
    (void)state;
    const struct tx_event events[] = {READ(1, Y, 2), WRITE(1, X, 0), COMMIT(1),
                                      READ(2, X, 1), WRITE(2, Y, 0), COMMIT(2)};
    struct serializability_verdict v = CHECK(events);
    assert_int_equal(v.dirty, 0);
    assert_int_equal(v.circular, 2);
    assert_non_null(strstr(v.cycle, "1 <-wr- 2"));
}

static void test_lost_update(void **state)
{
    (void)state;
    const struct tx_event events[] = {READ(1, X, 0), WRITE(1, X, 0), COMMIT(1),
                                      READ(2, X, 0), WRITE(2, X, 0), COMMIT(2)};
    struct serializability_verdict v = CHECK(events);
    assert_int_equal(v.lost, 1);
    assert_int_equal(v.any, 2);
}

static void test_fractured_read(void **state)
{
    (void)state;
    const struct tx_event events[] = {WRITE(1, X, 0), WRITE(1, Y, 0), COMMIT(1),
                                      READ(2, X, 1),  READ(2, Y, 0),  COMMIT(2)};
    struct serializability_verdict v = CHECK(events);
    assert_int_equal(v.circular, 0);
    assert_int_equal(v.any, 2);
}

static void test_write_skew(void **state)
{
    (void)state;
    const struct tx_event events[] = {READ(1, X, 0), WRITE(1, Y, 0), COMMIT(1),
                                      READ(2, Y, 0), WRITE(2, X, 0), COMMIT(2)};
    struct serializability_verdict v = CHECK(events);
    assert_int_equal(v.lost + v.circular, 0);
    assert_int_equal(v.any, 2);
    assert_non_null(strstr(v.cycle, "rw"));
}

enum { TRANSACTIONS = 60, KEYS = 4, EACH = 2 * KEYS + 1 };

/* One after the other: each reads all keys and writes some. */
static size_t make_serial(struct random_source *random, struct tx_event *events)
{
    uint64_t writer[KEYS] = {0};
    size_t count = 0;
    for (uint32_t tx = 1; tx <= TRANSACTIONS; ++tx) {
        for (uint32_t key = 0; key < KEYS; ++key)
            events[count++] = (struct tx_event)READ(tx, key, writer[key]);
        for (uint32_t key = 0; key < KEYS; ++key)
            if (random_percent(random, 40)) {
                events[count++] = (struct tx_event)WRITE(tx, key, writer[key]);
                writer[key] = tx;
            }
        events[count++] = (struct tx_event)COMMIT(tx);
    }
    return count;
}

static const struct tx_event *find_write(const struct tx_event *events, size_t count, uint64_t tx,
                                         uint32_t key)
{
    for (size_t i = 0; i < count; ++i)
        if (events[i].kind == TX_WRITE && events[i].tx == tx && events[i].key == key)
            return &events[i];
    return NULL;
}

/* A transaction that replaces a value has read the one before it. */
static bool spoil(struct random_source *random, struct tx_event *events, size_t count)
{
    struct tx_event *read = &events[random_below(random, count)];
    if (read->kind != TX_READ || read->other == 0 || !find_write(events, count, read->tx, read->key))
        return false;
    read->other = find_write(events, count, read->other, read->key)->other;
    return true;
}

static void test_random(void **state)
{
    (void)state;
    static struct tx_event events[TRANSACTIONS * EACH];
    struct random_source random = random_stream(3, 0, 0);
    for (int round = 0; round < 200; ++round) {
        size_t count = make_serial(&random, events);
        struct serializability_verdict v = check(events, count);
        assert_int_equal(v.aborted + v.intermediate + v.lost + v.any, 0);
        while (!spoil(&random, events, count))
            ;
        assert_true(check(events, count).any > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_serial),
                                       cmocka_unit_test(test_dirty_write),
                                       cmocka_unit_test(test_dirty_write_seen),
                                       cmocka_unit_test(test_aborted_read),
                                       cmocka_unit_test(test_intermediate_read),
                                       cmocka_unit_test(test_circular_information),
                                       cmocka_unit_test(test_lost_update),
                                       cmocka_unit_test(test_fractured_read),
                                       cmocka_unit_test(test_write_skew),
                                       cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
