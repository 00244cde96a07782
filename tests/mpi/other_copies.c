/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values that do not come from the primary's memory: near caches, which must never show an old value, and backups on the
 * reader's own host, whose values may be old but must be whole. Rank 0 overwrites a few keys now and then, in an arena so
 * small that memory is used again soon; all others read. In the end all must see the last values, and there must have been
 * reads of the kind that is tested.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <unistd.h>

enum { KEYS = 24, LONGEST = 20 * 1000, FIRST_KEY = 7000 };

struct tester {
    const struct job *job;
    belay_node *node;
    belay_cache *cache;
    bool may_be_old;
    struct random_source random;
    uint64_t sequences[KEYS];
    struct key keys[KEYS];
    unsigned char buffer[LONGEST];
};

static void write_one(struct tester *t, unsigned i)
{
    size_t length = random_between(&t->random, VALUE_DESCRIBED,
                                   random_percent(&t->random, 80) ? 500 : LONGEST);
    value_make(FIRST_KEY + i, (struct value_origin){.sequence = ++t->sequences[i]}, t->buffer, length);
    CHECK_OK(belay_put(t->cache, t->keys[i].bytes, t->keys[i].length, t->buffer, length, NULL));
    usleep((useconds_t)random_below(&t->random, 2000));
}

static void read_one(struct tester *t, unsigned i)
{
    struct value_origin origin = {0};
    size_t length = 0;
    if (!CHECK_OK(belay_get(t->cache, t->keys[i].bytes, t->keys[i].length, t->buffer, LONGEST, &length)))
        return;
    const char *fault = value_fault(FIRST_KEY + i, t->buffer, length, &origin);
    CHECK(!fault, "key %u, %zu bytes: %s", i, length, fault);
    CHECK(t->may_be_old || origin.sequence >= t->sequences[i], "key %u went back from update %llu to %llu", i,
          (unsigned long long)t->sequences[i], (unsigned long long)origin.sequence);
    t->sequences[i] = origin.sequence;
}

/* Too short a buffer, of a value that was read before. */
static void read_too_short(struct tester *t, unsigned i)
{
    unsigned char byte = 7;
    size_t length = 0;
    CHECK_RESULT(belay_get(t->cache, t->keys[i].bytes, t->keys[i].length, &byte, 1, &length),
                 BELAY_ERR_TRUNCATED);
    CHECK(length >= VALUE_DESCRIBED, "a length of %zu", length);
}

static void run(struct tester *t)
{
    void (*act)(struct tester *, unsigned) = t->job->rank == 0 ? write_one : read_one;
    for (unsigned i = 0; i < KEYS; ++i) {
        key_make(FIRST_KEY + i, &t->keys[i]);
        t->sequences[i] = 0;
        if (t->job->rank == 0)
            write_one(t, i);
    }
    job_barrier();
    uint64_t ends = job_clock() + (uint64_t)(t->job->seconds * 1e9);
    for (uint64_t calls = 0; job_clock() < ends; ++calls) {
        at("call %llu", (unsigned long long)calls);
        act(t, (unsigned)random_below(&t->random, KEYS));
    }
    CHECK_OK(belay_flush(t->node));
    job_barrier();
    for (unsigned i = 0; i < KEYS; ++i) {
        uint64_t last = job_sum(t->job->rank == 0 ? t->sequences[i] : 0);
        read_one(t, i);
        CHECK(t->sequences[i] == last, "key %u: update %llu instead of the last, %llu", i,
              (unsigned long long)t->sequences[i], (unsigned long long)last);
        read_one(t, i);
        read_too_short(t, i);
    }
}

static void begin(struct tester *t, const belay_cache_config *config)
{
    t->cache = job_cache(t->node, config);
    t->may_be_old = config->read_from_backup == BELAY_ON;
    run(t);
    job_verify(t->node, t->cache, config->name);
}

static void test_near(struct tester *t)
{
    belay_cache_stats stats = {0};
    begin(t, &(belay_cache_config){.name = "near",
                                   .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                                   .partitions = 16,
                                   .near_cache_size = 512 * 1024});
    CHECK_OK(belay_stats(t->cache, &stats));
    CHECK(stats.gets_near > 0, "of %llu gets none was served by the near cache",
          (unsigned long long)stats.gets);
    CHECK(stats.gets_near < stats.gets_one_sided, "all %llu gets were served by the near cache",
          (unsigned long long)stats.gets);
}

static void test_backups(struct tester *t)
{
    belay_cache_stats stats = {0};
    begin(t, &(belay_cache_config){.name = "backups",
                                   .cache_mode = BELAY_CACHE_REPLICATED,
                                   .write_synchronization_mode = BELAY_FULL_SYNC,
                                   .partitions = 16,
                                   .read_from_backup = BELAY_ON});
    CHECK_OK(belay_stats(t->cache, &stats));
    CHECK(stats.gets_from_backup > 0, "of %llu gets none was served by a backup",
          (unsigned long long)stats.gets);
}

int main(int argc, char **argv)
{
    static struct tester t;
    struct job job;
    job_begin(&argc, &argv, "other_copies", 3, &job);
    if (job.ranks < 2)
        return job_skip(&job, "needs 2 ranks at least");
    t = (struct tester){.job = &job, .node = job_open(&(belay_config){.arena_size = 16ull << 20})};
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    test_near(&t);
    test_backups(&t);
    job_close(t.node);
    return job_end(&job);
}
