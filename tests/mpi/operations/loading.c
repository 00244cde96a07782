/* SPDX-License-Identifier: BSD-3-Clause */
/* A loader: all it was given is there, on all copies, the last value of each key; what fails is told. */
#include "operations.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS = 150, ROUNDS = 2, FIRST = 7000, LONG = 100000, LONG_EVERY = 50, ROOM = LONG + 16 };

static size_t length_of(unsigned n, unsigned round)
{
    return n % LONG_EVERY == LONG_EVERY - 1 ? LONG + round : (n * 7 + round) % 500;
}

static void make(unsigned char *value, unsigned n, unsigned round)
{
    for (size_t i = 0; i < length_of(n, round); ++i)
        value[i] = (unsigned char)(n + 3 * round + i);
}

static void check_progress(belay_loader *loader, uint64_t added, uint64_t bytes)
{
    belay_load_progress progress;
    CHECK_OK(belay_loader_progress(loader, &progress));
    CHECK(progress.added == added && progress.done == added && progress.failed == 0,
          "%llu of %llu added, %llu done, %llu failed", (unsigned long long)progress.added,
          (unsigned long long)added, (unsigned long long)progress.done, (unsigned long long)progress.failed);
    CHECK(progress.added_bytes == bytes && progress.done_bytes == bytes, "%llu, %llu of %llu bytes",
          (unsigned long long)progress.added_bytes, (unsigned long long)progress.done_bytes,
          (unsigned long long)bytes);
}

/* The same keys in each round, half of them twice in a row. */
static void load(const struct subject *s, belay_loader *loader, unsigned char *value)
{
    uint64_t added = 0, bytes = 0;
    struct key key;
    for (unsigned round = 0; round < ROUNDS; ++round)
        for (unsigned n = 0; n < KEYS; ++n) {
            own_key(s, s->job->rank, FIRST + n, &key);
            for (unsigned times = n % 2; times < 2; ++times, ++added) {
                size_t length = length_of(n, times == 0 ? 9 : round);
                make(value, n, times == 0 ? 9 : round);
                CHECK_OK(belay_loader_add(loader, key.bytes, key.length, value, length));
                memset(value, 0xee, length); /* it is the caller's again */
                bytes += key.length + length;
            }
        }
    CHECK_OK(belay_loader_flush(loader));
    check_progress(loader, added, bytes);
}

/* Another rank's keys: they are on all copies, whatever the cache's mode. */
static void check_loaded(const struct subject *s, unsigned char *value, unsigned char *found)
{
    int other = (s->job->rank + 1) % s->job->ranks;
    struct key key;
    for (unsigned n = 0; n < KEYS; ++n) {
        own_key(s, other, FIRST + n, &key);
        size_t expected = length_of(n, ROUNDS - 1), length = 0;
        make(value, n, ROUNDS - 1);
        CHECK_OK(belay_get(s->cache, key.bytes, key.length, found, ROOM, &length));
        CHECK(length == expected && memcmp(found, value, length) == 0, "key %u has another value", n);
    }
}

static void check_refusals(const struct subject *s, belay_loader *loader)
{
    belay_loader *none;
    belay_load_progress progress;
    CHECK_RESULT(belay_loader_open(NULL, &none), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_open(s->cache, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_add(NULL, "k", 1, "v", 1), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_add(loader, "", 0, "v", 1), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_add(loader, "k", 1, NULL, 1), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_flush(NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_progress(NULL, &progress), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_loader_progress(loader, NULL), BELAY_ERR_INVALID);
    CHECK_OK(belay_loader_close(NULL));
}

void test_loading(const struct subject *s)
{
    belay_loader *loader;
    struct key key;
    unsigned char *value = malloc(2 * (size_t)ROOM);
    at("loading: %s", s->config.name);
    if (!value || !CHECK_OK(belay_loader_open(s->cache, &loader)))
        job_abort("no loader");
    load(s, loader, value);
    check_refusals(s, loader);
    job_barrier(); /* without a flush of the node */
    check_loaded(s, value, value + ROOM);
    job_barrier();
    CHECK_OK(belay_loader_close(loader));
    for (unsigned n = 0; n < KEYS; ++n) {
        own_key(s, s->job->rank, FIRST + n, &key);
        CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
    }
    settle(s);
    free(value);
}
