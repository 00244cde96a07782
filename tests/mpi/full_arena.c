/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tiny arena that two caches share. A put without room fails with NO_SPACE and changes nothing; all else
 * goes on working; removes make room again; and overwriting at 70 % live bytes never fails however long it
 * goes on. Every node holds every partition, so the fill is the same everywhere.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/model.h"
#include "../support/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHES = 2, KEYS = 6000, LONGEST = 64 * 1024, ENTRY_HEADER = 32, FIRST_KEY = 300 };
#define ARENA_SIZE (16ull << 20)

static const belay_cache_config cache_configs[CACHES] = {
    {.name = "first",
     .cache_mode = BELAY_CACHE_REPLICATED,
     .write_synchronization_mode = BELAY_FULL_SYNC,
     .partitions = 4},
    {.name = "second",
     .cache_mode = BELAY_CACHE_REPLICATED,
     .write_synchronization_mode = BELAY_PRIMARY_SYNC,
     .partitions = 4},
};

struct tester {
    const struct job *job;
    belay_node *node;
    belay_cache *caches[CACHES];
    struct model models[CACHES]; /* of this rank's own keys */
    struct random_source random;
    unsigned char *value, *buffer;
};

static size_t entry_bytes(const struct tester *t, unsigned c, size_t index, size_t length)
{
    struct key key;
    key_make(model_number(&t->models[c], index), &key);
    return (ENTRY_HEADER + key.length + length + 7) / 8 * 8;
}

static uint64_t live_bytes(const struct tester *t)
{
    uint64_t bytes = 0;
    for (unsigned c = 0; c < CACHES; ++c)
        for (size_t i = 0; i < KEYS; ++i)
            if (t->models[c].entries[i].present)
                bytes += entry_bytes(t, c, i, t->models[c].entries[i].length);
    return bytes;
}

static int put(struct tester *t, unsigned c, size_t index, size_t length, const belay_write_options *options)
{
    struct key key;
    key_make(model_number(&t->models[c], index), &key);
    model_next_value(&t->models[c], index, t->value, length);
    int result = belay_put(t->caches[c], key.bytes, key.length, t->value, length, options);
    if (result == BELAY_OK)
        model_set(&t->models[c], index, length);
    return result;
}

static void check_key(struct tester *t, unsigned c, size_t index)
{
    struct key key;
    size_t length = 0;
    bool present = t->models[c].entries[index].present;
    key_make(model_number(&t->models[c], index), &key);
    int result = belay_get(t->caches[c], key.bytes, key.length, t->buffer, LONGEST, &length);
    if (CHECK_RESULT(result, present ? BELAY_OK : BELAY_ERR_NOT_FOUND) && present) {
        const char *fault = model_fault(&t->models[c], index, t->buffer, length);
        CHECK(!fault, "key %zu of %s: %s", index, cache_configs[c].name, fault);
    }
}

static void check_everything(struct tester *t, const char *when)
{
    job_barrier();
    for (unsigned c = 0; c < CACHES; ++c) {
        uint64_t size = 0, expected = job_sum(model_present(&t->models[c]));
        at("%s: checking %s", when, cache_configs[c].name);
        for (size_t i = 0; i < KEYS; ++i)
            check_key(t, c, i);
        CHECK_OK(belay_size(t->caches[c], &size));
        CHECK(size == expected, "%s: %s has %llu entries, the models %llu", when, cache_configs[c].name,
              (unsigned long long)size, (unsigned long long)expected);
        uint64_t found = job_verify(t->node, t->caches[c], when);
        CHECK(found == expected, "%s: verify finds %llu entries in %s of %llu", when,
              (unsigned long long)found, cache_configs[c].name, (unsigned long long)expected);
    }
}

/* A length for the fill: entries of a few bytes up to more than a segment. */
static size_t random_length(struct tester *t)
{
    return random_percent(&t->random, 3) ? random_between(&t->random, 8000, 40000)
                                         : random_between(&t->random, 0, 2000);
}

/* Put until nothing goes in any more, not even something small. */
static void fill_up(struct tester *t, unsigned c)
{
    unsigned refused = 0, misses = 0;
    at("filling %s", cache_configs[c].name);
    while (misses < 300) {
        size_t index = random_below(&t->random, KEYS);
        bool was_present = t->models[c].entries[index].present;
        int result = put(t, c, index, misses > 100 ? 100 : random_length(t), NULL);
        if (!CHECK(result == BELAY_OK || result == BELAY_ERR_NO_SPACE, "put into a filling arena: %s; %s",
                   belay_strerror(result), belay_last_error()))
            return;
        misses = result == BELAY_OK && !was_present ? 0 : misses + 1;
        if (result == BELAY_ERR_NO_SPACE && ++refused % 16 == 1)
            check_key(t, c, index); /* as it was */
    }
    CHECK(refused > 0, "an arena of %llu bytes is never full, with %llu bytes in it", ARENA_SIZE,
          (unsigned long long)live_bytes(t));
}

/* What needs no room goes on: reads, conditions that fail, and removes, in every mode. */
static void test_full(struct tester *t)
{
    char text[8];
    size_t length;
    int64_t old;
    at("full");
    CHECK_RESULT(put(t, 0, 0, LONGEST, NULL), BELAY_ERR_NO_SPACE);
    check_key(t, 0, 0);
    unsigned char *huge = calloc(1, 2 * ARENA_SIZE); /* larger than the arena itself */
    if (!huge)
        job_abort("no memory");
    CHECK_RESULT(belay_put(t->caches[0], "huge", 4, huge, 2 * ARENA_SIZE, NULL), BELAY_ERR_NO_SPACE);
    CHECK_RESULT(belay_put_if_absent(t->caches[1], "huge", 4, huge, 2 * ARENA_SIZE, NULL),
                 BELAY_ERR_NO_SPACE);
    CHECK_RESULT(belay_get_and_put(t->caches[1], "huge", 4, huge, 2 * ARENA_SIZE, NULL, text, 8, &length),
                 BELAY_ERR_NO_SPACE);
    CHECK_RESULT(belay_compare_and_set(t->caches[1], "huge", 4, 0, huge, 2 * ARENA_SIZE, NULL, NULL),
                 BELAY_ERR_NO_SPACE);
    CHECK_RESULT(belay_replace(t->caches[1], "huge", 4, huge, 2 * ARENA_SIZE, NULL), BELAY_ERR_NOT_FOUND);
    free(huge);
    CHECK_RESULT(belay_contains(t->caches[0], "huge", 4), BELAY_ERR_NOT_FOUND);
    CHECK_RESULT(belay_contains(t->caches[1], "huge", 4), BELAY_ERR_NOT_FOUND);
    int result = belay_fetch_add(t->caches[0], "count", 5, 1, NULL, &old);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NO_SPACE, "fetch_add: %s", belay_strerror(result));
    job_barrier();
    if (t->job->rank == 0) {
        result = belay_remove(t->caches[0], "count", 5, NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "remove: %s", belay_strerror(result));
    }
    check_everything(t, "full");
}

/* More FULL_ASYNC puts at other nodes than there can be room for: flush tells, once, and each key has its new value or is as
 * it was. */
static void put_behind(struct tester *t)
{
    enum { LENGTH = 4000 };
    static const belay_write_options async = {.sync = BELAY_FULL_ASYNC};
    static struct model_entry before[KEYS];
    memcpy(before, t->models[0].entries, sizeof before);
    for (size_t i = 0; i < KEYS; ++i) {
        struct key key;
        key_make(model_number(&t->models[0], i), &key);
        if (belay_is_primary(t->caches[0], key.bytes, key.length) == 0)
            CHECK_OK(put(t, 0, i, LENGTH, &async));
    }
    CHECK_RESULT(belay_flush(t->node), BELAY_ERR_NO_SPACE);
    CHECK_OK(belay_flush(t->node));
    for (size_t i = 0; i < KEYS; ++i) {
        struct key key;
        size_t length = 0;
        key_make(model_number(&t->models[0], i), &key);
        int result = belay_get(t->caches[0], key.bytes, key.length, t->buffer, LONGEST, &length);
        if (result != BELAY_OK || model_fault(&t->models[0], i, t->buffer, length))
            t->models[0].entries[i] = before[i];
        check_key(t, 0, i);
    }
}

static void test_failed_behind(struct tester *t)
{
    at("asynchronous failures");
    job_barrier();
    if (t->job->rank == 0)
        put_behind(t);
    job_barrier();
}

static void remove_some(struct tester *t, unsigned percent)
{
    static const belay_sync modes[] = {BELAY_SYNC_DEFAULT, BELAY_FULL_SYNC, BELAY_PRIMARY_SYNC,
                                       BELAY_FULL_ASYNC};
    at("removing");
    for (unsigned c = 0; c < CACHES; ++c)
        for (size_t i = 0; i < KEYS; ++i) {
            if (!t->models[c].entries[i].present || !random_percent(&t->random, percent))
                continue;
            struct key key;
            belay_write_options options = {.sync = modes[i % 4]};
            key_make(model_number(&t->models[c], i), &key);
            CHECK_OK(belay_remove(t->caches[c], key.bytes, key.length, &options));
            model_remove(&t->models[c], i);
        }
    CHECK_OK(belay_flush(t->node));
    job_barrier();
}

/* Put until the live bytes of all ranks are this part of the arena: not one put may fail on the way. */
static void fill_to(struct tester *t, unsigned percent, size_t longest)
{
    uint64_t own = live_bytes(t), limit = ARENA_SIZE / (unsigned)t->job->ranks * percent / 100;
    at("filling to %u %%", percent);
    for (size_t tries = 0; own < limit && tries < 40 * KEYS; ++tries) {
        unsigned c = (unsigned)random_below(&t->random, CACHES);
        size_t index = random_below(&t->random, KEYS), length = random_between(&t->random, 0, longest);
        if (t->models[c].entries[index].present)
            continue;
        if (!CHECK_OK(put(t, c, index, length, NULL)))
            break;
        own += entry_bytes(t, c, index, length);
    }
    CHECK(own >= limit, "only %llu of %llu bytes filled", (unsigned long long)own, (unsigned long long)limit);
    job_barrier();
}

/* Every key keeps its length, so the live bytes stay. All ranks together use the arena over more than twice. */
static void overwrite(struct tester *t, double seconds)
{
    uint64_t ends = job_clock() + (uint64_t)(seconds * 1e9), writes = 0, bytes = 0;
    while (job_clock() < ends || bytes < 2 * ARENA_SIZE / (unsigned)t->job->ranks) {
        static const belay_write_options modes[] = {{.sync = BELAY_FULL_SYNC}, {.sync = BELAY_PRIMARY_SYNC}};
        unsigned c = (unsigned)random_below(&t->random, CACHES);
        size_t index = random_below(&t->random, KEYS);
        if (!t->models[c].entries[index].present)
            continue;
        size_t length = t->models[c].entries[index].length;
        at("overwriting: %llu writes", (unsigned long long)writes);
        if (!CHECK_OK(put(t, c, index, length, &modes[random_below(&t->random, 2)])) &&
            report_failures() > 20)
            break;
        ++writes;
        bytes += length;
    }
    bytes = job_sum(bytes);
    writes = job_sum(writes);
    if (t->job->rank == 0)
        report_note("%llu writes, %.1f times the arena, without a failure", (unsigned long long)writes,
                    (double)bytes / (double)ARENA_SIZE);
}

static void clear_all(struct tester *t)
{
    job_barrier();
    for (unsigned c = 0; c < CACHES; ++c) {
        if (t->job->rank == 0)
            CHECK_OK(belay_clear(t->caches[c]));
        model_clear(&t->models[c]);
    }
    job_barrier();
}

static void run(struct tester *t)
{
    for (int round = 0; round < 2; ++round) {
        fill_up(t, 0); /* the first cache takes everything: the second gets what the first leaves */
        job_barrier();
        uint64_t live = job_sum(live_bytes(t));
        if (t->job->rank == 0)
            report_note("full with %.0f %% live bytes", 100.0 * (double)live / (double)ARENA_SIZE);
        CHECK(live > ARENA_SIZE / 2, "full with only %llu live bytes", (unsigned long long)live);
        fill_up(t, 1);
        test_full(t);
        test_failed_behind(t);
        remove_some(t, 60);
        check_everything(t, "after removing");
        fill_to(t, 55, 2000);
        check_everything(t, "filled again");
        clear_all(t);
        fill_to(t, 50, 2000); /* the room of one cache serves the other */
        clear_all(t);
    }
    fill_to(t, 70, 2000);
    overwrite(t, t->job->seconds);
    check_everything(t, "overwritten");
}

int main(int argc, char **argv)
{
    static struct tester t;
    struct job job;
    job_begin(&argc, &argv, "full_arena", 5, &job);
    t = (struct tester){.job = &job, .value = malloc(LONGEST), .buffer = malloc(LONGEST)};
    if (!t.value || !t.buffer)
        job_abort("no memory");
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    t.node = job_open(&(belay_config){.arena_size = ARENA_SIZE, .segment_size = 16 * 1024});
    for (unsigned c = 0; c < CACHES; ++c) {
        t.caches[c] = job_cache(t.node, &cache_configs[c]);
        model_create(&t.models[c], FIRST_KEY + (uint64_t)job.rank, (uint64_t)job.ranks, KEYS,
                     (uint32_t)job.rank);
    }
    run(&t);
    for (unsigned c = 0; c < CACHES; ++c)
        model_destroy(&t.models[c]);
    free(t.value);
    free(t.buffer);
    job_close(t.node);
    return job_end(&job);
}
