/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls of transactions beside those of promises.c: many keys at once, two threads, what messages name, the strictest mode of several
 * caches, clearing. With the library's internals, to see what no call shows.
 */
#include "../support/job.h"
#include "cache/operation.h"
#include "cache/transaction.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_participant.h"
#include "cache/transaction_wire.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SHORT_MS = 40, KEYS = 4 };

struct test {
    const struct job *job;
    belay_node *node;
    belay_cache *cache, *relaxed; /* FULL_SYNC, FULL_ASYNC */
    unsigned key;                 /* first of this check's keys */
};

static belay_tx *begin(struct test *t, belay_concurrency concurrency, unsigned timeout_ms)
{
    belay_tx *tx = NULL;
    if (!CHECK_OK(belay_tx_begin(t->node, concurrency, BELAY_REPEATABLE_READ, timeout_ms, &tx)))
        job_abort("cannot begin a transaction");
    return tx;
}

static void commit(belay_tx *tx)
{
    CHECK_OK(belay_tx_commit(tx));
    CHECK_OK(belay_tx_close(tx));
}

static void put(belay_tx *tx, belay_cache *cache, unsigned key, int64_t value)
{
    CHECK_OK(belay_tx_put(tx, cache, &key, sizeof key, &value, sizeof value));
}

/* ---- Many keys ---- */

/* The status of each: there, written by the transaction itself, removed by it, absent, and too long for its buffer. */
static void check_get_all(struct test *t)
{
    enum { ITEMS = 5 };
    static const int expected[ITEMS] = {BELAY_OK, BELAY_OK, BELAY_ERR_NOT_FOUND, BELAY_ERR_NOT_FOUND,
                                        BELAY_ERR_TRUNCATED};
    unsigned keys[ITEMS];
    int64_t values[ITEMS] = {0}, value = 7;
    belay_get_item items[ITEMS];
    for (unsigned i = 0; i < ITEMS; ++i) {
        keys[i] = t->key + i;
        items[i] = (belay_get_item){.key = {&keys[i], sizeof keys[i]},
                                    .buffer = &values[i],
                                    .capacity = i == 4 ? 4 : sizeof values[i]};
        if (i != 3)
            CHECK_OK(belay_put(t->cache, &keys[i], sizeof keys[i], &value, sizeof value, NULL));
    }
    belay_tx *tx = begin(t, BELAY_PESSIMISTIC, 0);
    put(tx, t->cache, keys[1], 8);
    CHECK_OK(belay_tx_remove(tx, t->cache, &keys[2], sizeof keys[2]));
    CHECK_RESULT(belay_tx_get_all(tx, t->cache, items, ITEMS), BELAY_ERR_TRUNCATED);
    for (unsigned i = 0; i < ITEMS; ++i)
        CHECK(items[i].status == expected[i], "item %u: %s", i, belay_strerror(items[i].status));
    CHECK(values[0] == 7 && values[1] == 8 && values[2] == 0 && values[3] == 0, "%lld %lld %lld %lld",
          (long long)values[0], (long long)values[1], (long long)values[2], (long long)values[3]);
    CHECK(items[4].length == sizeof value, "a length of %zu", items[4].length);
    commit(tx);
}

/* ---- Two threads ---- */

struct user {
    belay_tx *tx;
    belay_cache *cache;
    unsigned key;
    int result;
};

static void *write_once(void *context)
{
    struct user *user = context;
    int64_t value = 1;
    user->result = belay_tx_put(user->tx, user->cache, &user->key, sizeof user->key, &value, sizeof value);
    return NULL;
}

/* While one thread's call waits for a lock, another one's is refused. */
static void check_two_threads(struct test *t)
{
    pthread_t thread;
    belay_tx *holder = begin(t, BELAY_PESSIMISTIC, 0), *tx = begin(t, BELAY_PESSIMISTIC, 0);
    struct user user = {.tx = tx, .cache = t->cache, .key = t->key};
    unsigned key = t->key + 1;
    int64_t value;
    size_t length;
    put(holder, t->cache, t->key, 1);
    pthread_create(&thread, NULL, write_once, &user);
    while (atomic_load(&tx->waits_for) == 0)
        nanosleep(&(struct timespec){0, 100 * 1000}, NULL);
    CHECK_RESULT(belay_tx_get(tx, t->cache, &key, sizeof key, &value, sizeof value, &length),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_commit(tx), BELAY_ERR_INVALID);
    CHECK(strstr(belay_last_error(), "another thread"), "%s", belay_last_error());
    commit(holder);
    pthread_join(thread, NULL);
    CHECK_OK(user.result);
    commit(tx);
}

/* ---- What time-outs name ---- */

static void check_names(belay_tx *tx, const struct test *t, const char *what)
{
    char holder[60];
    const char *error = belay_last_error();
    snprintf(holder, sizeof holder, "is locked by transaction %u of node %d", (unsigned)tx->id, t->node->id);
    CHECK(strstr(error, "\"the key\" of cache calls") && strstr(error, holder), "%s: %s, not: %s", what,
          error, holder);
}

static void check_timeouts(struct test *t)
{
    enum { OTHERS = 64 };
    belay_tx *holder = begin(t, BELAY_PESSIMISTIC, 0);
    int64_t value = 1;
    CHECK_OK(belay_tx_put(holder, t->cache, "the key", 7, &value, sizeof value));
    belay_tx *pessimist = begin(t, BELAY_PESSIMISTIC, SHORT_MS);
    CHECK_RESULT(belay_tx_put(pessimist, t->cache, "the key", 7, &value, sizeof value), BELAY_ERR_TIMEOUT);
    check_names(holder, t, "a pessimistic write");
    CHECK_OK(belay_tx_close(pessimist));
    belay_tx *optimist = begin(t, BELAY_OPTIMISTIC, SHORT_MS);
    for (unsigned key = t->key; key < t->key + OTHERS; ++key) /* of its partition, too */
        put(optimist, t->cache, key, 1);
    CHECK_OK(belay_tx_put(optimist, t->cache, "the key", 7, &value, sizeof value));
    CHECK_RESULT(belay_tx_commit(optimist), BELAY_ERR_TIMEOUT);
    check_names(holder, t, "an optimistic commit");
    CHECK_OK(belay_tx_close(optimist));
    commit(holder);
}

/* ---- What conflicts name ---- */

/* Changed between the read and the commit, which is noticed at the primary. */
static void check_conflicts(struct test *t)
{
    belay_tx *tx = begin(t, BELAY_OPTIMISTIC, 0);
    int64_t value = 1;
    size_t length;
    CHECK_OK(belay_put(t->cache, "contended", 9, &value, sizeof value, NULL));
    CHECK_OK(belay_tx_get(tx, t->cache, "contended", 9, &value, sizeof value, &length));
    for (unsigned key = t->key; key < t->key + KEYS; ++key)
        put(tx, t->cache, key, 1);
    CHECK_OK(belay_tx_put(tx, t->cache, "contended", 9, &value, sizeof value));
    CHECK_OK(belay_put(t->cache, "contended", 9, &value, sizeof value, NULL));
    CHECK_RESULT(belay_tx_commit(tx), BELAY_ERR_CONFLICT);
    CHECK(strstr(belay_last_error(), "\"contended\" of cache calls was changed"), "%s", belay_last_error());
    CHECK_OK(belay_tx_close(tx));
}

/* ---- The strictest mode ---- */

/* After a commit that waits for all, none is left to be told to anybody. */
static void check_strictest(struct test *t)
{
    enum { TIMES = 50 };
    for (int64_t i = 0; i < TIMES; ++i) {
        belay_tx *tx = begin(t, BELAY_OPTIMISTIC, 0);
        for (unsigned key = t->key; key < t->key + KEYS; ++key)
            put(tx, t->relaxed, key, i);
        put(tx, t->cache, t->key, i);
        commit(tx);
        CHECK(!t->node->caches->coordinator->running, "a commit does not wait as its strictest cache says");
    }
}

/* ---- Clearing ---- */

static void *clear(void *context)
{
    struct test *t = context;
    CHECK_OK(belay_clear(t->cache));
    return NULL;
}

static bool is_there(const struct test *t, unsigned key)
{
    int64_t value;
    size_t length;
    int result = belay_get(t->cache, &key, sizeof key, &value, sizeof value, &length);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "%s", belay_last_error());
    return result == BELAY_OK;
}

/* A clear waits for locks, too. */
static void check_clear_waits(struct test *t)
{
    pthread_t thread;
    belay_tx *tx = begin(t, BELAY_PESSIMISTIC, 0);
    put(tx, t->cache, t->key, 1);
    commit(tx);
    tx = begin(t, BELAY_PESSIMISTIC, 0);
    put(tx, t->cache, t->key, 2);
    pthread_create(&thread, NULL, clear, t);
    nanosleep(&(struct timespec){0, 30 * 1000 * 1000}, NULL);
    CHECK(is_there(t, t->key), "a locked key is cleared");
    commit(tx);
    pthread_join(thread, NULL);
    CHECK(!is_there(t, t->key), "a key that was locked is not cleared");
}

/* As a participant asks whose coordinator is dead. */
static uint32_t outcome_of(struct test *t, uint64_t id, uint32_t sequence, unsigned key)
{
    uint32_t partition = hash_partition(key_hash(&key, sizeof key), t->cache->partition_count), outcome = 0;
    struct wire_transaction wire = {.id = id, .partition = partition, .sequence = sequence};
    struct message_header header = {.type = MESSAGE_TX_OUTCOME, .cache = t->cache->number};
    struct iovec part = {&wire, sizeof wire};
    struct waited_call call;
    int primary = cache_primary(t->cache, partition);
    waited_call_init(&call, primary, &outcome, sizeof outcome);
    CHECK_OK(node_call_wait(t->node, primary, header, &part, 1, &call, node_deadline(t->node), "the test"));
    return outcome;
}

/* A participant that asks late is told what became of the transaction, though all has been cleared meanwhile. */
static void check_clear_keeps_outcomes(struct test *t)
{
    unsigned first = t->key;
    CHECK_OK(belay_flush(t->node)); /* its lane is the first one then */
    belay_tx *tx = begin(t, BELAY_OPTIMISTIC, 0);
    uint64_t id = tx->id, entries = 1;
    for (unsigned key = 0; key < KEYS; ++key)
        put(tx, t->cache, first + key, 1);
    commit(tx);
    CHECK_OK(belay_flush(t->node));
    uint32_t sequence = t->node->caches->coordinator->sequence;
    clear(t);
    CHECK_OK(belay_size(t->cache, &entries));
    CHECK(entries == 0, "%llu entries in a cleared cache", (unsigned long long)entries);
    for (unsigned key = first; key < first + KEYS; ++key) {
        CHECK(outcome_of(t, id, sequence, key) == OUTCOME_COMMITTED, "what was committed is forgotten");
        CHECK(outcome_of(t, id + 1000, sequence, key) == OUTCOME_NONE, "what never was is remembered");
    }
}

int main(int argc, char **argv)
{
    static void (*const checks[])(struct test * t) = {
        check_get_all,     check_two_threads,         check_timeouts, check_conflicts, check_strictest,
        check_clear_waits, check_clear_keeps_outcomes};
    struct job job;
    struct test t = {.job = &job};
    job_begin(&argc, &argv, "calls", 1, &job);
    t.node = job_open(NULL);
    belay_cache_config config = {.name = "calls",
                                 .backups = 1,
                                 .write_synchronization_mode = BELAY_FULL_SYNC,
                                 .atomicity_mode = BELAY_TRANSACTIONAL,
                                 .partitions = 16};
    t.cache = job_cache(t.node, &config);
    config.name = "relaxed";
    config.write_synchronization_mode = BELAY_FULL_ASYNC;
    t.relaxed = job_cache(t.node, &config);
    for (unsigned i = 0; job.rank == 0 && i < sizeof checks / sizeof checks[0]; ++i) {
        t.key += 16;
        checks[i](&t);
    }
    job_barrier();
    job_verify(t.node, t.cache, "calls");
    job_close(t.node);
    return job_end(&job);
}
