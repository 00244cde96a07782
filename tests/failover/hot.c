/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations of all ranks on a few keys, recorded on the board: begun before the call, with an end only when it returned. */
#include "load.h"

#include "../support/linearizability.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_KEY = 300 };

static unsigned hot_group;

void hot_choose(unsigned group)
{
    hot_group = group;
}

static uint64_t hot_key(uint32_t key)
{
    return FIRST_KEY + hot_group * HOT_KEYS + key;
}

static bool is_number(uint32_t key)
{
    return key < HOT_NUMBERS;
}

static struct writer_notes *notes_of(const struct worker *w)
{
    return &w->load->board->ranks[w->load->job->rank].writers[w->thread];
}

/* A value that never was before, for this key. @return its length. */
static size_t make_value(struct worker *w, uint32_t key, uint64_t sequence)
{
    if (is_number(key)) {
        memcpy(w->value, &sequence, sizeof sequence);
        return sizeof sequence;
    }
    uint64_t longest = random_percent(&w->random, 5) ? VALUE_LONGEST : 400;
    size_t length = random_between(&w->random, VALUE_DESCRIBED, longest);
    value_make(hot_key(key), (struct value_origin){.sequence = sequence}, w->value, length);
    return length;
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
    const char *fault = length < VALUE_DESCRIBED ? "too short"
                                                 : value_fault(hot_key(key), bytes, length, &origin);
    CHECK(!fault, "hot key %u: %zu bytes: %s", key, length, fault);
    return origin.sequence;
}

static int call(struct worker *w, const struct key *key, size_t length, size_t *came,
                struct history_operation *record)
{
    belay_cache *cache = w->load->caches[CACHE_FULL_SYNC];
    uint64_t expected = w->known_version[record->key];
    int64_t old = 0;
    int result = BELAY_ERR_INVALID;
    switch ((enum history_kind)record->kind) {
    case HISTORY_GET:
        return belay_get_versioned(cache, key->bytes, key->length, w->buffer, VALUE_LONGEST, came,
                                   &record->version);
    case HISTORY_CONTAINS: return belay_contains(cache, key->bytes, key->length);
    case HISTORY_PUT: return belay_put(cache, key->bytes, key->length, w->value, length, NULL);
    case HISTORY_REMOVE: return belay_remove(cache, key->bytes, key->length, NULL);
    case HISTORY_PUT_IF_ABSENT:
        return belay_put_if_absent(cache, key->bytes, key->length, w->value, length, NULL);
    case HISTORY_REPLACE: return belay_replace(cache, key->bytes, key->length, w->value, length, NULL);
    case HISTORY_GET_AND_PUT:
        return belay_get_and_put(cache, key->bytes, key->length, w->value, length, NULL, w->buffer,
                                 VALUE_LONGEST, came);
    case HISTORY_COMPARE_AND_SET:
        return belay_compare_and_set(cache, key->bytes, key->length, expected, w->value, length, NULL,
                                     &record->version);
    case HISTORY_FETCH_ADD:
        result = belay_fetch_add(cache, key->bytes, key->length, (int64_t)record->argument, NULL, &old);
        record->answer = (uint64_t)old;
        return result;
    case HISTORY_KINDS: break;
    }
    return result;
}

/* What a call may give: the survivors' calls see a pause, not an error. */
static bool is_expected(int result)
{
    return result == BELAY_OK || result == BELAY_ERR_NOT_FOUND || result == BELAY_ERR_EXISTS ||
           result == BELAY_ERR_CONFLICT;
}

static void run(struct worker *w, uint32_t key, enum history_kind kind)
{
    struct writer_notes *notes = notes_of(w);
    size_t place = atomic_load_explicit(&notes->count, memory_order_relaxed), came = BELAY_NO_VALUE;
    struct key bytes;
    struct history_operation *record = &notes->records[place], done;
    uint32_t process = (uint32_t)w->load->job->rank << 16 | w->thread;
    *record = (struct history_operation){.key = key, .kind = kind, .process = process};
    record->argument = random_next(&w->random) | 1;
    record->expected = w->known_value[key];
    record->returned = HISTORY_NEVER;
    size_t length = make_value(w, key, record->argument);
    key_make(hot_key(key), &bytes);
    done = *record;
    record->invoked = done.invoked = job_clock();
    atomic_store_explicit(&notes->count, place + 1, memory_order_release);
    done.result = call(w, &bytes, length, &came, &done);
    done.returned = job_clock();
    bool tells = kind == HISTORY_GET || kind == HISTORY_GET_AND_PUT;
    if (tells && done.result == BELAY_OK && came != BELAY_NO_VALUE)
        done.answer = value_of(key, w->buffer, came);
    if (done.version != 0) {
        w->known_value[key] = kind == HISTORY_GET ? done.answer : done.argument;
        w->known_version[key] = done.version;
    }
    if (kind != HISTORY_GET && done.returned - done.invoked > w->longest_pause)
        w->longest_pause = done.returned - done.invoked;
    if (!CHECK(is_expected(done.result), "operation %u of hot key %u gave %s: %s", kind, key,
               belay_strerror(done.result), belay_last_error()))
        done.returned = HISTORY_NEVER; /* it may have happened or not */
    uint64_t returned = done.returned;
    done.returned = HISTORY_NEVER;
    *record = done; /* a rank may die in between */
    atomic_thread_fence(memory_order_release);
    record->returned = returned;
}

bool hot_step(struct worker *w)
{
    static const enum history_kind kinds[] = {
        HISTORY_GET,    HISTORY_GET,           HISTORY_GET,     HISTORY_GET,         HISTORY_PUT,
        HISTORY_PUT,    HISTORY_CONTAINS,      HISTORY_REPLACE, HISTORY_GET_AND_PUT, HISTORY_GET_AND_PUT,
        HISTORY_REMOVE, HISTORY_PUT_IF_ABSENT, HISTORY_PUT,     HISTORY_FETCH_ADD,   HISTORY_COMPARE_AND_SET,
    };
    if (atomic_load(&notes_of(w)->count) + HOT_KEYS == RECORDS)
        return false; /* the rest is for the last readings */
    uint32_t key = (uint32_t)random_below(&w->random, HOT_KEYS);
    enum history_kind kind = kinds[random_below(&w->random, sizeof kinds / sizeof *kinds)];
    if (kind == HISTORY_FETCH_ADD && !is_number(key))
        kind = HISTORY_GET;
    run(w, key, kind);
    return true;
}

void hot_read_all(struct worker *w)
{
    for (uint32_t key = 0; key < HOT_KEYS; ++key)
        run(w, key, HISTORY_GET);
}

/* ---- Afterwards ---- */

static void collect(const struct load *load, struct history *all)
{
    history_create(all, (size_t)load->job->ranks * WRITERS * RECORDS);
    for (int rank = 0; rank < load->job->ranks; ++rank)
        for (unsigned thread = 0; thread < WRITERS; ++thread) {
            const struct writer_notes *notes = &load->board->ranks[rank].writers[thread];
            for (size_t i = 0; i < atomic_load(&notes->count); ++i)
                history_record(all, &notes->records[i]);
        }
    history_sort(all);
}

static void explain(const struct history_operation *operations, size_t count,
                    struct linearizability_verdict verdict)
{
    size_t from = verdict.failed > 40 ? verdict.failed - 40 : 0;
    size_t to = verdict.failed + 10 < count ? verdict.failed + 10 : count;
    fprintf(stderr, "the value could be one of %llu, such as %llx, when this returned:\n",
            (unsigned long long)verdict.possible_values, (unsigned long long)verdict.some_value);
    history_print(stderr, &operations[verdict.failed]);
    for (size_t i = from; i < to; ++i)
        history_print(stderr, &operations[i]);
}

void check_hot(struct load *load)
{
    struct history all;
    size_t pending = 0, explained = 0;
    collect(load, &all);
    for (size_t from = 0, to; from < all.count; from = to) {
        uint32_t key = all.operations[from].key;
        for (to = from; to < all.count && all.operations[to].key == key; ++to)
            pending += all.operations[to].returned == HISTORY_NEVER;
        at("checking hot key %u, %zu operations", key, to - from);
        struct linearizability_verdict verdict = linearizability_check(all.operations + from, to - from, 0);
        CHECK(verdict.verdict != UNDECIDED, "hot key %u: undecided: %s", key, verdict.why);
        if (!CHECK(verdict.verdict != NOT_LINEARIZABLE, "hot key %u: %zu operations are not linearizable",
                   key, to - from) &&
            explained++ == 0)
            explain(all.operations + from, to - from, verdict);
    }
    report_note("%zu operations on hot keys, %zu without an end", all.count, pending);
    CHECK(all.count > 0, "nothing was done");
    history_destroy(&all);
}
