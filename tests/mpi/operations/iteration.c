/* SPDX-License-Identifier: BSD-3-Clause */
/* Size and iteration: every entry exactly once, also while others write, and with local_only each at its
 * primary. */
#include "operations.h"

#include <stdlib.h>
#include <string.h>

enum { STABLE = 300, CHURNED = 100, FIRST = 4000, STOP = 77 };

struct visits {
    const struct subject *s;
    unsigned *stable, *churned; /* how often each was shown, by rank and number */
    uint64_t all;
    uint64_t stop_after;
    bool local_only;
};

/* A key of this test is its rank and number; the value says the same. */
struct mark {
    uint32_t magic, rank, n;
};

static struct mark mark_of(int rank, unsigned n)
{
    return (struct mark){0xbe1a7, (uint32_t)rank, n};
}

static int visit(belay_bytes key, belay_bytes value, void *context)
{
    struct visits *visits = context;
    const struct subject *s = visits->s;
    struct mark mark = {0, 0, 0};
    if (++visits->all == visits->stop_after)
        return STOP;
    if (!CHECK(key.length == sizeof mark && value.length >= sizeof mark, "key of %zu bytes, value of %zu",
               key.length, value.length))
        return 0;
    memcpy(&mark, key.data, sizeof mark);
    CHECK(memcmp(key.data, value.data, sizeof mark) == 0, "the value shown is not that of the key");
    if (!CHECK(mark.rank < (uint32_t)s->job->ranks && mark.n < STABLE + CHURNED, "key %u of rank %u", mark.n,
               mark.rank))
        return 0;
    if (visits->local_only)
        CHECK(belay_is_primary(s->cache, key.data, key.length) == 1,
              "shown by a node that is not its primary");
    if (mark.n < STABLE)
        ++visits->stable[mark.rank * STABLE + mark.n];
    else
        ++visits->churned[mark.rank * CHURNED + mark.n - STABLE];
    return 0;
}

static void visits_create(struct visits *visits, const struct subject *s, bool local_only)
{
    *visits = (struct visits){.s = s, .local_only = local_only};
    visits->stable = calloc((size_t)s->job->ranks * STABLE, sizeof *visits->stable);
    visits->churned = calloc((size_t)s->job->ranks * CHURNED, sizeof *visits->churned);
    if (!visits->stable || !visits->churned)
        job_abort("no memory for visits");
}

static void visits_destroy(struct visits *visits)
{
    free(visits->stable);
    free(visits->churned);
}

static void expect_stable_once(const struct visits *visits)
{
    for (unsigned i = 0; i < (unsigned)visits->s->job->ranks * STABLE; ++i)
        CHECK(visits->stable[i] == 1, "key %u of rank %u was shown %u times", i % STABLE, i / STABLE,
              visits->stable[i]);
    for (unsigned i = 0; i < (unsigned)visits->s->job->ranks * CHURNED; ++i)
        CHECK(visits->churned[i] <= 1, "changing key %u of rank %u was shown %u times", i % CHURNED,
              i / CHURNED, visits->churned[i]);
}

static void put_mark(const struct subject *s, unsigned n, size_t length)
{
    unsigned char value[2000] = {0};
    struct mark mark = mark_of(s->job->rank, n);
    memcpy(value, &mark, sizeof mark);
    CHECK_OK(belay_put(s->cache, &mark, sizeof mark, value, length, NULL));
}

static void test_quiet(const struct subject *s)
{
    struct visits visits;
    uint64_t size = 0, all = (uint64_t)s->job->ranks * STABLE;
    CHECK_OK(belay_size(s->cache, &size));
    CHECK(size == all, "size is %llu instead of %llu", (unsigned long long)size, (unsigned long long)all);
    visits_create(&visits, s, false);
    CHECK_OK(belay_iterate(s->cache, 0, visit, &visits));
    expect_stable_once(&visits);
    visits_destroy(&visits);

    visits_create(&visits, s, true);
    CHECK_OK(belay_iterate(s->cache, 1, visit, &visits));
    CHECK(job_sum(visits.all) == all, "all nodes' own entries are %llu of %llu",
          (unsigned long long)job_sum(visits.all), (unsigned long long)all);
    visits_destroy(&visits);

    visits_create(&visits, s, false);
    visits.stop_after = 10;
    CHECK_RESULT(belay_iterate(s->cache, 0, visit, &visits), STOP);
    CHECK(visits.all == 10, "went on for %llu entries after it was stopped", (unsigned long long)visits.all);
    visits_destroy(&visits);
    job_barrier();
}

/* Some iterate, the others overwrite the stable keys (they are there all the time) and put and remove
 * others. */
static void test_busy(const struct subject *s)
{
    struct random_source source = random_stream(s->job->seed, (uint64_t)s->job->rank, 9);
    uint64_t ends = job_clock() + 300000000ull;
    bool iterates = s->job->ranks > 1 && s->job->rank % 2 == 0;
    job_barrier();
    while (job_clock() < ends)
        if (iterates) {
            struct visits visits;
            visits_create(&visits, s, false);
            CHECK_OK(belay_iterate(s->cache, 0, visit, &visits));
            expect_stable_once(&visits);
            visits_destroy(&visits);
        } else {
            unsigned n = (unsigned)random_below(&source, STABLE + CHURNED);
            struct mark mark = mark_of(s->job->rank, n);
            if (n >= STABLE && random_percent(&source, 50))
                CHECK_OK(belay_remove(s->cache, &mark, sizeof mark,
                                      &(belay_write_options){.sync = BELAY_FULL_ASYNC}));
            else
                put_mark(s, n, random_between(&source, sizeof mark, 2000));
        }
    job_barrier();
}

void test_iteration(const struct subject *s)
{
    at("iteration: %s", s->config.name);
    for (unsigned n = 0; n < STABLE; ++n)
        put_mark(s, n, sizeof(struct mark) + n);
    settle(s);
    test_quiet(s);
    test_busy(s);
    settle(s);
}

void test_clear(const struct subject *s)
{
    uint64_t size = 0;
    struct key key;
    at("clear: %s", s->config.name);
    own_key(s, s->job->rank, FIRST, &key);
    for (int round = 0; round < 2; ++round) { /* of a full cache, then of a small one */
        CHECK_OK(belay_put(s->cache, key.bytes, key.length, "here", 4, NULL));
        settle(s);
        CHECK_OK(belay_size(s->cache, &size));
        CHECK(size >= (uint64_t)s->job->ranks, "nothing to clear");
        job_barrier();
        if (s->job->rank == s->job->ranks - 1)
            CHECK_OK(belay_clear(s->cache));
        job_barrier();
        CHECK_OK(belay_size(s->cache, &size));
        CHECK(size == 0, "%llu entries after clear", (unsigned long long)size);
        expect_absent(s, &key);
        CHECK(job_verify(s->node, s->cache, "cleared") == 0, "verify finds entries after clear");
    }
    /* Cleared while everybody writes: what was there before is gone, and all copies agree. */
    CHECK_OK(belay_put(s->cache, key.bytes, key.length, "before", 6, NULL));
    settle(s);
    for (unsigned n = 1; n < 200; ++n) {
        own_key(s, s->job->rank, FIRST + n, &key);
        CHECK_OK(belay_put(s->cache, key.bytes, key.length, "meanwhile", 9, NULL));
        if (n == 100 && s->job->rank == 0)
            CHECK_OK(belay_clear(s->cache));
    }
    settle(s);
    own_key(s, s->job->rank, FIRST, &key);
    expect_absent(s, &key);
    job_verify(s->node, s->cache, "cleared under load");
    CHECK_OK(belay_size(s->cache, &size));
    CHECK(size <= 200ull * (unsigned)s->job->ranks, "%llu entries", (unsigned long long)size);
    job_barrier();
    CHECK_OK(belay_clear(s->cache)); /* all at once */
    settle(s);
    CHECK_OK(belay_size(s->cache, &size));
    CHECK(size == 0, "%llu entries after everybody cleared", (unsigned long long)size);
    job_barrier();
}
