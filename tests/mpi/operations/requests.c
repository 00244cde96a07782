/* SPDX-License-Identifier: BSD-3-Clause */
/* The _nb forms: begun, tested, waited for, in any order. */
#include "operations.h"

#include <stdio.h>
#include <string.h>

enum { OPEN = 40, FIRST = 2000 };

static void make(const struct subject *s, unsigned i, struct key *key, char *value, size_t room)
{
    own_key(s, s->job->rank, FIRST + i, key);
    int length = snprintf(value, room, "value %u of rank %d", i, s->job->rank);
    CHECK(length > 0 && (size_t)length < room, "value %u", i);
}

static void wait_backwards(belay_request **requests, unsigned count, int expected)
{
    for (unsigned i = count; i-- > 0;) {
        int completed = 0;
        while (i % 3 == 0 && !completed && CHECK_OK(belay_test(requests[i], &completed)))
            ;
        CHECK_RESULT(belay_wait(&requests[i]), expected);
        CHECK(requests[i] == NULL, "a request outlives belay_wait");
    }
}

void test_requests(const struct subject *s, const belay_write_options *options)
{
    struct key keys[OPEN];
    char values[OPEN][40], buffers[OPEN][40];
    size_t lengths[OPEN];
    int64_t olds[OPEN];
    int results[OPEN];
    belay_request *requests[OPEN] = {NULL};
    bool async = effective_sync(s, options) == BELAY_FULL_ASYNC;
    at("requests: %s", s->config.name);

    for (unsigned i = 0; i < OPEN; ++i) {
        make(s, i, &keys[i], values[i], sizeof values[i]);
        CHECK_OK(belay_put_nb(s->cache, keys[i].bytes, keys[i].length, values[i], strlen(values[i]), options,
                              &requests[i]));
    }
    wait_backwards(requests, OPEN, BELAY_OK);

    for (unsigned i = 0; i < OPEN; ++i)
        CHECK_OK(belay_get_nb(s->cache, keys[i].bytes, keys[i].length, buffers[i], sizeof buffers[i],
                              &lengths[i], &requests[i]));
    CHECK_OK(belay_wait_all(requests, OPEN, results));
    for (unsigned i = 0; i < OPEN; ++i)
        CHECK(results[i] == BELAY_OK && !requests[i] && lengths[i] == strlen(values[i]) &&
                  memcmp(buffers[i], values[i], lengths[i]) == 0,
              "get_nb of item %u: %d, %zu bytes", i, results[i], lengths[i]);

    CHECK_OK(belay_get_nb(s->cache, keys[0].bytes, keys[0].length, buffers[0], 3, &lengths[0], &requests[0]));
    CHECK_RESULT(belay_wait(&requests[0]), BELAY_ERR_TRUNCATED);
    CHECK(lengths[0] == strlen(values[0]), "TRUNCATED tells %zu bytes", lengths[0]);
    CHECK_OK(belay_get_nb(s->cache, keys[0].bytes, keys[0].length, NULL, 0, &lengths[0], &requests[0]));
    CHECK_RESULT(belay_wait(&requests[0]), BELAY_ERR_TRUNCATED);
    CHECK_RESULT(belay_get_nb(s->cache, keys[0].bytes, keys[0].length, NULL, 1, &lengths[0], &requests[0]),
                 BELAY_ERR_INVALID);

    for (unsigned i = 0; i < OPEN; ++i)
        CHECK_OK(belay_remove_nb(s->cache, keys[i].bytes, keys[i].length, options, &requests[i]));
    wait_backwards(requests, OPEN, BELAY_OK);
    for (unsigned i = 0; i < OPEN; ++i)
        CHECK_OK(belay_remove_nb(s->cache, keys[i].bytes, keys[i].length, options, &requests[i]));
    CHECK_RESULT(belay_wait_all(requests, OPEN, NULL), async ? BELAY_OK : BELAY_ERR_NOT_FOUND);

    for (unsigned i = 0; i < OPEN; ++i) /* the same key, over and over, all open together */
        CHECK_OK(
            belay_fetch_add_nb(s->cache, keys[0].bytes, keys[0].length, 1, options, &olds[i], &requests[i]));
    CHECK_OK(belay_wait_all(requests, OPEN, results));
    uint64_t seen = 0;
    for (unsigned i = 0; i < OPEN; ++i)
        if (CHECK(olds[i] >= 0 && olds[i] < OPEN, "fetch_add_nb tells %lld", (long long)olds[i]))
            seen |= 1ull << olds[i];
    CHECK(seen == (1ull << OPEN) - 1, "fetch_add_nb told some number twice: %llx", (unsigned long long)seen);
    CHECK_OK(belay_remove(s->cache, keys[0].bytes, keys[0].length, options));
    CHECK_OK(belay_get_nb(s->cache, keys[0].bytes, keys[0].length, buffers[0], 8, &lengths[0], &requests[0]));
    CHECK_RESULT(belay_wait(&requests[0]), BELAY_ERR_NOT_FOUND);
}
