/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any thread may make any call at any time: many threads of each node make all of them at once on the same
 * keys, while one thread opens and closes caches and others flush, iterate, clear, verify and ask for
 * figures. Results are checked as far as races allow; above all this is what the thread sanitizer looks at.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, COUNTERS = 4, KEYS = 20, FIRST_KEY = 600, LONGEST = 20000, OPENED = 4, BATCH = 8 };

struct worker {
    const struct job *job;
    belay_node *node;
    belay_cache *cache;
    unsigned thread;
    struct random_source random;
    uint64_t ends, calls, counted;
    unsigned char *value, *buffer;
    uint64_t number;
    struct key key;
    size_t length;
};

static void check_value(uint64_t number, const void *value, size_t length)
{
    const char *fault = value_fault(number, value, length, NULL);
    CHECK(!fault, "key %llu, %zu bytes: %s", (unsigned long long)number, length, fault);
}

static void check_any(const char *what, int result, int one, int other)
{
    CHECK(result == BELAY_OK || result == one || result == other, "%s gave %s: %s", what,
          belay_strerror(result), belay_last_error());
}

static int check_visited(belay_bytes key, belay_bytes value, void *context)
{
    uint64_t number;
    (void)context;
    if (CHECK(key_number(key.data, key.length, &number), "iteration shows a key nobody put") &&
        number >= FIRST_KEY)
        check_value(number, value.data, value.length);
    return 0;
}

static void use_requests(struct worker *w, const belay_write_options *options)
{
    belay_request *requests[3] = {NULL};
    int results[3];
    size_t length = 0;
    CHECK_OK(belay_put_nb(w->cache, w->key.bytes, w->key.length, w->value, w->length, options, &requests[0]));
    CHECK_OK(belay_get_nb(w->cache, w->key.bytes, w->key.length, w->buffer, LONGEST, &length, &requests[1]));
    CHECK_OK(belay_remove_nb(w->cache, w->key.bytes, w->key.length, options, &requests[2]));
    belay_wait_all(requests, 3, results);
    CHECK_OK(results[0]);
    check_any("get_nb", results[1], BELAY_ERR_NOT_FOUND, BELAY_OK);
    check_any("remove_nb", results[2], BELAY_ERR_NOT_FOUND, BELAY_OK);
    if (results[1] == BELAY_OK)
        check_value(w->number, w->buffer, length);
}

static void use_batches(struct worker *w, const belay_write_options *options)
{
    struct key keys[BATCH];
    belay_put_item puts[BATCH];
    belay_get_item gets[BATCH];
    for (unsigned i = 0; i < BATCH; ++i) {
        uint64_t number = FIRST_KEY + (w->number + i) % KEYS;
        unsigned char *value = w->value + i * (LONGEST / BATCH);
        key_make(number, &keys[i]);
        value_make(number, (struct value_origin){.sequence = w->calls}, value, 100 + i);
        puts[i] = (belay_put_item){.key = {keys[i].bytes, keys[i].length}, .value = {value, 100 + i}};
        gets[i] = (belay_get_item){
            .key = puts[i].key, .buffer = w->buffer + i * (LONGEST / BATCH), .capacity = LONGEST / BATCH};
    }
    CHECK_OK(belay_put_all(w->cache, puts, BATCH, options));
    check_any("get_all", belay_get_all(w->cache, gets, BATCH), BELAY_ERR_TRUNCATED, BELAY_OK);
}

static void use_one_key(struct worker *w, unsigned which, const belay_write_options *options)
{
    const void *key = w->key.bytes;
    size_t key_length = w->key.length, length = 0;
    uint64_t version = 0;
    int result = BELAY_OK;
    switch (which) {
    case 0: CHECK_OK(belay_put(w->cache, key, key_length, w->value, w->length, options)); break;
    case 1:
    case 2:
        result = belay_get_versioned(w->cache, key, key_length, w->buffer, LONGEST, &length, &version);
        check_any("get", result, BELAY_ERR_NOT_FOUND, BELAY_OK);
        if (result == BELAY_OK)
            check_value(w->number, w->buffer, length);
        result = belay_compare_and_set(w->cache, key, key_length, version, w->value, w->length, options,
                                       &version);
        check_any("compare_and_set", result, BELAY_ERR_CONFLICT, BELAY_OK);
        break;
    case 3:
        check_any("remove", belay_remove(w->cache, key, key_length, options), BELAY_ERR_NOT_FOUND, BELAY_OK);
        break;
    case 4:
        result = belay_put_if_absent(w->cache, key, key_length, w->value, w->length, options);
        check_any("put_if_absent", result, BELAY_ERR_EXISTS, BELAY_OK);
        break;
    case 5:
        result = belay_replace(w->cache, key, key_length, w->value, w->length, options);
        check_any("replace", result, BELAY_ERR_NOT_FOUND, BELAY_OK);
        break;
    case 6:
        CHECK_OK(belay_get_and_put(w->cache, key, key_length, w->value, w->length, options, w->buffer,
                                   LONGEST, &length));
        if (length != BELAY_NO_VALUE)
            check_value(w->number, w->buffer, length);
        break;
    case 7:
        check_any("contains", belay_contains(w->cache, key, key_length), BELAY_ERR_NOT_FOUND, BELAY_OK);
        break;
    default: break;
    }
}

/* Key numbers 0 ... 3. */
static void count_up(struct worker *w, const belay_write_options *options)
{
    key_make(random_below(&w->random, COUNTERS), &w->key);
    w->counted += CHECK_OK(belay_fetch_add(w->cache, w->key.bytes, w->key.length, 1, options, NULL));
}

static void use_whole_cache(struct worker *w)
{
    uint64_t size;
    belay_cache_stats stats;
    belay_verify_report report;
    switch (random_below(&w->random, 5)) {
    case 0: CHECK_OK(belay_flush(w->node)); break;
    case 1: CHECK_OK(belay_size(w->cache, &size)); break;
    case 2: CHECK_OK(belay_stats(w->cache, &stats)); break;
    case 3: check_any("verify", belay_verify(w->cache, &report), BELAY_ERR_DIFFERS, BELAY_OK); break;
    default: CHECK_OK(belay_iterate(w->cache, 0, check_visited, NULL)); break;
    }
    belay_progress(w->node);
}

static void *run_worker(void *context)
{
    struct worker *w = context;
    for (; job_clock() < w->ends; ++w->calls) {
        belay_write_options options = {.sync = (belay_sync)random_below(&w->random, BELAY_FULL_ASYNC + 1)};
        w->number = FIRST_KEY + random_below(&w->random, KEYS);
        w->length = random_between(&w->random, VALUE_DESCRIBED,
                                   random_percent(&w->random, 10) ? LONGEST : 300);
        key_make(w->number, &w->key);
        value_make(w->number, (struct value_origin){.sequence = w->calls, .writer = w->thread}, w->value,
                   w->length);
        unsigned dice = (unsigned)random_below(&w->random, 110);
        at("thread %u, call %llu, kind %u", w->thread, (unsigned long long)w->calls, dice);
        if (dice < 72)
            use_one_key(w, dice % 8, &options);
        else if (dice < 80)
            count_up(w, &options);
        else if (dice < 95)
            use_requests(w, &options);
        else if (dice < 107)
            use_batches(w, &options);
        else
            use_whole_cache(w);
    }
    at("thread %u: done", w->thread);
    return NULL;
}

/* Caches are opened by all servers together: so by the main thread, and as often on every rank. */
static void open_and_close(void *context)
{
    struct worker *w = context;
    char name[32], text[32];
    for (unsigned round = 0; job_max(job_clock() < w->ends) == 1; ++round) {
        size_t length = 0;
        snprintf(name, sizeof name, "opened %u", round % OPENED);
        belay_cache *cache = job_cache(w->node,
                                       &(belay_cache_config){.name = name, .backups = 1, .partitions = 4});
        CHECK_OK(belay_put(cache, &w->job->rank, sizeof w->job->rank, name, strlen(name), NULL));
        CHECK_OK(belay_get(cache, &w->job->rank, sizeof w->job->rank, text, sizeof text, &length));
        CHECK(length == strlen(name) && memcmp(text, name, length) == 0, "%zu bytes of %s", length, name);
        job_barrier();
        if (round % 3 == 0 && w->job->rank == 0)
            CHECK_OK(belay_clear(cache));
        CHECK_OK(belay_cache_close(cache));
    }
}

static void check_counters(const struct worker *workers)
{
    uint64_t counted = 0, sum = 0;
    for (unsigned i = 0; i < THREADS; ++i)
        counted += workers[i].counted;
    for (unsigned i = 0; i < COUNTERS; ++i) {
        struct key key;
        uint64_t count = 0;
        size_t length;
        key_make(i, &key);
        int result = belay_get(workers[0].cache, key.bytes, key.length, &count, sizeof count, &length);
        check_any("get", result, BELAY_ERR_NOT_FOUND, BELAY_OK);
        sum += count;
    }
    counted = job_sum(counted);
    CHECK(sum == counted, "counted to %llu instead of %llu", (unsigned long long)sum,
          (unsigned long long)counted);
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS];
    struct job job;
    job_begin(&argc, &argv, "threads", 4, &job);
    belay_node *node = job_open(&(belay_config){.arena_size = 64ull << 20});
    belay_cache *cache = job_cache(node,
                                   &(belay_cache_config){.name = "threads", .backups = 1, .partitions = 8});
    for (unsigned i = 0; i < THREADS; ++i) {
        struct worker *w = &workers[i];
        *w = (struct worker){.job = &job, .node = node, .cache = cache, .thread = i};
        w->random = random_stream(job.seed, (uint64_t)job.rank, i);
        w->value = malloc(LONGEST);
        w->buffer = malloc(LONGEST);
        if (!w->value || !w->buffer)
            job_abort("no memory");
    }
    uint64_t ends = job_clock() + (uint64_t)(job.seconds * 1e9), calls = 0;
    for (unsigned i = 0; i < THREADS; ++i)
        workers[i].ends = ends;
    job_threads_beside(THREADS, run_worker, workers, sizeof *workers, open_and_close);
    for (unsigned i = 0; i < THREADS; ++i) {
        calls += workers[i].calls;
        free(workers[i].value);
        free(workers[i].buffer);
    }
    report_note("%llu calls", (unsigned long long)calls);
    job_verify(node, cache, "in the end");
    check_counters(workers);
    job_close(node);
    return job_end(&job);
}
