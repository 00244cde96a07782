/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subscriptions. Every rank writes, and is told what all others write, in a cache of each mode; one rank dies meanwhile. In the end each
 * survivor knows, from what it was told alone, the last value of every key. Then: a handler that is slow, and what is refused.
 *
 * MPI is of no use once a rank is dead: see board.h.
 */
#include "../support/random.h"
#include "board.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    VICTIM = 1,
    KEYS = 300,
    STEPS = 6000,
    DIES_AFTER = 2000,
    WITHIN_MS = 20000,
    FLOOD = 9000,
    LONG = 9000
};

struct known {
    uint64_t version, value;
    int partition;
    bool present, unsure; /* there was a gap: a removal may have been missed */
};

/* What one subscription was told. */
struct mirror {
    belay_cache *cache;
    belay_subscription *subscription;
    bool keeps; /* what was told cannot be lost: versions never go back */
    pthread_mutex_t lock;
    unsigned gaps, told, cleared;
    struct known keys[KEYS];
};

static void make_key(char key[16], unsigned i)
{
    snprintf(key, 16, "key %04u", i);
}

static void take(belay_cache *cache, const belay_change *change, void *context)
{
    struct mirror *m = context;
    unsigned i = KEYS;
    char text[16] = "";
    CHECK(cache == m->cache, "another cache");
    pthread_mutex_lock(&m->lock);
    ++m->told;
    if (change->kind == BELAY_CHANGE_GAP || change->kind == BELAY_CHANGE_CLEARED) {
        m->gaps += change->kind == BELAY_CHANGE_GAP;
        m->cleared += change->kind == BELAY_CHANGE_CLEARED;
        for (unsigned k = 0; k < KEYS; ++k)
            if (m->keys[k].partition == change->partition) {
                m->keys[k].unsure = true;
                if (change->kind == BELAY_CHANGE_CLEARED)
                    m->keys[k].present = false;
            }
    } else if (CHECK(change->key.length == 8, "a key of %zu bytes", change->key.length)) {
        memcpy(text, change->key.data, 8);
        sscanf(text, "key %u", &i);
    }
    if (i < KEYS) {
        struct known *known = &m->keys[i];
        CHECK(!m->keeps || change->version >= known->version, "key %u: version %llx comes behind %llx", i,
              (unsigned long long)change->version, (unsigned long long)known->version);
        known->version = change->version;
        known->present = change->kind == BELAY_CHANGE_PUT;
        known->unsure = false;
        if (known->present &&
            CHECK(change->value.data && change->value.length == sizeof known->value, "no value"))
            memcpy(&known->value, change->value.data, sizeof known->value);
    }
    pthread_mutex_unlock(&m->lock);
}

static void watch(struct mirror *m, belay_cache *cache, bool keeps)
{
    char key[16];
    m->cache = cache;
    m->keeps = keeps;
    pthread_mutex_init(&m->lock, NULL);
    for (unsigned i = 0; i < KEYS; ++i) {
        make_key(key, i);
        m->keys[i].partition = belay_partition_of(cache, key, 8);
    }
    CHECK_OK(belay_subscribe(cache, "key", 3, take, m, &m->subscription));
}

/* ---- Work ---- */

static void step(belay_cache *cache, struct random_source *random)
{
    char key[16];
    uint64_t value = random_next(random);
    int64_t old;
    int result;
    make_key(key, (unsigned)random_below(random, KEYS));
    switch (random_below(random, 8)) {
    case 0:
        result = belay_remove(cache, key, 8, NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "remove gives %s", belay_strerror(result));
        break;
    case 1: CHECK_OK(belay_fetch_add(cache, key, 8, 1, NULL, &old)); break;
    case 2: CHECK_OK(belay_put(cache, "other", 5, &value, sizeof value, NULL)); break;
    default: CHECK_OK(belay_put(cache, key, 8, &value, sizeof value, NULL)); break;
    }
}

/* @return how many keys are not as they were told. */
static unsigned differing(struct mirror *m, bool report)
{
    unsigned differ = 0;
    for (unsigned i = 0; i < KEYS; ++i) {
        char key[16];
        uint64_t value = 0;
        size_t length;
        make_key(key, i);
        int result = belay_get(m->cache, key, 8, &value, sizeof value, &length);
        pthread_mutex_lock(&m->lock);
        struct known known = m->keys[i];
        pthread_mutex_unlock(&m->lock);
        bool same = result == BELAY_OK ? known.present && known.value == value
                                       : result == BELAY_ERR_NOT_FOUND && (!known.present || known.unsure);
        differ += !same;
        if (!same && report)
            CHECK(same, "key %u: %s, %llx; told: %d, %llx, version %llx", i, belay_strerror(result),
                  (unsigned long long)value, known.present, (unsigned long long)known.value,
                  (unsigned long long)known.version);
    }
    return differ;
}

static void await_same(struct mirror *m)
{
    uint64_t ends = job_clock() + WITHIN_MS * 1000000ull;
    while (differing(m, false) > 0 && job_clock() < ends)
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    differing(m, true);
}

/* ---- A slow handler ---- */

struct slow {
    const atomic_uint_fast64_t *flooded; /* the flood is over */
    atomic_uint told, gaps;
    _Atomic uint64_t last;
    bool slept; /* through all of the flood */
};

/* No longer than a node may be silent. */
static void dawdle(belay_cache *cache, const belay_change *change, void *context)
{
    enum { PATIENCE_MS = 700 };
    struct slow *slow = context;
    uint64_t value = 0, ends = job_clock() + PATIENCE_MS * 1000000ull;
    (void)cache;
    if (atomic_load(&slow->told) == 0) {
        while (!atomic_load(slow->flooded) && job_clock() < ends)
            nanosleep(&(struct timespec){0, 100000}, NULL);
        slow->slept = atomic_load(slow->flooded);
    }
    atomic_fetch_add(&slow->told, 1);
    atomic_fetch_add(&slow->gaps, change->kind == BELAY_CHANGE_GAP);
    if (change->kind == BELAY_CHANGE_PUT && change->value.length == sizeof value) {
        memcpy(&value, change->value.data, sizeof value);
        atomic_store(&slow->last, value);
    }
}

/* Nobody waits for it; in the end it is told that it missed something, and the last value. */
static void be_slow(belay_cache *cache, struct board *board, const struct job *job)
{
    static struct slow slow;
    belay_subscription *subscription = NULL;
    bool floods = job->rank == board_first(board, job), watches = job->rank == job->ranks - 1;
    atomic_uint_fast64_t *flooded = &board->ranks[0].writers[0].adds.done;
    at("a slow handler");
    slow.flooded = flooded;
    if (watches)
        CHECK_OK(belay_subscribe(cache, "flood", 5, dawdle, &slow, &subscription));
    board_barrier(board, job);
    for (uint64_t i = 1; floods && i <= FLOOD; ++i)
        CHECK_OK(belay_put(cache, "flood", 5, &i, sizeof i, NULL));
    if (floods)
        atomic_store(flooded, 1);
    uint64_t ends = job_clock() + WITHIN_MS * 1000000ull;
    while (watches && atomic_load(&slow.last) != FLOOD && job_clock() < ends)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (watches) {
        CHECK(atomic_load(&slow.last) == FLOOD, "the last value told is %llu", (unsigned long long)slow.last);
        CHECK(!slow.slept || atomic_load(&slow.gaps) > 0, "%u of %u changes were told, and no gap",
              atomic_load(&slow.told), FLOOD);
        report_note("%u of %u changes were told, %u gaps", atomic_load(&slow.told), FLOOD,
                    atomic_load(&slow.gaps));
        CHECK_OK(belay_unsubscribe(&subscription));
    }
    unsigned told = atomic_load(&slow.told);
    board_barrier(board, job);
    if (floods)
        CHECK_OK(belay_put(cache, "flood", 5, "", 0, NULL));
    board_barrier(board, job);
    nanosleep(&(struct timespec){0, 10000000}, NULL);
    CHECK(atomic_load(&slow.told) == told, "a handler is called after belay_unsubscribe");
}

/* ---- The border ---- */

struct last {
    atomic_uint told;
    size_t length;
    bool has_value;
    belay_subscription **own; /* to be ended by the handler */
};

static void note_last(belay_cache *cache, const belay_change *change, void *context)
{
    struct last *last = context;
    (void)cache;
    last->length = change->value.length;
    last->has_value = change->value.data != NULL;
    if (last->own)
        CHECK_OK(belay_unsubscribe(last->own));
    atomic_fetch_add(&last->told, 1);
}

static void check_border(belay_cache *cache)
{
    static unsigned char value[LONG];
    static struct last last, own;
    belay_subscription *subscription = NULL, *ended = NULL;
    at("the border");
    CHECK_RESULT(belay_subscribe(NULL, "k", 1, note_last, &last, &subscription), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_subscribe(cache, NULL, 1, note_last, &last, &subscription), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_subscribe(cache, "k", 1, NULL, &last, &subscription), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_subscribe(cache, "k", 1, note_last, &last, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_subscribe(cache, value, BELAY_KEY_MAX + 1, note_last, &last, &subscription),
                 BELAY_ERR_TOO_LARGE);
    CHECK_RESULT(belay_unsubscribe(&subscription), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_unsubscribe(NULL), BELAY_ERR_INVALID);
    CHECK_OK(belay_subscribe(cache, "long", 4, note_last, &last, &subscription));
    own.own = &ended;
    CHECK_OK(belay_subscribe(cache, "long", 4, note_last, &own, &ended));
    CHECK_OK(belay_put(cache, "long one", 8, value, sizeof value, NULL));
    while (atomic_load(&last.told) < 1 || atomic_load(&own.told) < 1)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    CHECK(!last.has_value && last.length == sizeof value, "a long value: %zu bytes", last.length);
    CHECK(ended == NULL, "a handler cannot end its subscription");
    CHECK_OK(belay_unsubscribe(&subscription));
    CHECK_RESULT(belay_unsubscribe(&subscription), BELAY_ERR_INVALID);
}

int main(int argc, char **argv)
{
    static struct mirror mirrors[3];
    static const belay_sync modes[] = {BELAY_FULL_SYNC, BELAY_PRIMARY_SYNC, BELAY_FULL_ASYNC};
    static const char *const names[] = {"full", "primary", "async"};
    belay_cache *caches[3];
    struct job job;
    job_begin(&argc, &argv, "watching", 0, &job);
    struct board *board = board_open(&job);
    belay_node *node = job_open(&(belay_config){
        .arena_size = 48u << 20, .role = job.rank == job.ranks - 1 ? BELAY_ROLE_CLIENT : BELAY_ROLE_SERVER});
    struct random_source random = random_stream(job.seed, (uint64_t)job.rank, 0);
    for (int i = 0; i < 3; ++i) {
        caches[i] = job_cache(node, &(belay_cache_config){.name = names[i],
                                                          .backups = 1,
                                                          .partitions = 16,
                                                          .write_synchronization_mode = modes[i]});
        watch(&mirrors[i], caches[i], modes[i] == BELAY_FULL_SYNC);
    }
    board_barrier(board, &job);
    for (unsigned s = 0; s < STEPS; ++s) {
        if (job.rank == VICTIM && s == DIES_AFTER)
            kill(getpid(), SIGKILL);
        at("step %u", s);
        step(caches[s % 3], &random);
    }
    int result = belay_flush(node); /* some may be lost */
    CHECK(result == BELAY_OK || result == BELAY_ERR_NODE_FAILED, "flush gives %s", belay_strerror(result));
    CHECK_OK(belay_flush(node));
    board_barrier(board, &job);
    for (int i = 0; i < 3; ++i) {
        at("what was told of cache %s", names[i]);
        await_same(&mirrors[i]);
        pthread_mutex_lock(&mirrors[i].lock);
        CHECK(mirrors[i].gaps > 0, "a primary has died, and no gap was told");
        report_note("cache %s: told %u changes, %u gaps", names[i], mirrors[i].told, mirrors[i].gaps);
        pthread_mutex_unlock(&mirrors[i].lock);
    }
    board_barrier(board, &job);
    if (job.rank == board_first(board, &job))
        CHECK_OK(belay_clear(caches[0]));
    board_barrier(board, &job);
    await_same(&mirrors[0]);
    for (int i = 0; i < 3; ++i)
        CHECK_OK(belay_unsubscribe(&mirrors[i].subscription));
    CHECK(mirrors[0].cleared == 16, "clear of 16 partitions was told %u times", mirrors[0].cleared);
    board_barrier(board, &job);
    be_slow(caches[1], board, &job);
    board_barrier(board, &job);
    if (job.rank == board_first(board, &job))
        check_border(caches[0]);
    board_barrier(board, &job);
    at("belay_close");
    CHECK_OK(belay_close(node));
    board_verdict(&job);
}
