/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FULL_SYNC and PRIMARY_SYNC are linearizable: all ranks and threads work on a few hot keys with all
 * operations, in the cache's mode and in overridden ones; every call is recorded with its times and
 * checked. A version names a value.
 */
#include "../support/linearizability.h"
#include "../support/gather.h"
#include "../support/job.h"
#include "../support/key.h"
#include "../support/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHES = 3,
    THREADS = 2,
    NUMBER_KEYS = 3, /* of each cache, with values of 8 bytes: fetch_add works */
    KEYS = 6,        /* of each cache; the rest have values of all sizes */
    FIRST_KEY = 300,
    RECORDS = 6000, /* of each thread in each round */
    VALUE_LONGEST = 100 * 1000,
    PAIR = 2
};

static const belay_cache_config cache_configs[CACHES] = {
    {.name = "full", .backups = 2, .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = 4},
    {.name = "primary", .backups = 1, .write_synchronization_mode = BELAY_PRIMARY_SYNC},
    {.name = "overridden",
     .cache_mode = BELAY_CACHE_REPLICATED,
     .partitions = 1}, /* FULL_ASYNC, never used so */
};

struct worker {
    belay_cache *const *caches;
    struct random_source random;
    uint32_t process;
    uint64_t ends;
    struct history history;
    uint64_t known_value[CACHES * KEYS], known_version[CACHES * KEYS]; /* last seen by this thread */
    unsigned char *value[PAIR], *buffer[PAIR];
};

/* ---- One operation: from its invocation to its record ---- */

struct call {
    struct history_operation record;
    belay_cache *cache;
    struct key key;
    unsigned char *value, *buffer;
    size_t value_length, buffer_length;
    belay_write_options options;
    belay_request *request;
};

static bool is_number(uint32_t key)
{
    return key % KEYS < NUMBER_KEYS;
}

/* A value that never was before, for this key. */
static void make_value(struct worker *w, struct call *call)
{
    call->record.argument = random_next(&w->random) | 1;
    if (is_number(call->record.key)) {
        call->value_length = sizeof(uint64_t);
        memcpy(call->value, &call->record.argument, sizeof(uint64_t));
        return;
    }
    uint64_t longest = random_percent(&w->random, 10) ? VALUE_LONGEST : 400;
    call->value_length = random_between(&w->random, VALUE_DESCRIBED, longest);
    value_make(call->record.key, (struct value_origin){.sequence = call->record.argument}, call->value,
               call->value_length);
}

/* Which value these bytes are; anything else than a whole value is a failure. */
static uint64_t value_of(uint32_t key, const unsigned char *bytes, size_t length)
{
    struct value_origin origin = {0};
    if (is_number(key)) {
        if (CHECK(length == sizeof origin.sequence, "a number of %zu bytes", length))
            memcpy(&origin.sequence, bytes, sizeof origin.sequence);
        return origin.sequence;
    }
    const char *fault = length < VALUE_DESCRIBED ? "too short" : value_fault(key, bytes, length, &origin);
    CHECK(!fault, "key %u: %zu bytes: %s", key, length, fault);
    return origin.sequence;
}

static void prepare(struct worker *w, struct call *call, unsigned place, uint32_t key, enum history_kind kind)
{
    static const belay_sync modes[] = {BELAY_FULL_SYNC, BELAY_PRIMARY_SYNC};
    unsigned c = key / KEYS;
    *call = (struct call){.record = {.key = key, .kind = kind, .process = w->process},
                          .cache = w->caches[c],
                          .value = w->value[place],
                          .buffer = w->buffer[place],
                          .buffer_length = 12345};
    key_make(FIRST_KEY + key, &call->key);
    make_value(w, call);
    if (cache_configs[c].write_synchronization_mode == BELAY_SYNC_DEFAULT || random_percent(&w->random, 25))
        call->options.sync = modes[random_below(&w->random, 2)];
}

/* Keep what the call told. */
static void finish(struct worker *w, struct call *call)
{
    struct history_operation *record = &call->record;
    bool tells = record->kind == HISTORY_GET || record->kind == HISTORY_GET_AND_PUT;
    if (tells && record->result == BELAY_OK && call->buffer_length != BELAY_NO_VALUE)
        record->answer = value_of(record->key, call->buffer, call->buffer_length);
    if (record->version != 0) {
        w->known_value[record->key] = record->kind == HISTORY_GET ? record->answer : record->argument;
        w->known_version[record->key] = record->version;
    }
    CHECK(history_record(&w->history, record), "the history is full");
}

static void run_one(struct worker *w, uint32_t key, enum history_kind kind)
{
    struct call call;
    prepare(w, &call, 0, key, kind);
    struct history_operation *record = &call.record;
    const unsigned char *bytes = call.key.bytes;
    size_t length = call.key.length;
    uint64_t expected_version = w->known_version[key];
    int64_t old = 0;
    record->expected = w->known_value[key];
    record->invoked = job_clock();
    switch (kind) {
    case HISTORY_GET:
        record->result = belay_get_versioned(call.cache, bytes, length, call.buffer, VALUE_LONGEST,
                                             &call.buffer_length, &record->version);
        break;
    case HISTORY_CONTAINS: record->result = belay_contains(call.cache, bytes, length); break;
    case HISTORY_PUT:
        record->result = belay_put(call.cache, bytes, length, call.value, call.value_length, &call.options);
        break;
    case HISTORY_REMOVE: record->result = belay_remove(call.cache, bytes, length, &call.options); break;
    case HISTORY_PUT_IF_ABSENT:
        record->result = belay_put_if_absent(call.cache, bytes, length, call.value, call.value_length,
                                             &call.options);
        break;
    case HISTORY_REPLACE:
        record->result = belay_replace(call.cache, bytes, length, call.value, call.value_length,
                                       &call.options);
        break;
    case HISTORY_GET_AND_PUT:
        record->result = belay_get_and_put(call.cache, bytes, length, call.value, call.value_length,
                                           &call.options, call.buffer, VALUE_LONGEST, &call.buffer_length);
        break;
    case HISTORY_COMPARE_AND_SET:
        record->result = belay_compare_and_set(call.cache, bytes, length, expected_version, call.value,
                                               call.value_length, &call.options, &record->version);
        break;
    case HISTORY_FETCH_ADD:
        record->result = belay_fetch_add(call.cache, bytes, length, (int64_t)record->argument, &call.options,
                                         &old);
        record->answer = (uint64_t)old;
        break;
    case HISTORY_KINDS: break;
    }
    record->returned = job_clock();
    finish(w, &call);
}

/* Two operations of this thread open at a time. */
static void run_pair(struct worker *w, uint32_t key)
{
    struct call calls[PAIR];
    uint32_t other = key - key % KEYS + (uint32_t)random_below(&w->random, KEYS);
    prepare(w, &calls[0], 0, key, HISTORY_PUT);
    prepare(w, &calls[1], 1, other, HISTORY_GET);
    struct call *put = &calls[0], *get = &calls[1];
    put->record.invoked = job_clock();
    CHECK_OK(belay_put_nb(put->cache, put->key.bytes, put->key.length, put->value, put->value_length,
                          &put->options, &put->request));
    get->record.invoked = job_clock();
    CHECK_OK(belay_get_nb(get->cache, get->key.bytes, get->key.length, get->buffer, VALUE_LONGEST,
                          &get->buffer_length, &get->request));
    for (unsigned i = 0; i < PAIR; ++i) {
        if (!calls[i].request)
            job_abort("an operation does not begin: %s", belay_last_error());
        calls[i].record.result = belay_wait(&calls[i].request);
        calls[i].record.returned = job_clock();
        finish(w, &calls[i]);
    }
}

/* Two keys with one call: each of them is an operation by itself. */
static void run_put_all(struct worker *w, uint32_t key)
{
    struct call calls[PAIR];
    belay_put_item items[PAIR];
    for (unsigned i = 0; i < PAIR; ++i) {
        prepare(w, &calls[i], i, i == 0 ? key : key - key % KEYS + (key + 1) % KEYS, HISTORY_PUT);
        items[i] = (belay_put_item){.key = {calls[i].key.bytes, calls[i].key.length},
                                    .value = {calls[i].value, calls[i].value_length}};
    }
    uint64_t invoked = job_clock();
    calls[0].options.sync = calls[0].options.sync ? calls[0].options.sync : calls[1].options.sync;
    belay_put_all(calls[0].cache, items, PAIR, &calls[0].options);
    uint64_t returned = job_clock();
    for (unsigned i = 0; i < PAIR; ++i) {
        calls[i].record.result = items[i].status;
        calls[i].record.invoked = invoked;
        calls[i].record.returned = returned;
        finish(w, &calls[i]);
    }
}

static void run_get_all(struct worker *w, uint32_t key)
{
    struct call calls[PAIR];
    belay_get_item items[PAIR];
    for (unsigned i = 0; i < PAIR; ++i) {
        prepare(w, &calls[i], i, i == 0 ? key : key - key % KEYS + (key + 1) % KEYS, HISTORY_GET);
        items[i] = (belay_get_item){.key = {calls[i].key.bytes, calls[i].key.length},
                                    .buffer = calls[i].buffer,
                                    .capacity = VALUE_LONGEST};
    }
    uint64_t invoked = job_clock();
    belay_get_all(calls[0].cache, items, PAIR);
    uint64_t returned = job_clock();
    for (unsigned i = 0; i < PAIR; ++i) {
        calls[i].buffer_length = items[i].length;
        calls[i].record.result = items[i].status;
        calls[i].record.invoked = invoked;
        calls[i].record.returned = returned;
        finish(w, &calls[i]);
    }
}

/* ---- A round ---- */

static void run_something(struct worker *w)
{
    static const enum history_kind kinds[] = {
        HISTORY_GET,
        HISTORY_GET,
        HISTORY_GET,
        HISTORY_GET,
        HISTORY_PUT,
        HISTORY_PUT,
        HISTORY_REMOVE,
        HISTORY_PUT_IF_ABSENT,
        HISTORY_REPLACE,
        HISTORY_GET_AND_PUT,
        HISTORY_CONTAINS,
        HISTORY_COMPARE_AND_SET,
        HISTORY_COMPARE_AND_SET,
        HISTORY_FETCH_ADD,
        HISTORY_FETCH_ADD,
    };
    enum { SINGLE = sizeof kinds / sizeof *kinds };
    uint32_t key = (uint32_t)random_below(&w->random, CACHES * KEYS);
    unsigned dice = (unsigned)random_below(&w->random, SINGLE + 3);
    if (dice == SINGLE)
        run_pair(w, key);
    else if (dice == SINGLE + 1)
        run_put_all(w, key);
    else if (dice == SINGLE + 2)
        run_get_all(w, key);
    else if (kinds[dice] == HISTORY_FETCH_ADD && !is_number(key))
        run_one(w, key, HISTORY_GET);
    else
        run_one(w, key, kinds[dice]);
}

static void *run_worker(void *context)
{
    struct worker *w = context;
    while (job_clock() < w->ends && w->history.count + PAIR <= RECORDS) {
        at("process %x: operation %zu", w->process, w->history.count);
        run_something(w);
    }
    at("process %x: done", w->process);
    return NULL;
}

/* With nobody else at work, read every key: the end of this round and the start of the next. */
static void read_all(struct worker *w)
{
    for (uint32_t key = 0; key < CACHES * KEYS; ++key)
        run_one(w, key, HISTORY_GET);
}

static void explain(const struct history_operation *operations, size_t count,
                    struct linearizability_verdict verdict)
{
    static bool explained;
    if (explained)
        return; /* one is enough to look at */
    explained = true;
    size_t from = verdict.failed > 25 ? verdict.failed - 25 : 0;
    size_t to = verdict.failed + 10 < count ? verdict.failed + 10 : count;
    fprintf(stderr, "key %u of cache %s: the value could be one of %llu, such as %llx, when this returned:\n",
            operations->key % KEYS, cache_configs[operations->key / KEYS].name,
            (unsigned long long)verdict.possible_values, (unsigned long long)verdict.some_value);
    history_print(stderr, &operations[verdict.failed]);
    fprintf(stderr, "operations around it:\n");
    for (size_t i = from; i < to; ++i)
        history_print(stderr, &operations[i]);
}

/* Check one key's operations of this round. @return its value at the end. */
static uint64_t check_key(const struct history_operation *operations, size_t count, uint64_t initial)
{
    struct linearizability_verdict verdict = linearizability_check(operations, count, initial);
    CHECK(verdict.verdict != UNDECIDED, "key %u: undecided: %s", operations->key, verdict.why);
    if (!CHECK(verdict.verdict != NOT_LINEARIZABLE, "key %u: %zu operations are not linearizable",
               operations->key, count))
        explain(operations, count, verdict);
    return operations[count - 1].answer; /* the reading of all keys came last */
}

static int by_version(const void *left, const void *right)
{
    const struct history_operation *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->version > b->version) - (a->version < b->version);
}

static uint64_t versioned_value(const struct history_operation *operation)
{
    return operation->kind == HISTORY_GET ? operation->answer : operation->argument;
}

/* Equal versions of a key name equal values. (Different ones then name different values, or a
 * compare_and_set with an outdated version would succeed and be found.) */
static void check_versions(struct history *all)
{
    qsort(all->operations, all->count, sizeof *all->operations, by_version);
    for (size_t i = 1; i < all->count; ++i) {
        const struct history_operation *a = &all->operations[i - 1], *b = &all->operations[i];
        if (a->key == b->key && a->version == b->version && a->version != 0)
            CHECK(versioned_value(a) == versioned_value(b), "key %u: version %llu is of two values", a->key,
                  (unsigned long long)a->version);
    }
}

static void check_round(struct history *all, uint64_t *values)
{
    for (size_t from = 0, to; from < all->count; from = to) {
        uint32_t key = all->operations[from].key;
        for (to = from; to < all->count && all->operations[to].key == key; ++to)
            ;
        at("checking key %u, %zu operations", key, to - from);
        values[key] = check_key(all->operations + from, to - from, values[key]);
    }
    check_versions(all);
}

static uint64_t run_round(const struct job *job, struct worker *workers, double seconds, uint64_t *values)
{
    struct history all;
    job_barrier();
    for (unsigned i = 0; i < THREADS; ++i) {
        workers[i].history.count = 0;
        workers[i].ends = job_clock() + (uint64_t)(seconds * 1e9);
    }
    job_threads(THREADS, run_worker, workers, sizeof *workers);
    job_barrier();
    if (job->rank == 0)
        read_all(&workers[0]);
    job_barrier();
    struct history own[THREADS];
    for (unsigned i = 0; i < THREADS; ++i)
        own[i] = workers[i].history;
    at("gathering");
    history_gather(own, THREADS, &all);
    uint64_t count = all.count;
    if (job->rank == 0)
        check_round(&all, values);
    history_destroy(&all);
    return count;
}

static void worker_create(struct worker *w, const struct job *job, unsigned thread,
                          belay_cache *const *caches)
{
    *w = (struct worker){.caches = caches, .process = (uint32_t)job->rank << 16 | thread};
    w->random = random_stream(job->seed, (uint64_t)job->rank, thread);
    history_create(&w->history, RECORDS + CACHES * KEYS);
    for (unsigned i = 0; i < PAIR; ++i) {
        w->value[i] = malloc(VALUE_LONGEST);
        w->buffer[i] = malloc(VALUE_LONGEST);
        if (!w->value[i] || !w->buffer[i])
            job_abort("no memory for values");
    }
}

static void worker_destroy(struct worker *w)
{
    history_destroy(&w->history);
    for (unsigned i = 0; i < PAIR; ++i) {
        free(w->value[i]);
        free(w->buffer[i]);
    }
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS];
    static uint64_t values[CACHES * KEYS];
    belay_cache *caches[CACHES];
    struct job job;
    job_begin(&argc, &argv, "linearizability", 15, &job);
    if (!job_is_on_one_host())
        return job_skip(&job, "the ranks are on several hosts, without a common clock");
    belay_node *node = job_open(&(belay_config){.arena_size = 128ull << 20});
    for (unsigned c = 0; c < CACHES; ++c)
        caches[c] = job_cache(node, &cache_configs[c]);
    for (unsigned i = 0; i < THREADS; ++i)
        worker_create(&workers[i], &job, i, caches);
    uint64_t checked = 0, start = job_clock(), rounds = 0;
    while (job_max(job_clock() - start < (uint64_t)(job.seconds * 1e9))) {
        checked += run_round(&job, workers, 1, values);
        ++rounds;
    }
    if (job.rank == 0)
        report_note("%llu operations in %llu rounds checked", (unsigned long long)checked,
                    (unsigned long long)rounds);
    for (unsigned c = 0; c < CACHES; ++c)
        job_verify(node, caches[c], cache_configs[c].name);
    job_close(node);
    for (unsigned i = 0; i < THREADS; ++i)
        worker_destroy(&workers[i]);
    return job_end(&job);
}
