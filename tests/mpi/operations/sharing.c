/* SPDX-License-Identifier: BSD-3-Clause */
/* What one rank writes the others see, and of those who race exactly one wins. */
#include "operations.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 24, FIRST = 3000, ROUNDS = 50 };

static void shared_key(const struct subject *s, unsigned n, struct key *key)
{
    own_key(s, s->job->ranks, FIRST + n, key); /* the keys of a rank that does not exist */
}

static void test_visible_to_all(const struct subject *s)
{
    char value[64];
    struct key key;
    for (unsigned n = 0; n < KEYS; ++n) {
        own_key(s, s->job->rank, FIRST + n, &key);
        int length = snprintf(value, sizeof value, "%u by rank %d", n, s->job->rank);
        CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, (size_t)length, NULL));
    }
    settle(s);
    for (int rank = 0; rank < s->job->ranks; ++rank)
        for (unsigned n = 0; n < KEYS; ++n) {
            own_key(s, rank, FIRST + n, &key);
            int length = snprintf(value, sizeof value, "%u by rank %d", n, rank);
            expect_value(s, &key, value, (size_t)length);
        }
    job_barrier();
    for (unsigned n = 0; n < KEYS; ++n) { /* everybody removes what the next rank wrote */
        own_key(s, (s->job->rank + 1) % s->job->ranks, FIRST + n, &key);
        CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
    }
    settle(s);
    for (unsigned n = 0; n < KEYS; ++n) {
        own_key(s, s->job->rank, FIRST + n, &key);
        expect_absent(s, &key);
    }
}

static void test_one_creator(const struct subject *s)
{
    uint64_t won = 0;
    struct key key;
    for (unsigned n = 0; n < KEYS; ++n) {
        shared_key(s, n, &key);
        int result = belay_put_if_absent(s->cache, key.bytes, key.length, &s->job->rank, sizeof s->job->rank,
                                         NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_EXISTS, "%s", belay_strerror(result));
        won += result == BELAY_OK;
    }
    CHECK(job_sum(won) == KEYS, "%llu of all ranks' put_if_absent succeeded, for %d keys",
          (unsigned long long)job_sum(won), KEYS);
    settle(s);
    uint64_t winners = 0, own = 0;
    for (unsigned n = 0; n < KEYS; ++n) {
        int winner = -1;
        size_t length = 0;
        shared_key(s, n, &key);
        CHECK_OK(belay_get(s->cache, key.bytes, key.length, &winner, sizeof winner, &length));
        winners = winners * 8 + (uint64_t)winner;
        own += winner == s->job->rank;
    }
    CHECK(job_min(winners) == job_max(winners), "ranks see different winners");
    CHECK(own == won, "%llu keys have this rank's value, %llu were won", (unsigned long long)own,
          (unsigned long long)won);
    job_barrier();
}

static void test_one_swapper(const struct subject *s)
{
    uint64_t won = 0, version = 0;
    int value;
    size_t length;
    struct key key;
    for (unsigned n = 0; n < KEYS; ++n) {
        shared_key(s, n, &key);
        CHECK_OK(
            belay_get_versioned(s->cache, key.bytes, key.length, &value, sizeof value, &length, &version));
        CHECK(job_min(version) == job_max(version), "ranks see different versions");
        int result = belay_compare_and_set(s->cache, key.bytes, key.length, version, &s->job->rank,
                                           sizeof s->job->rank, NULL, NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_CONFLICT, "%s", belay_strerror(result));
        won += result == BELAY_OK;
        settle(s);
    }
    won = job_sum(won);
    CHECK(won == KEYS, "%llu compare_and_set of one version succeeded, for %d keys", (unsigned long long)won,
          KEYS);
}

static void test_counting(const struct subject *s)
{
    struct key key;
    int64_t total = 0, before = -1, old = 0;
    size_t length;
    shared_key(s, KEYS, &key);
    for (unsigned i = 0; i < ROUNDS; ++i) {
        CHECK_OK(belay_fetch_add(s->cache, key.bytes, key.length, 1, NULL, &old));
        CHECK(old > before, "a counter went from %lld to %lld", (long long)before, (long long)old);
        before = old;
    }
    settle(s);
    CHECK_OK(belay_get(s->cache, key.bytes, key.length, &total, sizeof total, &length));
    CHECK(total == ROUNDS * s->job->ranks, "counted to %lld instead of %d", (long long)total,
          ROUNDS * s->job->ranks);
    job_barrier();
}

void test_sharing(const struct subject *s)
{
    at("sharing: %s", s->config.name);
    test_visible_to_all(s);
    test_one_creator(s);
    test_one_swapper(s);
    test_counting(s);
    struct key key;
    for (unsigned n = 0; n <= KEYS; ++n) {
        shared_key(s, n, &key);
        if (s->job->rank == 0)
            CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
    }
    settle(s);
}
