/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions applied at the primary: what they see, what becomes of what they want, and what they may not do. */
#include "operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST = 3000, SHARED = 3900, ROUNDS = 25, LONG_RESULT = 1000 };

static const struct subject *current; /* whose cache the function "nested" calls */

/* ---- The functions ---- */

/* The argument behind the value. The result is the old value. */
static int append(belay_invocation *in, void *context)
{
    size_t length = in->value_length == BELAY_NO_VALUE ? 0 : in->value_length;
    CHECK(context == &current, "the context is %p", context);
    CHECK(in->key.length > 0 && in->key.data, "a key of %zu bytes", in->key.length);
    in->result_length = length;
    if (length <= in->result_capacity)
        memcpy(in->result, in->value, length);
    memcpy((char *)in->value + length, in->argument.data, in->argument.length);
    in->value_length = length + in->argument.length;
    return BELAY_ACTION_SET;
}

static int drop(belay_invocation *in, void *context)
{
    (void)context;
    in->result_length = (size_t)snprintf(in->result, in->result_capacity, "%zu", in->value_length);
    return BELAY_ACTION_REMOVE;
}

static int keep(belay_invocation *in, void *context)
{
    (void)context;
    if (in->value_length != BELAY_NO_VALUE)
        memset(in->value, 'x', in->value_length); /* a copy: nobody sees it */
    in->result_length = sizeof in->value_length;
    memcpy(in->result, &in->value_length, sizeof in->value_length);
    return BELAY_ACTION_KEEP;
}

/* A counter whose result is long: LONG_RESULT bytes of the old number. */
static int count(belay_invocation *in, void *context)
{
    uint64_t *number = in->value;
    (void)context;
    if (in->value_length == BELAY_NO_VALUE)
        *number = 0;
    for (unsigned i = 0; i < LONG_RESULT / sizeof *number; ++i)
        memcpy((char *)in->result + i * sizeof *number, number, sizeof *number);
    in->result_length = LONG_RESULT;
    in->value_length = sizeof *number;
    ++*number;
    return BELAY_ACTION_SET;
}

static int nested(belay_invocation *in, void *context)
{
    belay_cache *cache = current->cache;
    char buffer[8];
    size_t length;
    int64_t old;
    uint64_t entries;
    belay_request *request = NULL;
    belay_get_item item = {.key = in->key, .buffer = buffer, .capacity = sizeof buffer};
    int results[] = {belay_put(cache, in->key.data, in->key.length, "v", 1, NULL),
                     belay_get(cache, in->key.data, in->key.length, buffer, sizeof buffer, &length),
                     belay_fetch_add(cache, in->key.data, in->key.length, 1, NULL, &old),
                     belay_put_nb(cache, in->key.data, in->key.length, "v", 1, NULL, &request),
                     belay_invoke(cache, in->key.data, in->key.length, "keep", NULL, 0, NULL, NULL, 0, NULL),
                     belay_get_all(cache, &item, 1),
                     belay_size(cache, &entries),
                     belay_clear(cache),
                     belay_flush(current->node),
                     belay_progress(current->node),
                     belay_cache_close(cache),
                     belay_close(current->node)};
    (void)context;
    for (size_t i = 0; i < sizeof results / sizeof *results; ++i)
        CHECK(results[i] == BELAY_ERR_INVALID, "call %zu within a function gives %s", i,
              belay_strerror(results[i]));
    return BELAY_ACTION_KEEP;
}

/* What the argument names is wrong. */
static int misbehave(belay_invocation *in, void *context)
{
    (void)context;
    memset(in->value, 'x', 1);
    switch (*(const char *)in->argument.data) {
    case 'r': in->result_length = in->result_capacity + 1; return BELAY_ACTION_SET;
    case 'v': in->value_length = BELAY_INVOKE_VALUE_MAX + 1; return BELAY_ACTION_SET;
    case 'n': in->value_length = BELAY_NO_VALUE; return BELAY_ACTION_SET;
    default: return 7;
    }
}

void register_functions(belay_node *node, const struct job *job)
{
    char name[BELAY_FUNCTION_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    CHECK_OK(belay_function_register(node, "append", append, &current));
    CHECK_OK(belay_function_register(node, "drop", drop, NULL));
    CHECK_OK(belay_function_register(node, "keep", keep, NULL));
    CHECK_OK(belay_function_register(node, "count", count, NULL));
    CHECK_OK(belay_function_register(node, "nested", nested, NULL));
    CHECK_OK(belay_function_register(node, "misbehave", misbehave, NULL));
    CHECK_OK(belay_function_register(node, name + 1, keep, NULL));
    if (job->rank == 0)
        CHECK_OK(belay_function_register(node, "only here", keep, NULL));
    CHECK_RESULT(belay_function_register(node, "keep", append, NULL), BELAY_ERR_EXISTS);
    CHECK_RESULT(belay_function_register(node, name, keep, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_function_register(node, "", keep, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_function_register(node, NULL, keep, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_function_register(node, "other", NULL, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_function_register(NULL, "other", keep, NULL), BELAY_ERR_INVALID);
}

/* ---- What is tested ---- */

static int apply(const struct subject *s, const struct key *key, const char *function, const char *argument,
                 const belay_write_options *options, void *buffer, size_t capacity, size_t *length)
{
    return belay_invoke(s->cache, key->bytes, key->length, function, argument, strlen(argument), options,
                        buffer, capacity, length);
}

static void test_actions(const struct subject *s, unsigned n, const belay_write_options *options)
{
    struct key key;
    char buffer[64];
    size_t length = 4711, seen = 0;
    own_key(s, s->job->rank, FIRST + n, &key);
    CHECK_OK(apply(s, &key, "keep", "", options, &seen, sizeof seen, &length));
    CHECK(length == sizeof seen && seen == BELAY_NO_VALUE, "an absent value has %zu bytes", seen);
    CHECK_OK(apply(s, &key, "drop", "", options, buffer, sizeof buffer, NULL));
    expect_absent(s, &key);
    CHECK_OK(apply(s, &key, "append", "one", options, buffer, sizeof buffer, &length));
    CHECK(length == 0, "the first has a result of %zu bytes", length);
    expect_value(s, &key, "one", 3);
    CHECK_OK(apply(s, &key, "append", " two", options, buffer, sizeof buffer, &length));
    CHECK(length == 3 && memcmp(buffer, "one", 3) == 0, "the result is %.*s", (int)length, buffer);
    CHECK_OK(apply(s, &key, "keep", "", options, &seen, sizeof seen, &length));
    CHECK(seen == 7, "the value has %zu bytes", seen);
    expect_value(s, &key, "one two", 7);
    length = 4711;
    CHECK_RESULT(apply(s, &key, "append", " no", options, buffer, 6, &length), BELAY_ERR_TRUNCATED);
    CHECK(length == 7, "TRUNCATED tells %zu bytes", length);
    expect_value(s, &key, "one two", 7);
    CHECK_OK(apply(s, &key, "append", "", options, buffer, 7, &length));
    CHECK_OK(apply(s, &key, "drop", "", options, buffer, sizeof buffer, &length));
    CHECK(length == 1 && buffer[0] == '7', "the result is %.*s", (int)length, buffer);
    expect_absent(s, &key);
}

/* Behind puts of its own process, whatever their mode. */
static void test_order(const struct subject *s, const belay_write_options *options)
{
    struct key key;
    char value[8];
    size_t seen = 0;
    own_key(s, s->job->rank, FIRST, &key);
    memset(value, 'v', sizeof value);
    for (size_t i = 1; i <= ROUNDS; ++i) {
        size_t length = i % sizeof value;
        CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, length, options));
        CHECK_OK(apply(s, &key, "keep", "", NULL, &seen, sizeof seen, NULL));
        CHECK(seen == length, "after a put of %zu bytes: %zu", length, seen);
    }
    CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
}

static void test_lengths(const struct subject *s)
{
    struct key key;
    static char value[BELAY_INVOKE_VALUE_MAX + 1], argument[BELAY_INVOKE_ARGUMENT_MAX + 1],
        result[BELAY_INVOKE_RESULT_MAX + 8], expected[sizeof value];
    size_t length, held = BELAY_INVOKE_VALUE_MAX - BELAY_INVOKE_ARGUMENT_MAX;
    own_key(s, s->job->rank, FIRST + 1, &key);
    for (size_t i = 0; i < sizeof value; ++i)
        value[i] = (char)(i * 7 % 251);
    memset(argument, 'a', sizeof argument);
    CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, BELAY_INVOKE_RESULT_MAX, NULL));
    CHECK_OK(belay_invoke(s->cache, key.bytes, key.length, "append", argument, BELAY_INVOKE_ARGUMENT_MAX,
                          NULL, result, sizeof result, &length));
    CHECK(length == BELAY_INVOKE_RESULT_MAX && memcmp(result, value, length) == 0, "a result of %zu bytes",
          length);
    CHECK_RESULT(belay_invoke(s->cache, key.bytes, key.length, "append", argument, 1, NULL, result,
                              sizeof result, &length),
                 BELAY_ERR_TRUNCATED);
    CHECK_RESULT(belay_invoke(s->cache, key.bytes, key.length, "append", argument, sizeof argument, NULL,
                              result, sizeof result, &length),
                 BELAY_ERR_TOO_LARGE);
    CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, held, NULL));
    CHECK_RESULT(belay_invoke(s->cache, key.bytes, key.length, "append", argument, 1, NULL, NULL, 0, &length),
                 BELAY_ERR_TRUNCATED);
    CHECK_OK(
        belay_invoke(s->cache, key.bytes, key.length, "keep", NULL, 0, NULL, &length, sizeof length, NULL));
    CHECK(length == held, "a value of %zu bytes", length);
    CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, BELAY_INVOKE_VALUE_MAX, NULL));
    CHECK_OK(
        belay_invoke(s->cache, key.bytes, key.length, "keep", NULL, 0, NULL, &length, sizeof length, NULL));
    CHECK_OK(belay_get(s->cache, key.bytes, key.length, expected, sizeof expected, &length));
    CHECK(length == BELAY_INVOKE_VALUE_MAX && memcmp(expected, value, length) == 0,
          "a function that keeps changed the value");
    CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, sizeof value, NULL));
    CHECK_RESULT(
        belay_invoke(s->cache, key.bytes, key.length, "keep", NULL, 0, NULL, &length, sizeof length, NULL),
        BELAY_ERR_TOO_LARGE);
    CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
}

static void test_refused(const struct subject *s)
{
    struct key key;
    char buffer[16];
    size_t length = 4711;
    static const struct {
        const char *what;
        int expected;
    } wrong[] = {{"r", BELAY_ERR_TRUNCATED},
                 {"v", BELAY_ERR_TOO_LARGE},
                 {"n", BELAY_ERR_INVALID},
                 {"?", BELAY_ERR_INVALID}};
    own_key(s, s->job->rank, FIRST + 2, &key);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        CHECK_RESULT(apply(s, &key, "misbehave", wrong[i].what, NULL, buffer, sizeof buffer, NULL),
                     wrong[i].expected);
    expect_absent(s, &key);
    CHECK_OK(apply(s, &key, "nested", "", NULL, buffer, sizeof buffer, &length));
    expect_absent(s, &key);
    CHECK_RESULT(apply(s, &key, "unknown", "", NULL, buffer, sizeof buffer, &length), BELAY_ERR_NO_FUNCTION);
    CHECK(strstr(belay_last_error(), "unknown"), "NO_FUNCTION says: %s", belay_last_error());
    int partition = belay_partition_of(s->cache, key.bytes, key.length);
    bool known = belay_primary_of(s->cache, partition) == 0;
    CHECK_RESULT(apply(s, &key, "only here", "", NULL, buffer, sizeof buffer, &length),
                 known ? BELAY_OK : BELAY_ERR_NO_FUNCTION);
    CHECK_RESULT(apply(s, &key, "", "", NULL, buffer, sizeof buffer, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(apply(s, &key, NULL, "", NULL, buffer, sizeof buffer, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(apply(s, &key, "keep", "", NULL, NULL, 1, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_invoke(s->cache, NULL, 1, "keep", NULL, 0, NULL, buffer, 8, &length),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_invoke(s->cache, "k", 1, "keep", NULL, 1, NULL, buffer, 8, &length),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_invoke(NULL, "k", 1, "keep", NULL, 0, NULL, buffer, 8, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_invoke_nb(s->cache, "k", 1, "keep", NULL, 0, NULL, buffer, 8, &length, NULL),
                 BELAY_ERR_INVALID);
}

/* What has ended is not there for a function; what it sets ends as the options say. */
static void test_time_to_live(const struct subject *s)
{
    static const belay_write_options brief = {.time_to_live_ms = 1};
    struct key key;
    char result[8];
    size_t seen = 0, length = 4711;
    own_key(s, s->job->rank, FIRST + 4, &key);
    CHECK_OK(apply(s, &key, "append", "gone", &brief, result, sizeof result, &length));
    nanosleep(&(struct timespec){0, 5 * 1000 * 1000}, NULL);
    CHECK_OK(apply(s, &key, "keep", "", NULL, &seen, sizeof seen, NULL));
    CHECK(seen == BELAY_NO_VALUE, "a value that has ended has %zu bytes", seen);
    CHECK_OK(apply(s, &key, "append", "gone", &brief, result, sizeof result, &length));
    nanosleep(&(struct timespec){0, 5 * 1000 * 1000}, NULL);
    CHECK_OK(apply(s, &key, "append", "new", NULL, result, sizeof result, &length));
    CHECK(length == 0, "a function was applied to %zu bytes that have ended", length);
    expect_value(s, &key, "new", 3);
    CHECK_OK(apply(s, &key, "drop", "", NULL, result, sizeof result, &length));
}

/* All ranks count together, many open at once: every number is told once. */
static void test_shared_counter(const struct subject *s, const belay_write_options *options)
{
    struct key key;
    static char results[ROUNDS][LONG_RESULT];
    size_t lengths[ROUNDS];
    belay_request *requests[ROUNDS];
    uint64_t sum = 0, total = (uint64_t)s->job->ranks * ROUNDS;
    key_make(SHARED, &key);
    job_barrier();
    for (unsigned i = 0; i < ROUNDS; ++i)
        CHECK_OK(belay_invoke_nb(s->cache, key.bytes, key.length, "count", NULL, 0, options, results[i],
                                 LONG_RESULT, &lengths[i], &requests[i]));
    CHECK_OK(belay_wait_all(requests, ROUNDS, NULL));
    for (unsigned i = 0; i < ROUNDS; ++i) {
        uint64_t first, last;
        memcpy(&first, results[i], sizeof first);
        memcpy(&last, results[i] + LONG_RESULT - sizeof last, sizeof last);
        CHECK(lengths[i] == LONG_RESULT && first == last && first < total, "%zu bytes, %llu, %llu",
              lengths[i], (unsigned long long)first, (unsigned long long)last);
        sum += first;
    }
    sum = job_sum(sum);
    CHECK(sum == total * (total - 1) / 2, "the numbers told make %llu in all", (unsigned long long)sum);
    expect_value(s, &key, &total, sizeof total);
    job_barrier();
    if (s->job->rank == 0)
        CHECK_OK(belay_remove(s->cache, key.bytes, key.length, options));
    settle(s);
}

void test_functions(const struct subject *s)
{
    static const belay_write_options options[] = {{.sync = BELAY_SYNC_DEFAULT},
                                                  {.sync = BELAY_FULL_SYNC},
                                                  {.sync = BELAY_PRIMARY_SYNC},
                                                  {.sync = BELAY_FULL_ASYNC}};
    at("functions: %s", s->config.name);
    current = s;
    for (unsigned i = 0; i < sizeof options / sizeof *options; ++i) {
        test_actions(s, i, &options[i]);
        test_order(s, &options[i]);
    }
    test_time_to_live(s);
    test_lengths(s);
    test_refused(s);
    test_shared_counter(s, NULL);
}
