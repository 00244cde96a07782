/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures of belay_stats() after a known number of calls. */
#include "operations.h"

enum { KEYS = 60, FIRST = 5000 };

static void expect_counted(const char *what, uint64_t before, uint64_t after, uint64_t expected)
{
    CHECK(after - before == expected, "%s: %llu counted of %llu", what, (unsigned long long)(after - before),
          (unsigned long long)expected);
}

static void check_sums(const struct subject *s, const belay_cache_stats *before,
                       const belay_cache_stats *after)
{
    uint64_t updates = job_sum(after->updates_applied - before->updates_applied);
    uint64_t written = (uint64_t)s->job->ranks * (KEYS + KEYS / 2), size = 0;
    CHECK(updates == written, "%llu updates applied of %llu", (unsigned long long)updates,
          (unsigned long long)written);
    uint64_t pushes = job_sum(after->pushes - before->pushes);
    CHECK(pushes == written * s->backups, "%llu pushes for %llu updates and %u backups",
          (unsigned long long)pushes, (unsigned long long)written, s->backups);
    CHECK((job_sum(after->push_bytes) > 0) == (s->backups > 0), "bytes pushed, with %u backups", s->backups);
    CHECK_OK(belay_size(s->cache, &size));
    uint64_t entries = job_sum(after->entries), live = job_sum(after->bytes_live),
             held = job_sum(after->bytes_held);
    CHECK(entries == size, "%llu entries at all primaries, size %llu", (unsigned long long)entries,
          (unsigned long long)size);
    CHECK(live >= entries * 100 && held >= live, "%llu bytes live, %llu held, %llu entries",
          (unsigned long long)live, (unsigned long long)held, (unsigned long long)entries);
    if (s->job->rank >= s->servers)
        CHECK(after->entries == 0 && after->bytes_held == 0 && after->updates_applied == 0,
              "a client holds copies");
}

/* Half of them have been removed. */
static void get_many(const struct subject *s, unsigned char *value, size_t capacity)
{
    struct key keys[KEYS];
    belay_get_item items[KEYS];
    for (unsigned n = 0; n < KEYS; ++n) {
        own_key(s, s->job->rank, FIRST + n, &keys[n]);
        items[n] = (belay_get_item){
            .key = {keys[n].bytes, keys[n].length}, .buffer = value, .capacity = capacity};
    }
    CHECK_OK(belay_get_all(s->cache, items, KEYS));
}

/* Of 64 calls of a thread one is timed, whatever was before. */
static void check_timed(const struct subject *s, belay_timed calls, const belay_latencies *before)
{
    belay_latencies after;
    uint64_t sum = 0;
    CHECK_OK(belay_latency(s->cache, calls, &after));
    CHECK(after.count == before->count + 2, "%d of 128 calls %d were timed",
          (int)(after.count - before->count), calls);
    for (unsigned i = 0; i < BELAY_LATENCY_BUCKETS; ++i)
        sum += after.buckets[i];
    CHECK(sum == after.count && after.longest_ns <= after.sum_ns, "the histogram is not its count");
    uint64_t half = belay_latency_percentile(&after, 50), all = belay_latency_percentile(&after, 100);
    CHECK(half > 0 && half <= all && all == after.longest_ns, "percentiles %llu, %llu of at most %llu",
          (unsigned long long)half, (unsigned long long)all, (unsigned long long)after.longest_ns);
}

static void test_latencies(const struct subject *s)
{
    belay_latencies gets, writes;
    struct key key;
    char value[8] = "";
    size_t length;
    own_key(s, s->job->rank, FIRST, &key);
    CHECK_OK(belay_latency(s->cache, BELAY_TIMED_GETS, &gets));
    CHECK_OK(belay_latency(s->cache, BELAY_TIMED_WRITES, &writes));
    for (unsigned n = 0; n < 128; ++n) {
        CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, sizeof value, NULL));
        CHECK_OK(belay_get(s->cache, key.bytes, key.length, value, sizeof value, &length));
    }
    check_timed(s, BELAY_TIMED_GETS, &gets);
    check_timed(s, BELAY_TIMED_WRITES, &writes);
    CHECK_RESULT(belay_latency(s->cache, (belay_timed)3, &gets), BELAY_ERR_INVALID);
    CHECK(belay_latency_percentile(&(belay_latencies){0}, 99) == 0, "a percentile of nothing");
}

void test_stats(const struct subject *s)
{
    belay_cache_stats before, after;
    unsigned char value[100] = {0};
    struct key key;
    size_t length;
    at("stats: %s", s->config.name);
    settle(s);
    CHECK_OK(belay_stats(s->cache, &before));
    job_barrier();
    for (unsigned n = 0; n < KEYS; ++n) {
        own_key(s, s->job->rank, FIRST + n, &key);
        CHECK_OK(belay_put(s->cache, key.bytes, key.length, value, sizeof value, NULL));
        CHECK_OK(belay_get(s->cache, key.bytes, key.length, value, sizeof value, &length));
    }
    for (unsigned n = 0; n < KEYS; n += 2) {
        own_key(s, s->job->rank, FIRST + n, &key);
        CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
        CHECK_RESULT(belay_get(s->cache, key.bytes, key.length, value, sizeof value, &length),
                     BELAY_ERR_NOT_FOUND);
    }
    get_many(s, value, sizeof value);
    settle(s);
    CHECK_OK(belay_stats(s->cache, &after));
    expect_counted("puts", before.puts, after.puts, KEYS);
    expect_counted("removes", before.removes, after.removes, KEYS / 2);
    expect_counted("gets", before.gets, after.gets, 2 * KEYS + KEYS / 2);
    expect_counted("hits", before.hits, after.hits, KEYS + KEYS / 2);
    expect_counted("misses", before.misses, after.misses, KEYS);
    uint64_t one_sided = after.gets_local + after.gets_one_sided + after.gets_from_backup;
    CHECK(after.gets == one_sided + after.gets_requested,
          "%llu gets, %llu local, one-sided or from a backup, %llu requested", (unsigned long long)after.gets,
          (unsigned long long)one_sided, (unsigned long long)after.gets_requested);
    check_sums(s, &before, &after);
    test_latencies(s);
    job_barrier();
}
