/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A long random run against a plain model in memory.
 *
 * Three caches with different settings start empty and grow under the readers. Every thread of every rank
 * alone writes its own keys, with all operations and modes mixed, so that it knows exactly what each call
 * must give; meanwhile it reads the keys of the others, whose values describe themselves: never torn, never
 * another key's, never older than what this thread saw before. Counters are shared by all. At the end of a
 * round everything is flushed, the copies are compared, and size, iteration and every key must agree with
 * the models; then the caches are cleared and it goes on.
 */
#include "../support/job.h"
#include "../support/key.h"
#include "../support/model.h"
#include "../support/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHES = 3,
    THREADS = 3,
    ROUNDS = 2,
    COUNTERS = 4,     /* key numbers 0 ... 3: fetch_add; the next as many: compare_and_set */
    FIRST_OWNED = 16, /* key numbers from here on belong to one thread each */
    HOT_KEYS = 4,
    BATCH = 16,
    VALUE_LONGEST = 512 * 1024,
    BATCH_VALUE_LONGEST = VALUE_LONGEST / BATCH
};

static const belay_cache_config cache_configs[CACHES] = {
    {.name = "model-async", .backups = 1, .partitions = 16},
    {.name = "model-full", .backups = 2, .write_synchronization_mode = BELAY_FULL_SYNC},
    {.name = "model-replicated",
     .cache_mode = BELAY_CACHE_REPLICATED,
     .write_synchronization_mode = BELAY_PRIMARY_SYNC,
     .partitions = 4},
};

struct worker {
    const struct job *job;
    belay_node *node;
    belay_cache *const *caches;
    size_t keys; /* of each thread */
    unsigned owners, owner;
    struct random_source random;
    struct model models[CACHES];
    uint64_t *seen[CACHES]; /* by key number: the newest sequence this thread has read */
    uint64_t added[CACHES][COUNTERS], swapped[CACHES][COUNTERS];
    uint64_t last_count[CACHES][COUNTERS];
    uint64_t ends;  /* of the round */
    size_t active;  /* keys in use: grows during a round */
    uint64_t calls; /* made so far */
    unsigned char *value, *buffer;
};

/* ---- Picking ---- */

/* One of this thread's own keys in one of the caches. */
struct target {
    unsigned c;
    size_t index;
    belay_cache *cache;
    struct model *model;
    struct model_entry *entry;
    struct key key;
};

static void pick_in(struct worker *w, unsigned c, size_t index, struct target *target)
{
    target->c = c;
    target->index = index;
    target->cache = w->caches[c];
    target->model = &w->models[c];
    target->entry = &target->model->entries[index];
    key_make(model_number(target->model, index), &target->key);
}

static size_t pick_index(struct worker *w)
{
    return random_below(&w->random, random_percent(&w->random, 40) ? HOT_KEYS : w->active);
}

static void pick(struct worker *w, struct target *target)
{
    pick_in(w, (unsigned)random_below(&w->random, CACHES), pick_index(w), target);
}

/* The mode of one write; `effective` is what it then is. */
static belay_write_options pick_mode(struct worker *w, unsigned c, belay_sync *effective)
{
    belay_write_options options = {.sync = (belay_sync)random_below(&w->random, BELAY_FULL_ASYNC + 1)};
    *effective = options.sync ? options.sync : cache_configs[c].write_synchronization_mode;
    if (*effective == BELAY_SYNC_DEFAULT)
        *effective = BELAY_FULL_ASYNC;
    return options;
}

static void check_read(const struct target *t, const char *what, int result, const void *value, size_t length)
{
    int expected = t->entry->present ? BELAY_OK : BELAY_ERR_NOT_FOUND;
    if (!CHECK(result == expected, "%s of own key %llu in %s gave %s, the model says %s; %s", what,
               (unsigned long long)model_number(t->model, t->index), cache_configs[t->c].name,
               belay_strerror(result), belay_strerror(expected), belay_last_error()) ||
        result != BELAY_OK)
        return;
    const char *fault = model_fault(t->model, t->index, value, length);
    CHECK(!fault, "%s of own key %llu in %s, %zu bytes (the model says %zu): %s", what,
          (unsigned long long)model_number(t->model, t->index), cache_configs[t->c].name, length,
          t->entry->length, fault);
}

/* ---- Own keys, one at a time ---- */

static void run_put(struct worker *w)
{
    struct target t;
    belay_sync mode;
    pick(w, &t);
    belay_write_options options = pick_mode(w, t.c, &mode);
    size_t length = model_random_length(&w->random, VALUE_LONGEST);
    model_next_value(t.model, t.index, w->value, length);
    if (CHECK_OK(belay_put(t.cache, t.key.bytes, t.key.length, w->value, length, &options)))
        model_set(t.model, t.index, length);
}

static void run_get(struct worker *w)
{
    struct target t;
    size_t length = 0;
    pick(w, &t);
    int result = belay_get(t.cache, t.key.bytes, t.key.length, w->buffer, VALUE_LONGEST, &length);
    check_read(&t, "get", result, w->buffer, length);
}

static void run_short_get(struct worker *w)
{
    struct target t;
    size_t length = SIZE_MAX;
    pick(w, &t);
    if (!t.entry->present || t.entry->length == 0)
        return;
    size_t capacity = random_below(&w->random, t.entry->length);
    CHECK_RESULT(belay_get(t.cache, t.key.bytes, t.key.length, w->buffer, capacity, &length),
                 BELAY_ERR_TRUNCATED);
    CHECK(length == t.entry->length, "truncated get tells %zu bytes of %zu", length, t.entry->length);
}

static void run_contains(struct worker *w)
{
    struct target t;
    pick(w, &t);
    CHECK_RESULT(belay_contains(t.cache, t.key.bytes, t.key.length),
                 t.entry->present ? BELAY_OK : BELAY_ERR_NOT_FOUND);
}

static void run_remove(struct worker *w)
{
    struct target t;
    belay_sync mode;
    pick(w, &t);
    belay_write_options options = pick_mode(w, t.c, &mode);
    bool found = t.entry->present || mode == BELAY_FULL_ASYNC;
    CHECK_RESULT(belay_remove(t.cache, t.key.bytes, t.key.length, &options),
                 found ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    model_remove(t.model, t.index);
}

static void run_put_if_absent(struct worker *w)
{
    struct target t;
    belay_sync mode;
    pick(w, &t);
    belay_write_options options = pick_mode(w, t.c, &mode);
    size_t length = model_random_length(&w->random, VALUE_LONGEST);
    model_next_value(t.model, t.index, w->value, length);
    int expected = t.entry->present ? BELAY_ERR_EXISTS : BELAY_OK;
    if (CHECK_RESULT(belay_put_if_absent(t.cache, t.key.bytes, t.key.length, w->value, length, &options),
                     expected) &&
        expected == BELAY_OK)
        model_set(t.model, t.index, length);
}

static void run_replace(struct worker *w)
{
    struct target t;
    belay_sync mode;
    pick(w, &t);
    belay_write_options options = pick_mode(w, t.c, &mode);
    size_t length = model_random_length(&w->random, VALUE_LONGEST);
    model_next_value(t.model, t.index, w->value, length);
    int expected = t.entry->present ? BELAY_OK : BELAY_ERR_NOT_FOUND;
    if (CHECK_RESULT(belay_replace(t.cache, t.key.bytes, t.key.length, w->value, length, &options),
                     expected) &&
        expected == BELAY_OK)
        model_set(t.model, t.index, length);
}

static void run_get_and_put(struct worker *w)
{
    struct target t;
    belay_sync mode;
    pick(w, &t);
    belay_write_options options = pick_mode(w, t.c, &mode);
    size_t length = model_random_length(&w->random, VALUE_LONGEST), old_length = 12345;
    bool too_short = t.entry->present && t.entry->length > 0 && random_percent(&w->random, 10);
    size_t capacity = too_short ? t.entry->length - 1 : VALUE_LONGEST;
    model_next_value(t.model, t.index, w->value, length);
    int result = belay_get_and_put(t.cache, t.key.bytes, t.key.length, w->value, length, &options, w->buffer,
                                   capacity, &old_length);
    if (!CHECK(result == (too_short ? BELAY_ERR_TRUNCATED : BELAY_OK), "get_and_put gave %s",
               belay_strerror(result)))
        return;
    if (!t.entry->present)
        CHECK(old_length == BELAY_NO_VALUE, "get_and_put of an absent key tells %zu bytes", old_length);
    else if (too_short)
        CHECK(old_length == t.entry->length, "truncated get_and_put tells %zu of %zu", old_length,
              t.entry->length);
    else
        check_read(&t, "get_and_put", result, w->buffer, old_length);
    if (!too_short)
        model_set(t.model, t.index, length);
}

static void run_compare_and_set(struct worker *w)
{
    struct target t;
    belay_sync mode;
    pick(w, &t);
    belay_write_options options = pick_mode(w, t.c, &mode);
    size_t length = 0;
    uint64_t version = 0, new_version = 0, read_version = 0;
    int result = belay_get_versioned(t.cache, t.key.bytes, t.key.length, w->buffer, VALUE_LONGEST, &length,
                                     &version);
    check_read(&t, "get_versioned", result, w->buffer, length);
    if (result != (t.entry->present ? BELAY_OK : BELAY_ERR_NOT_FOUND))
        return;
    bool matching = random_percent(&w->random, 70);
    uint64_t expected = matching ? version : version + 1 + random_below(&w->random, 3);
    length = model_random_length(&w->random, VALUE_LONGEST);
    model_next_value(t.model, t.index, w->value, length);
    if (!CHECK_RESULT(belay_compare_and_set(t.cache, t.key.bytes, t.key.length, expected, w->value, length,
                                            &options, &new_version),
                      matching ? BELAY_OK : BELAY_ERR_CONFLICT) ||
        !matching)
        return;
    model_set(t.model, t.index, length);
    CHECK(new_version > version, "compare_and_set made version %llu after %llu",
          (unsigned long long)new_version, (unsigned long long)version);
    CHECK_OK(belay_get_versioned(t.cache, t.key.bytes, t.key.length, w->buffer, VALUE_LONGEST, &length,
                                 &read_version));
    CHECK(read_version == new_version, "compare_and_set told version %llu, get_versioned %llu",
          (unsigned long long)new_version, (unsigned long long)read_version);
}

/* ---- Own keys, many at a time ---- */

/* Different keys of one cache. */
static unsigned pick_batch(struct worker *w, struct target *targets)
{
    unsigned c = (unsigned)random_below(&w->random, CACHES),
             count = (unsigned)random_between(&w->random, 1, BATCH);
    size_t start = random_below(&w->random, w->active);
    if (count > w->active)
        count = (unsigned)w->active;
    for (unsigned i = 0; i < count; ++i)
        pick_in(w, c, (start + i) % w->active, &targets[i]);
    return count;
}

static size_t make_batch_value(struct worker *w, const struct target *t, unsigned place)
{
    size_t length = model_random_length(&w->random, BATCH_VALUE_LONGEST);
    model_next_value(t->model, t->index, w->value + (size_t)place * BATCH_VALUE_LONGEST, length);
    return length;
}

static void run_put_all(struct worker *w)
{
    struct target targets[BATCH];
    belay_put_item items[BATCH];
    belay_sync mode;
    unsigned count = pick_batch(w, targets);
    belay_write_options options = pick_mode(w, targets[0].c, &mode);
    for (unsigned i = 0; i < count; ++i) {
        size_t length = make_batch_value(w, &targets[i], i);
        items[i] = (belay_put_item){.key = {targets[i].key.bytes, targets[i].key.length},
                                    .value = {w->value + (size_t)i * BATCH_VALUE_LONGEST, length},
                                    .status = 12345};
    }
    CHECK_OK(belay_put_all(targets[0].cache, items, count, &options));
    for (unsigned i = 0; i < count; ++i)
        if (CHECK(items[i].status == BELAY_OK, "put_all: item %u of %u has status %d", i, count,
                  items[i].status))
            model_set(targets[i].model, targets[i].index, items[i].value.length);
}

static void run_get_all(struct worker *w)
{
    struct target targets[BATCH];
    belay_get_item items[BATCH];
    bool too_short = false;
    unsigned count = pick_batch(w, targets);
    for (unsigned i = 0; i < count; ++i) {
        items[i] = (belay_get_item){.key = {targets[i].key.bytes, targets[i].key.length},
                                    .buffer = w->buffer + (size_t)i * BATCH_VALUE_LONGEST,
                                    .capacity = BATCH_VALUE_LONGEST,
                                    .length = 12345,
                                    .status = 12345};
        too_short |= targets[i].entry->present && targets[i].entry->length > BATCH_VALUE_LONGEST;
    }
    CHECK_RESULT(belay_get_all(targets[0].cache, items, count), too_short ? BELAY_ERR_TRUNCATED : BELAY_OK);
    for (unsigned i = 0; i < count; ++i) {
        const struct model_entry *entry = targets[i].entry;
        if (entry->present && entry->length > BATCH_VALUE_LONGEST)
            CHECK(items[i].status == BELAY_ERR_TRUNCATED && items[i].length == entry->length,
                  "get_all: status %d, %zu bytes of %zu", items[i].status, items[i].length, entry->length);
        else
            check_read(&targets[i], "get_all", items[i].status, items[i].buffer, items[i].length);
    }
}

static void wait_somehow(struct worker *w, belay_request **requests, int *results, unsigned count)
{
    if (random_percent(&w->random, 50)) {
        belay_wait_all(requests, count, results);
        for (unsigned i = 0; i < count; ++i)
            CHECK(requests[i] == NULL, "belay_wait_all leaves request %u", i);
        return;
    }
    for (unsigned i = count; i-- > 0;) { /* the last first: their order must not matter */
        int completed = 0;
        if (random_percent(&w->random, 50))
            while (!completed && CHECK_OK(belay_test(requests[i], &completed)))
                ;
        results[i] = belay_wait(&requests[i]);
        CHECK(requests[i] == NULL, "belay_wait leaves the request");
    }
}

static void run_put_nb(struct worker *w)
{
    struct target targets[BATCH];
    belay_request *requests[BATCH];
    int results[BATCH];
    size_t lengths[BATCH];
    belay_sync mode;
    unsigned count = pick_batch(w, targets);
    belay_write_options options = pick_mode(w, targets[0].c, &mode);
    for (unsigned i = 0; i < count; ++i) {
        lengths[i] = make_batch_value(w, &targets[i], i);
        if (!CHECK_OK(belay_put_nb(targets[i].cache, targets[i].key.bytes, targets[i].key.length,
                                   w->value + (size_t)i * BATCH_VALUE_LONGEST, lengths[i], &options,
                                   &requests[i])))
            job_abort("belay_put_nb does not begin");
    }
    wait_somehow(w, requests, results, count);
    for (unsigned i = 0; i < count; ++i)
        if (CHECK(results[i] == BELAY_OK, "put_nb gave %s", belay_strerror(results[i])))
            model_set(targets[i].model, targets[i].index, lengths[i]);
}

static void run_get_nb(struct worker *w)
{
    struct target targets[BATCH];
    belay_request *requests[BATCH];
    int results[BATCH];
    size_t lengths[BATCH];
    unsigned count = pick_batch(w, targets);
    for (unsigned i = 0; i < count; ++i) {
        lengths[i] = 12345;
        if (!CHECK_OK(belay_get_nb(targets[i].cache, targets[i].key.bytes, targets[i].key.length,
                                   w->buffer + (size_t)i * BATCH_VALUE_LONGEST, BATCH_VALUE_LONGEST,
                                   &lengths[i], &requests[i])))
            job_abort("belay_get_nb does not begin");
    }
    wait_somehow(w, requests, results, count);
    for (unsigned i = 0; i < count; ++i)
        if (results[i] == BELAY_ERR_TRUNCATED)
            CHECK(targets[i].entry->present && targets[i].entry->length > BATCH_VALUE_LONGEST &&
                      lengths[i] == targets[i].entry->length,
                  "get_nb: truncated, %zu bytes of %zu", lengths[i], targets[i].entry->length);
        else
            check_read(&targets[i], "get_nb", results[i], w->buffer + (size_t)i * BATCH_VALUE_LONGEST,
                       lengths[i]);
}

static void run_remove_nb(struct worker *w)
{
    struct target targets[BATCH];
    belay_request *requests[BATCH];
    int results[BATCH];
    belay_sync mode;
    unsigned count = pick_batch(w, targets);
    belay_write_options options = pick_mode(w, targets[0].c, &mode);
    for (unsigned i = 0; i < count; ++i)
        if (!CHECK_OK(belay_remove_nb(targets[i].cache, targets[i].key.bytes, targets[i].key.length, &options,
                                      &requests[i])))
            job_abort("belay_remove_nb does not begin");
    wait_somehow(w, requests, results, count);
    for (unsigned i = 0; i < count; ++i) {
        bool found = targets[i].entry->present || mode == BELAY_FULL_ASYNC;
        CHECK(results[i] == (found ? BELAY_OK : BELAY_ERR_NOT_FOUND), "remove_nb gave %s",
              belay_strerror(results[i]));
        model_remove(targets[i].model, targets[i].index);
    }
}

/* Asynchronous writes to one key, one after the other, without waiting: the last one is what is read back. */
static void run_burst(struct worker *w)
{
    static const belay_write_options async = {.sync = BELAY_FULL_ASYNC};
    struct target t;
    size_t length = 0;
    pick(w, &t);
    for (unsigned i = 0; i < BATCH; ++i) {
        if (random_percent(&w->random, 20)) {
            CHECK_OK(belay_remove(t.cache, t.key.bytes, t.key.length, &async));
            model_remove(t.model, t.index);
            continue;
        }
        length = model_random_length(&w->random, BATCH_VALUE_LONGEST);
        model_next_value(t.model, t.index, w->value, length);
        if (CHECK_OK(belay_put(t.cache, t.key.bytes, t.key.length, w->value, length, &async)))
            model_set(t.model, t.index, length);
    }
    int result = belay_get(t.cache, t.key.bytes, t.key.length, w->buffer, VALUE_LONGEST, &length);
    check_read(&t, "get after a burst", result, w->buffer, length);
}

/* ---- Keys of others ---- */

static void check_foreign(struct worker *w, unsigned c, uint64_t number, const void *value, size_t length)
{
    struct value_origin origin = {0};
    const char *fault = value_fault(number, value, length, &origin);
    if (!CHECK(!fault, "get of foreign key %llu in %s, %zu bytes: %s", (unsigned long long)number,
               cache_configs[c].name, length, fault) ||
        length < VALUE_DESCRIBED)
        return;
    uint32_t owner = (uint32_t)((number - FIRST_OWNED) % w->owners);
    CHECK(origin.writer == owner, "key %llu was written by %u instead of %u", (unsigned long long)number,
          origin.writer, owner);
    uint64_t *seen = &w->seen[c][number];
    CHECK(origin.sequence >= *seen, "key %llu in %s went back from update %llu to %llu",
          (unsigned long long)number, cache_configs[c].name, (unsigned long long)*seen,
          (unsigned long long)origin.sequence);
    *seen = origin.sequence;
}

static uint64_t pick_foreign(struct worker *w)
{
    unsigned owner = (unsigned)random_below(&w->random, w->owners);
    return FIRST_OWNED + pick_index(w) * w->owners + owner;
}

static void run_foreign_get(struct worker *w)
{
    unsigned c = (unsigned)random_below(&w->random, CACHES);
    uint64_t number = pick_foreign(w);
    struct key key;
    size_t length = 0;
    key_make(number, &key);
    int result = belay_get(w->caches[c], key.bytes, key.length, w->buffer, VALUE_LONGEST, &length);
    if (result == BELAY_OK)
        check_foreign(w, c, number, w->buffer, length);
    else
        CHECK_RESULT(result, BELAY_ERR_NOT_FOUND);
}

static void run_foreign_get_all(struct worker *w)
{
    unsigned c = (unsigned)random_below(&w->random, CACHES);
    uint64_t numbers[BATCH];
    struct key keys[BATCH];
    belay_get_item items[BATCH];
    for (unsigned i = 0; i < BATCH; ++i) {
        numbers[i] = pick_foreign(w);
        key_make(numbers[i], &keys[i]);
        items[i] = (belay_get_item){.key = {keys[i].bytes, keys[i].length},
                                    .buffer = w->buffer + (size_t)i * BATCH_VALUE_LONGEST,
                                    .capacity = BATCH_VALUE_LONGEST};
    }
    int result = belay_get_all(w->caches[c], items, BATCH);
    CHECK(result == BELAY_OK || result == BELAY_ERR_TRUNCATED, "get_all gave %s", belay_strerror(result));
    for (unsigned i = 0; i < BATCH; ++i)
        if (items[i].status == BELAY_OK)
            check_foreign(w, c, numbers[i], items[i].buffer, items[i].length);
        else
            CHECK(items[i].status == BELAY_ERR_NOT_FOUND || items[i].status == BELAY_ERR_TRUNCATED,
                  "get_all of foreign keys: status %s", belay_strerror(items[i].status));
}

/* ---- Counters of all ---- */

static void run_fetch_add(struct worker *w)
{
    unsigned c = (unsigned)random_below(&w->random, CACHES);
    uint64_t counter = random_below(&w->random, COUNTERS);
    belay_sync mode;
    belay_write_options options = pick_mode(w, c, &mode);
    int64_t delta = (int64_t)random_between(&w->random, 1, 1000), old = -1;
    struct key key;
    key_make(counter, &key);
    int result;
    if (random_percent(&w->random, 30)) {
        belay_request *request = NULL;
        result = belay_fetch_add_nb(w->caches[c], key.bytes, key.length, delta, &options, &old, &request);
        if (result == BELAY_OK)
            result = belay_wait(&request);
    } else {
        result = belay_fetch_add(w->caches[c], key.bytes, key.length, delta, &options, &old);
    }
    if (!CHECK_OK(result))
        return;
    CHECK(old >= (int64_t)w->last_count[c][counter], "counter %llu was %lld after it was at least %llu",
          (unsigned long long)counter, (long long)old, (unsigned long long)w->last_count[c][counter]);
    w->last_count[c][counter] = (uint64_t)(old + delta);
    w->added[c][counter] += (uint64_t)delta;
}

/* Add one by reading and compare_and_set: only successes count. */
static void run_swap(struct worker *w)
{
    unsigned c = (unsigned)random_below(&w->random, CACHES);
    uint64_t counter = random_below(&w->random, COUNTERS), value = 0, version = 0;
    belay_sync mode;
    belay_write_options options = pick_mode(w, c, &mode);
    size_t length = 0;
    struct key key;
    key_make(COUNTERS + counter, &key);
    int result = belay_get_versioned(w->caches[c], key.bytes, key.length, &value, sizeof value, &length,
                                     &version);
    if (result != BELAY_ERR_NOT_FOUND && !CHECK_OK(result))
        return;
    ++value;
    result = belay_compare_and_set(w->caches[c], key.bytes, key.length, version, &value, sizeof value,
                                   &options, NULL);
    if (result == BELAY_OK)
        ++w->swapped[c][counter];
    else
        CHECK_RESULT(result, BELAY_ERR_CONFLICT);
}

static void run_flush(struct worker *w)
{
    CHECK_OK(belay_flush(w->node));
}

/* ---- A round ---- */

static const struct {
    const char *name;
    void (*run)(struct worker *w);
    unsigned weight; /* in thousandths */
} operations[] = {
    {"put", run_put, 160},
    {"get", run_get, 130},
    {"short get", run_short_get, 10},
    {"contains", run_contains, 30},
    {"remove", run_remove, 60},
    {"put_if_absent", run_put_if_absent, 50},
    {"replace", run_replace, 50},
    {"get_and_put", run_get_and_put, 50},
    {"compare_and_set", run_compare_and_set, 50},
    {"put_all", run_put_all, 20},
    {"get_all", run_get_all, 20},
    {"put_nb", run_put_nb, 20},
    {"get_nb", run_get_nb, 20},
    {"remove_nb", run_remove_nb, 10},
    {"burst", run_burst, 10},
    {"foreign get", run_foreign_get, 169},
    {"foreign get_all", run_foreign_get_all, 30},
    {"fetch_add", run_fetch_add, 70},
    {"swap", run_swap, 40},
    {"flush", run_flush, 1},
};

static void run_something(struct worker *w)
{
    unsigned dice = (unsigned)random_below(&w->random, 1000), i = 0;
    for (; dice >= operations[i].weight; ++i)
        dice -= operations[i].weight;
    at("thread %u: call %llu, %s", w->owner % THREADS, (unsigned long long)w->calls, operations[i].name);
    operations[i].run(w);
    ++w->calls;
}

static void *run_worker(void *context)
{
    struct worker *w = context;
    for (w->active = HOT_KEYS; job_clock() < w->ends; w->active += w->active < w->keys)
        run_something(w);
    at("thread %u: done", w->owner % THREADS);
    return NULL;
}

/* ---- The end of a round ---- */

struct inventory {
    struct worker *workers;
    unsigned c;
    uint64_t visited, own;
    unsigned char *times; /* by key number */
    uint64_t numbers;
};

static int visit(belay_bytes key, belay_bytes value, void *context)
{
    struct inventory *inventory = context;
    uint64_t number;
    ++inventory->visited;
    if (!CHECK(key_number(key.data, key.length, &number) && number < inventory->numbers,
               "iteration shows a key of %zu bytes that nobody put", key.length))
        return 0;
    CHECK(++inventory->times[number] == 1, "iteration shows key %llu again", (unsigned long long)number);
    for (unsigned i = 0; i < THREADS; ++i) {
        struct model *model = &inventory->workers[i].models[inventory->c];
        size_t index;
        if (number < FIRST_OWNED || !model_owns(model, number, &index))
            continue;
        ++inventory->own;
        const char *fault = model_fault(model, index, value.data, value.length);
        CHECK(!fault, "iteration shows own key %llu in %s: %s", (unsigned long long)number,
              cache_configs[inventory->c].name, fault);
    }
    return 0;
}

static void check_inventory(struct worker *workers, unsigned c, int local_only, uint64_t expected)
{
    const struct worker *w = workers;
    struct inventory inventory = {.workers = workers, .c = c, .numbers = FIRST_OWNED + w->keys * w->owners};
    inventory.times = calloc(inventory.numbers, 1);
    if (!inventory.times)
        job_abort("no memory for an inventory");
    at("iterate over %s%s", cache_configs[c].name, local_only ? ", local only" : "");
    CHECK_OK(belay_iterate(w->caches[c], local_only, visit, &inventory));
    uint64_t visited = local_only ? job_sum(inventory.visited) : inventory.visited, own = 0;
    for (unsigned i = 0; i < THREADS; ++i)
        own += model_present(&workers[i].models[c]);
    CHECK(visited == expected, "iteration over %s shows %llu entries of %llu", cache_configs[c].name,
          (unsigned long long)visited, (unsigned long long)expected);
    if (!local_only)
        CHECK(inventory.own == own, "iteration over %s shows %llu own entries of %llu", cache_configs[c].name,
              (unsigned long long)inventory.own, (unsigned long long)own);
    free(inventory.times);
}

static uint64_t read_counter(belay_cache *cache, uint64_t number)
{
    struct key key;
    uint64_t value = 0;
    size_t length = sizeof value;
    key_make(number, &key);
    int result = belay_get(cache, key.bytes, key.length, &value, sizeof value, &length);
    CHECK((result == BELAY_OK && length == sizeof value) || result == BELAY_ERR_NOT_FOUND,
          "counter: %s, %zu bytes", belay_strerror(result), length);
    return value;
}

/* @return how many counters there are. */
static uint64_t check_counters(struct worker *workers, unsigned c)
{
    uint64_t there = 0;
    for (unsigned counter = 0; counter < COUNTERS; ++counter) {
        uint64_t added = 0, swapped = 0;
        for (unsigned i = 0; i < THREADS; ++i) {
            added += workers[i].added[c][counter];
            swapped += workers[i].swapped[c][counter];
        }
        added = job_sum(added);
        swapped = job_sum(swapped);
        uint64_t sum = read_counter(workers->caches[c], counter);
        uint64_t swaps = read_counter(workers->caches[c], COUNTERS + counter);
        CHECK(sum == added, "%s: counter %u is %llu, %llu were added", cache_configs[c].name, counter,
              (unsigned long long)sum, (unsigned long long)added);
        CHECK(swaps == swapped, "%s: counter %u is %llu after %llu successful swaps", cache_configs[c].name,
              counter, (unsigned long long)swaps, (unsigned long long)swapped);
        there += (sum > 0) + (swaps > 0);
    }
    return there;
}

static void check_own_keys(struct worker *workers, unsigned c)
{
    at("read all own keys of %s", cache_configs[c].name);
    for (unsigned i = 0; i < THREADS; ++i)
        for (size_t index = 0; index < workers[i].keys; ++index) {
            struct target t;
            size_t length = 0;
            pick_in(&workers[i], c, index, &t);
            int result = belay_get(t.cache, t.key.bytes, t.key.length, workers[i].buffer, VALUE_LONGEST,
                                   &length);
            check_read(&t, "final get", result, workers[i].buffer, length);
        }
}

static void check_cache(struct worker *workers, unsigned c)
{
    uint64_t own = 0, size = 0;
    uint64_t found = job_verify(workers->node, workers->caches[c], cache_configs[c].name);
    for (unsigned i = 0; i < THREADS; ++i)
        own += model_present(&workers[i].models[c]);
    uint64_t expected = job_sum(own) + check_counters(workers, c);
    CHECK_OK(belay_size(workers->caches[c], &size));
    CHECK(size == expected, "%s has %llu entries, the models %llu", cache_configs[c].name,
          (unsigned long long)size, (unsigned long long)expected);
    CHECK(found == expected, "verify found %llu entries in %s, the models have %llu",
          (unsigned long long)found, cache_configs[c].name, (unsigned long long)expected);
    check_inventory(workers, c, 0, expected);
    check_inventory(workers, c, 1, expected);
    check_own_keys(workers, c);
    job_barrier();
}

static void clear_cache(struct worker *workers, unsigned c)
{
    uint64_t size = 1;
    at("clear %s", cache_configs[c].name);
    if (workers->job->rank == (int)c % workers->job->ranks)
        CHECK_OK(belay_clear(workers->caches[c]));
    job_barrier();
    CHECK_OK(belay_size(workers->caches[c], &size));
    CHECK(size == 0, "%s has %llu entries after clear", cache_configs[c].name, (unsigned long long)size);
    CHECK(job_verify(workers->node, workers->caches[c], "after clear") == 0, "entries found after clear");
    for (unsigned i = 0; i < THREADS; ++i) {
        model_clear(&workers[i].models[c]);
        memset(workers[i].added[c], 0, sizeof workers[i].added[c]);
        memset(workers[i].swapped[c], 0, sizeof workers[i].swapped[c]);
        memset(workers[i].last_count[c], 0, sizeof workers[i].last_count[c]);
    }
}

static void run_round(const struct job *job, struct worker *workers, int round)
{
    job_barrier();
    uint64_t ends = job_clock() + (uint64_t)(job->seconds / ROUNDS * 1e9), calls = 0;
    for (unsigned i = 0; i < THREADS; ++i)
        workers[i].ends = ends;
    job_threads(THREADS, run_worker, workers, sizeof *workers);
    at("round %d: all threads done", round);
    CHECK_OK(belay_flush(workers->node));
    job_barrier();
    for (unsigned i = 0; i < THREADS; ++i)
        calls += workers[i].calls;
    calls = job_sum(calls);
    for (unsigned c = 0; c < CACHES; ++c)
        check_cache(workers, c);
    if (job->rank == 0)
        report_note("round %d: %llu calls so far", round, (unsigned long long)calls);
    for (unsigned c = 0; c < CACHES; ++c)
        clear_cache(workers, c);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        job_abort("no memory for %zu bytes", size);
    return memory;
}

static void worker_create(struct worker *w, const struct job *job, unsigned thread)
{
    w->job = job;
    w->keys = (size_t)job_setting("BELAY_TEST_KEYS", 800);
    w->owners = (unsigned)job->ranks * THREADS;
    w->owner = (unsigned)job->rank * THREADS + thread;
    w->random = random_stream(job->seed, (uint64_t)job->rank, thread);
    w->value = allocate(VALUE_LONGEST);
    w->buffer = allocate(VALUE_LONGEST);
    for (unsigned c = 0; c < CACHES; ++c) {
        model_create(&w->models[c], FIRST_OWNED + w->owner, w->owners, w->keys, w->owner);
        w->seen[c] = allocate((FIRST_OWNED + w->keys * w->owners) * sizeof(uint64_t));
    }
}

static void worker_destroy(struct worker *w)
{
    for (unsigned c = 0; c < CACHES; ++c) {
        model_destroy(&w->models[c]);
        free(w->seen[c]);
    }
    free(w->value);
    free(w->buffer);
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS];
    belay_cache *caches[CACHES];
    struct job job;
    job_begin(&argc, &argv, "random_model", 20, &job);
    belay_node *node = job_open(&(belay_config){.arena_size = 384ull << 20});
    for (unsigned c = 0; c < CACHES; ++c)
        caches[c] = job_cache(node, &cache_configs[c]);
    for (unsigned i = 0; i < THREADS; ++i) {
        worker_create(&workers[i], &job, i);
        workers[i].node = node;
        workers[i].caches = caches;
    }
    for (int round = 1; round <= ROUNDS; ++round)
        run_round(&job, workers, round);
    job_close(node);
    for (unsigned i = 0; i < THREADS; ++i)
        worker_destroy(&workers[i]);
    return job_end(&job);
}
