/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls for one key: each result that the contract names, in every mode. */
#include "operations.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(text) text, strlen(text)
#define KEY(key)   (key)->bytes, (key)->length

static void test_absent(const struct subject *s, const struct key *key, const belay_write_options *options)
{
    char buffer[16] = "untouched";
    size_t length = 4711;
    uint64_t version = 4711;
    CHECK_RESULT(belay_get(s->cache, KEY(key), buffer, sizeof buffer, &length), BELAY_ERR_NOT_FOUND);
    CHECK_RESULT(belay_get_versioned(s->cache, KEY(key), buffer, sizeof buffer, &length, &version),
                 BELAY_ERR_NOT_FOUND);
    CHECK(length == 4711 && version == 4711, "NOT_FOUND set an output: %zu", length);
    CHECK_RESULT(belay_contains(s->cache, KEY(key)), BELAY_ERR_NOT_FOUND);
    CHECK_RESULT(belay_replace(s->cache, KEY(key), TEXT("nothing to replace"), options), BELAY_ERR_NOT_FOUND);
    CHECK_RESULT(belay_compare_and_set(s->cache, KEY(key), 17, TEXT("no such version"), options, &version),
                 BELAY_ERR_CONFLICT);
    CHECK(version == 4711, "CONFLICT set the version");
    CHECK_RESULT(belay_remove(s->cache, KEY(key), options),
                 effective_sync(s, options) == BELAY_FULL_ASYNC ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    expect_absent(s, key);
}

static void test_put_and_remove(const struct subject *s, const struct key *key,
                                const belay_write_options *options)
{
    CHECK_OK(belay_put(s->cache, KEY(key), TEXT("first"), options));
    expect_value(s, key, TEXT("first"));
    CHECK_OK(belay_put(s->cache, KEY(key), TEXT("the second, which is longer"), options));
    expect_value(s, key, TEXT("the second, which is longer"));
    CHECK_OK(belay_put(s->cache, KEY(key), NULL, 0, options));
    expect_value(s, key, NULL, 0);
    CHECK_OK(belay_replace(s->cache, KEY(key), TEXT("replaced"), options));
    expect_value(s, key, TEXT("replaced"));
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
    expect_absent(s, key);
}

/* Buffers belong to the caller again when a call returns, in every mode. */
static void test_reused_buffers(const struct subject *s, const struct key *key,
                                const belay_write_options *options)
{
    struct key scratch = *key;
    char value[] = "the value as it was put";
    CHECK_OK(belay_put(s->cache, KEY(&scratch), TEXT(value), options));
    memset(value, '?', sizeof value - 1);
    memset(scratch.bytes, '?', scratch.length);
    expect_value(s, key, TEXT("the value as it was put"));
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
}

static void test_put_if_absent(const struct subject *s, const struct key *key,
                               const belay_write_options *options)
{
    CHECK_OK(belay_put_if_absent(s->cache, KEY(key), TEXT("only once"), options));
    CHECK_RESULT(belay_put_if_absent(s->cache, KEY(key), TEXT("again"), options), BELAY_ERR_EXISTS);
    expect_value(s, key, TEXT("only once"));
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
    CHECK_OK(belay_put_if_absent(s->cache, KEY(key), NULL, 0, options)); /* an empty value is a value */
    CHECK_RESULT(belay_put_if_absent(s->cache, KEY(key), TEXT("again"), options), BELAY_ERR_EXISTS);
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
}

static void test_get_and_put(const struct subject *s, const struct key *key,
                             const belay_write_options *options)
{
    char old[32] = "";
    size_t length = 4711;
    CHECK_OK(belay_get_and_put(s->cache, KEY(key), TEXT("one"), options, old, sizeof old, &length));
    CHECK(length == BELAY_NO_VALUE, "an absent key had %zu bytes", length);
    CHECK_OK(belay_get_and_put(s->cache, KEY(key), TEXT("three"), options, old, sizeof old, &length));
    CHECK(length == 3 && memcmp(old, "one", 3) == 0, "%zu bytes, %.3s", length, old);
    CHECK_RESULT(belay_get_and_put(s->cache, KEY(key), TEXT("never written"), options, old, 4, &length),
                 BELAY_ERR_TRUNCATED);
    CHECK(length == 5, "TRUNCATED tells %zu bytes of 5", length);
    expect_value(s, key, TEXT("three"));
    CHECK_OK(belay_get_and_put(s->cache, KEY(key), NULL, 0, options, old, 5, &length));
    CHECK(length == 5 && memcmp(old, "three", 5) == 0, "%zu bytes, %.5s", length, old);
    CHECK_OK(belay_get_and_put(s->cache, KEY(key), TEXT("last"), options, NULL, 0, &length));
    CHECK(length == 0, "an empty value had %zu bytes", length);
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
}

static uint64_t version_of(const struct subject *s, const struct key *key)
{
    char buffer[64];
    size_t length;
    uint64_t version = 0;
    CHECK_OK(belay_get_versioned(s->cache, KEY(key), buffer, sizeof buffer, &length, &version));
    return version;
}

static void test_compare_and_set(const struct subject *s, const struct key *key,
                                 const belay_write_options *options)
{
    uint64_t first = 0, second = 0, unset = 4711;
    CHECK_OK(belay_compare_and_set(s->cache, KEY(key), 0, TEXT("created"), options, &first));
    CHECK(first != 0 && version_of(s, key) == first, "created as version %llu", (unsigned long long)first);
    CHECK_RESULT(belay_compare_and_set(s->cache, KEY(key), 0, TEXT("again"), options, &unset),
                 BELAY_ERR_CONFLICT);
    CHECK_OK(belay_compare_and_set(s->cache, KEY(key), first, TEXT("changed"), options, &second));
    CHECK(second > first && version_of(s, key) == second, "version %llu after %llu",
          (unsigned long long)second, (unsigned long long)first);
    CHECK_RESULT(belay_compare_and_set(s->cache, KEY(key), first, TEXT("late"), options, &unset),
                 BELAY_ERR_CONFLICT);
    CHECK_RESULT(belay_compare_and_set(s->cache, KEY(key), second + 1, TEXT("early"), options, &unset),
                 BELAY_ERR_CONFLICT);
    CHECK(unset == 4711, "CONFLICT set the version");
    expect_value(s, key, TEXT("changed"));
    CHECK_OK(
        belay_put(s->cache, KEY(key), TEXT("changed"), options)); /* the same bytes are another version */
    CHECK(version_of(s, key) > second, "an overwritten entry kept its version");
    CHECK_RESULT(belay_compare_and_set(s->cache, KEY(key), second, TEXT("late"), options, NULL),
                 BELAY_ERR_CONFLICT);
    CHECK_OK(belay_compare_and_set(s->cache, KEY(key), version_of(s, key), TEXT("no output"), options, NULL));
    second = version_of(s, key);
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
    CHECK_RESULT(belay_compare_and_set(s->cache, KEY(key), second, TEXT("gone"), options, NULL),
                 BELAY_ERR_CONFLICT);
    CHECK_OK(belay_compare_and_set(s->cache, KEY(key), 0, TEXT("created anew"), options, &first));
    CHECK(first > second, "a new entry got the version of an older one");
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
}

static void expect_number(const struct subject *s, const struct key *key, int64_t number)
{
    expect_value(s, key, &number, sizeof number);
}

static void test_fetch_add(const struct subject *s, const struct key *key, const belay_write_options *options)
{
    static const size_t wrong_lengths[] = {0, 1, 7, 9, 16};
    int64_t old = 4711;
    CHECK_OK(belay_fetch_add(s->cache, KEY(key), 40, options, &old));
    CHECK(old == 0, "an absent key counts as %lld", (long long)old);
    CHECK_OK(belay_fetch_add(s->cache, KEY(key), -50, options, &old));
    CHECK(old == 40, "%lld instead of 40", (long long)old);
    expect_number(s, key, -10);
    CHECK_OK(belay_fetch_add(s->cache, KEY(key), 0, options, &old));
    CHECK(old == -10, "%lld instead of -10", (long long)old);
    int64_t most = INT64_MAX;
    CHECK_OK(belay_put(s->cache, KEY(key), &most, sizeof most, options));
    CHECK_OK(belay_fetch_add(s->cache, KEY(key), 2, options, NULL));
    expect_number(s, key, INT64_MIN + 1);
    for (size_t i = 0; i < sizeof wrong_lengths / sizeof *wrong_lengths; ++i) {
        const char text[] = "not a number at all";
        old = 4711;
        CHECK_OK(belay_put(s->cache, KEY(key), text, wrong_lengths[i], options));
        CHECK_RESULT(belay_fetch_add(s->cache, KEY(key), 1, options, &old), BELAY_ERR_TYPE);
        CHECK(old == 4711, "TYPE set the old value");
        expect_value(s, key, text, wrong_lengths[i]);
    }
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
}

static void test_short_buffers(const struct subject *s, const struct key *key,
                               const belay_write_options *options)
{
    char buffer[16];
    size_t length = 0;
    uint64_t version = 0;
    CHECK_OK(belay_put(s->cache, KEY(key), TEXT("ten bytes!"), options));
    for (size_t capacity = 0; capacity < 10; ++capacity) {
        length = 0;
        buffer[capacity] = '#';
        CHECK_RESULT(belay_get(s->cache, KEY(key), capacity ? buffer : NULL, capacity, &length),
                     BELAY_ERR_TRUNCATED);
        CHECK(length == 10, "TRUNCATED tells %zu bytes of 10", length);
        CHECK(buffer[capacity] == '#', "wrote beyond a capacity of %zu", capacity);
    }
    CHECK_RESULT(belay_get_versioned(s->cache, KEY(key), buffer, 9, &length, &version), BELAY_ERR_TRUNCATED);
    CHECK(length == 10 && version == version_of(s, key), "TRUNCATED tells version %llu",
          (unsigned long long)version);
    buffer[10] = '#';
    CHECK_OK(belay_get(s->cache, KEY(key), buffer, 10, &length)); /* just enough */
    CHECK(length == 10 && memcmp(buffer, "ten bytes!", 10) == 0 && buffer[10] == '#', "%zu bytes", length);
    CHECK_OK(belay_put(s->cache, KEY(key), NULL, 0, options));
    CHECK_OK(belay_get(s->cache, KEY(key), NULL, 0, &length));
    CHECK(length == 0, "an empty value has %zu bytes", length);
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
}

/* Longer than what one read or one message takes. */
static void test_short_buffer_for_a_long_value(const struct subject *s, const struct key *key,
                                               const belay_write_options *options)
{
    enum { LONG = 100 * 1000, SHORT = 10 };
    unsigned char *value = calloc(1, LONG), buffer[SHORT];
    size_t length = 0;
    if (!value)
        job_abort("no memory for a value");
    CHECK_OK(belay_put(s->cache, KEY(key), value, LONG, options));
    CHECK_RESULT(belay_get(s->cache, KEY(key), buffer, SHORT, &length), BELAY_ERR_TRUNCATED);
    CHECK(length == LONG, "TRUNCATED tells %zu bytes", length);
    CHECK_OK(belay_remove(s->cache, KEY(key), options));
    free(value);
}

void test_one_key(const struct subject *s, const belay_write_options *options)
{
    static void (*const tests[])(const struct subject *, const struct key *, const belay_write_options *) = {
        test_absent,        test_put_and_remove, test_reused_buffers,
        test_put_if_absent, test_get_and_put,    test_compare_and_set,
        test_fetch_add,     test_short_buffers,  test_short_buffer_for_a_long_value,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i)
        for (unsigned n = 0; n < 4; ++n) { /* several keys: their primaries are on different nodes */
            struct key key;
            own_key(s, s->job->rank, 100 + n, &key);
            at("one key: %s, part %zu, key %u", s->config.name, i, n);
            tests[i](s, &key, options);
        }
}
