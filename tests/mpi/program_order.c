/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FULL_ASYNC: a process reads its own writes, its writes to one key apply in its program order, and in the
 * end everybody sees the same. Some keys are written by one process only: none of its threads may see
 * anything older than what any of them has written. Others are written by all: nobody may see the updates
 * of one writer go back.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <mpi.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 3,
    KEYS = 6, /* of all, and as many of each process */
    FIRST_KEY = 400,
    WRITERS_MAX = 64,
    VALUE_LONGEST = 70 * 1000
};

/* Keys of the process, written by one thread each, read by all. */
static atomic_ullong written[KEYS]; /* sequence of the newest write that has returned */

struct worker {
    const struct job *job;
    belay_cache *cache;
    struct random_source random;
    unsigned thread;
    uint32_t writer;
    uint64_t ends, reads, writes;
    uint64_t sequence[KEYS],
        own_sequence[KEYS]; /* of this writer's newest update of the shared and of its own keys */
    uint64_t removed[KEYS]; /* was that update a remove? */
    uint64_t seen[KEYS][WRITERS_MAX];
    unsigned char *value;
};

static void shared_key(unsigned index, uint64_t *number, struct key *key)
{
    *number = FIRST_KEY + index;
    key_make(*number, key);
}

static void process_key(int rank, unsigned index, uint64_t *number, struct key *key)
{
    *number = FIRST_KEY + KEYS + (uint64_t)rank * KEYS + index;
    key_make(*number, key);
}

static void put(struct worker *w, uint64_t number, const struct key *key, uint64_t sequence)
{
    uint64_t longest = random_percent(&w->random, 10) ? VALUE_LONGEST : 300;
    size_t length = random_between(&w->random, VALUE_DESCRIBED, longest);
    value_make(number, (struct value_origin){.sequence = sequence, .writer = w->writer}, w->value, length);
    CHECK_OK(belay_put(w->cache, key->bytes, key->length, w->value, length, NULL));
    ++w->writes;
}

/* @return false if there is no value. */
static bool get(struct worker *w, uint64_t number, const struct key *key, struct value_origin *origin)
{
    size_t length = 0;
    int result = belay_get(w->cache, key->bytes, key->length, w->value, VALUE_LONGEST, &length);
    ++w->reads;
    if (result == BELAY_ERR_NOT_FOUND || !CHECK_OK(result))
        return false;
    const char *fault = length < VALUE_DESCRIBED ? "too short"
                                                 : value_fault(number, w->value, length, origin);
    return CHECK(!fault, "key %llu, %zu bytes: %s", (unsigned long long)number, length, fault);
}

static void write_shared(struct worker *w)
{
    unsigned index = (unsigned)random_below(&w->random, KEYS);
    uint64_t number;
    struct key key;
    shared_key(index, &number, &key);
    ++w->sequence[index];
    w->removed[index] = random_percent(&w->random, 10);
    if (w->removed[index])
        CHECK_OK(belay_remove(w->cache, key.bytes, key.length, NULL));
    else
        put(w, number, &key, w->sequence[index]);
}

static void read_shared(struct worker *w)
{
    unsigned index = (unsigned)random_below(&w->random, KEYS);
    uint64_t number;
    struct key key;
    struct value_origin origin = {0};
    shared_key(index, &number, &key);
    if (!get(w, number, &key, &origin) || !CHECK(origin.writer < WRITERS_MAX, "writer %u", origin.writer))
        return;
    CHECK(origin.writer != w->writer || origin.sequence == w->sequence[index],
          "key %llu: thread %u reads its update %llu after it wrote %llu", (unsigned long long)number,
          w->thread, (unsigned long long)origin.sequence, (unsigned long long)w->sequence[index]);
    CHECK(origin.sequence >= w->seen[index][origin.writer],
          "key %llu: writer %u went back from update %llu to %llu", (unsigned long long)number, origin.writer,
          (unsigned long long)w->seen[index][origin.writer], (unsigned long long)origin.sequence);
    w->seen[index][origin.writer] = origin.sequence;
}

static void write_own(struct worker *w)
{
    unsigned index = (unsigned)random_below(&w->random, KEYS / THREADS) * THREADS + w->thread;
    uint64_t number;
    struct key key;
    process_key(w->job->rank, index, &number, &key);
    put(w, number, &key, ++w->own_sequence[index]);
    atomic_store(&written[index], w->own_sequence[index]);
}

static void read_own(struct worker *w)
{
    unsigned index = (unsigned)random_below(&w->random, KEYS);
    uint64_t number, before = atomic_load(&written[index]);
    struct key key;
    struct value_origin origin = {0};
    process_key(w->job->rank, index, &number, &key);
    bool there = get(w, number, &key, &origin);
    CHECK(origin.sequence >= before, "own key %llu: %s update %llu, after update %llu was written",
          (unsigned long long)number, there ? "is still at" : "is not there, seemingly before",
          (unsigned long long)origin.sequence, (unsigned long long)before);
    if (index % THREADS == w->thread)
        CHECK(origin.sequence == w->own_sequence[index], "own key %llu: update %llu of %llu",
              (unsigned long long)number, (unsigned long long)origin.sequence,
              (unsigned long long)w->own_sequence[index]);
}

static void *run_worker(void *context)
{
    static void (*const operations[])(struct worker *) = {
        write_shared, write_shared, read_shared, read_shared, write_own, write_own, read_own, read_own};
    struct worker *w = context;
    while (job_clock() < w->ends) {
        at("thread %u: %llu writes, %llu reads", w->thread, (unsigned long long)w->writes,
           (unsigned long long)w->reads);
        operations[random_below(&w->random, sizeof operations / sizeof *operations)](w);
    }
    at("thread %u: done", w->thread);
    return NULL;
}

/* Every rank reads the same, and it is the last update of one of the writers. */
static void check_end(struct worker *workers)
{
    for (unsigned index = 0; index < KEYS; ++index) {
        uint64_t number, last = 0;
        struct key key;
        struct value_origin origin = {0};
        shared_key(index, &number, &key);
        bool there = get(&workers[0], number, &key, &origin);
        uint64_t seen = there ? (uint64_t)origin.writer << 48 | origin.sequence : 0;
        CHECK(job_min(seen) == job_max(seen), "key %llu: this rank reads %llx, others something else",
              (unsigned long long)number, (unsigned long long)seen);
        for (unsigned i = 0; i < THREADS; ++i)
            if (there)
                last += workers[i].writer == origin.writer && !workers[i].removed[index] &&
                        workers[i].sequence[index] == origin.sequence;
            else
                last += workers[i].removed[index] || workers[i].sequence[index] == 0;
        CHECK(job_sum(last) > 0, "key %llu: what is there in the end (%llx) is nobody's last update",
              (unsigned long long)number, (unsigned long long)seen);
    }
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS];
    struct job job;
    job_begin(&argc, &argv, "program_order", 6, &job);
    belay_node *node = job_open(&(belay_config){.arena_size = 128ull << 20});
    belay_cache *cache = job_cache(node,
                                   &(belay_cache_config){.name = "async", .backups = 1, .partitions = 8});
    uint64_t ends = job_clock() + (uint64_t)(job.seconds * 1e9), calls = 0;
    for (unsigned i = 0; i < THREADS; ++i) {
        struct worker *w = &workers[i];
        *w = (struct worker){.job = &job, .cache = cache, .thread = i, .ends = ends};
        w->writer = (uint32_t)job.rank * THREADS + i;
        w->random = random_stream(job.seed, (uint64_t)job.rank, i);
        w->value = malloc(VALUE_LONGEST);
        if (!w->value || w->writer >= WRITERS_MAX)
            job_abort("no memory, or too many ranks");
    }
    job_threads(THREADS, run_worker, workers, sizeof *workers);
    CHECK_OK(belay_flush(node));
    job_barrier();
    check_end(workers);
    job_verify(node, cache, "in the end");
    for (unsigned i = 0; i < THREADS; ++i) {
        calls += workers[i].writes + workers[i].reads;
        free(workers[i].value);
    }
    calls = job_sum(calls);
    if (job.rank == 0)
        report_note("%llu calls", (unsigned long long)calls);
    job_close(node);
    return job_end(&job);
}
