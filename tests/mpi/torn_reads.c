/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Torn and recycled reads, provoked: rank 0 overwrites long values of a few keys as fast as it can, in an
 * arena so small that memory is used again at once, while all others read them one-sided. Every value read
 * must be whole, of its key and not older than one read before; and there must have been reads that had to
 * be repeated, or this tests nothing.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <stdlib.h>

enum { KEYS = 6, LONGEST = 200 * 1000, FIRST_KEY = 500 };

struct tester {
    const struct job *job;
    belay_cache *cache;
    struct random_source random;
    uint64_t numbers[KEYS], sequences[KEYS];
    struct key keys[KEYS];
    unsigned char *buffer;
};

/* Keys whose primary is rank 0, which writes them without any message: the fastest there is. Two others
 * beside. */
static void choose_keys(struct tester *t)
{
    uint64_t number = FIRST_KEY;
    for (unsigned i = 0; i < KEYS; ++number) {
        struct key *key = &t->keys[i];
        key_make(number, key);
        int primary = belay_primary_of(t->cache, belay_partition_of(t->cache, key->bytes, key->length));
        if ((primary == 0) == (i < KEYS - 2) || t->job->ranks == 1)
            t->numbers[i++] = number;
    }
}

static void write_one(struct tester *t, unsigned i)
{
    size_t length = random_between(&t->random, VALUE_DESCRIBED,
                                   random_percent(&t->random, 50) ? 3000 : LONGEST);
    value_make(t->numbers[i], (struct value_origin){.sequence = ++t->sequences[i]}, t->buffer, length);
    CHECK_OK(belay_put(t->cache, t->keys[i].bytes, t->keys[i].length, t->buffer, length, NULL));
}

static void read_one(struct tester *t, unsigned i)
{
    struct value_origin origin = {0};
    size_t length = 0;
    if (!CHECK_OK(belay_get(t->cache, t->keys[i].bytes, t->keys[i].length, t->buffer, LONGEST, &length)))
        return;
    const char *fault = value_fault(t->numbers[i], t->buffer, length, &origin);
    CHECK(!fault, "key %u, %zu bytes: %s", i, length, fault);
    CHECK(origin.sequence >= t->sequences[i], "key %u went back from update %llu to %llu", i,
          (unsigned long long)t->sequences[i], (unsigned long long)origin.sequence);
    t->sequences[i] = origin.sequence;
}

static void run(struct tester *t)
{
    void (*act)(struct tester *, unsigned) = t->job->rank == 0 ? write_one : read_one;
    for (unsigned i = 0; t->job->rank == 0 && i < KEYS; ++i)
        write_one(t, i);
    job_barrier();
    uint64_t ends = job_clock() + (uint64_t)(t->job->seconds * 1e9), calls = 0;
    for (; job_clock() < ends; ++calls) {
        at("%s number %llu", t->job->rank == 0 ? "write" : "read", (unsigned long long)calls);
        act(t, (unsigned)random_below(&t->random, KEYS));
    }
    belay_cache_stats stats = {0};
    CHECK_OK(belay_stats(t->cache, &stats));
    uint64_t retries = job_sum(stats.read_retries), requested = job_sum(stats.gets_requested);
    uint64_t one_sided = job_sum(stats.gets_one_sided), all = job_sum(calls);
    if (t->job->rank == 0)
        report_note("%llu writes, %llu reads: %llu one-sided, %llu repeated, %llu asked of the primary",
                    (unsigned long long)calls, (unsigned long long)(all - calls),
                    (unsigned long long)one_sided, (unsigned long long)retries,
                    (unsigned long long)requested);
    CHECK(retries > 0, "no read was torn or recycled: nothing was tested");
}

int main(int argc, char **argv)
{
    static struct tester t;
    struct job job;
    job_begin(&argc, &argv, "torn_reads", 5, &job);
    if (job.ranks < 2)
        return job_skip(&job, "needs 2 ranks at least");
    belay_node *node = job_open(&(belay_config){.arena_size = 8ull << 20});
    t = (struct tester){.job = &job, .buffer = malloc(LONGEST)};
    if (!t.buffer)
        job_abort("no memory");
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    t.cache = job_cache(node, &(belay_cache_config){.name = "torn",
                                                    .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                                                    .partitions = 16});
    choose_keys(&t);
    run(&t);
    job_verify(node, t.cache, "in the end");
    free(t.buffer);
    job_close(node);
    return job_end(&job);
}
