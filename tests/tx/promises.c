/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of doc/transactions.md: for each kind of transaction, each anomaly is provoked by an interleaving of its own, which
 * either happens, where it is allowed, or cannot. Then errors, limits and deadlocks. The interleavings are made by one rank that
 * has several transactions open at once; the keys are of partitions of all ranks.
 *
 * A pessimistic transaction that would have to wait for another of the same thread gets TIMEOUT: that counts as forbidden.
 */
#include "../support/job.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHORT_MS = 40, ROUNDS = 3, ROUNDS_MAX = 12 };

struct test {
    const struct job *job;
    belay_node *node;
    belay_cache *cache, *plain;
    belay_concurrency concurrency;
    belay_isolation isolation;
    unsigned key; /* first of this interleaving's keys */
};

static const char *name_of(const struct test *t)
{
    static const char *const isolations[] = {"", "READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"};
    static char text[64];
    snprintf(text, sizeof text, "%s %s", t->concurrency == BELAY_PESSIMISTIC ? "PESSIMISTIC" : "OPTIMISTIC",
             isolations[t->isolation]);
    return text;
}

/* ---- One step each ---- */

static belay_tx *begin_for(struct test *t, unsigned timeout_ms)
{
    belay_tx *tx = NULL;
    if (!CHECK_OK(belay_tx_begin(t->node, t->concurrency, t->isolation, timeout_ms, &tx)))
        job_abort("cannot begin a transaction");
    return tx;
}

static belay_tx *begin(struct test *t)
{
    return begin_for(t, SHORT_MS);
}

enum { NOTHING = -1, FAILED = -2 };

/* The value, NOTHING, or FAILED: it had to wait, or is doomed. */
static int64_t get(struct test *t, belay_tx *tx, unsigned key)
{
    int64_t value = 0;
    size_t length = 0;
    key += t->key;
    int result = tx ? belay_tx_get(tx, t->cache, &key, sizeof key, &value, sizeof value, &length)
                    : belay_get(t->cache, &key, sizeof key, &value, sizeof value, &length);
    if (result == BELAY_ERR_NOT_FOUND)
        return NOTHING;
    CHECK(result == BELAY_OK || result == BELAY_ERR_TIMEOUT || result == BELAY_ERR_CONFLICT, "%s: %s",
          name_of(t), belay_last_error());
    return result == BELAY_OK ? value : FAILED;
}

static bool put(struct test *t, belay_tx *tx, unsigned key, int64_t value)
{
    key += t->key;
    int result = tx ? belay_tx_put(tx, t->cache, &key, sizeof key, &value, sizeof value)
                    : belay_put(t->cache, &key, sizeof key, &value, sizeof value, NULL);
    CHECK(result == BELAY_OK || (tx && (result == BELAY_ERR_TIMEOUT || result == BELAY_ERR_CONFLICT)),
          "%s: %s", name_of(t), belay_last_error());
    return result == BELAY_OK;
}

static bool commit(struct test *t, belay_tx *tx)
{
    int result = belay_tx_commit(tx);
    CHECK(result == BELAY_OK || result == BELAY_ERR_CONFLICT || result == BELAY_ERR_TIMEOUT, "%s: %s",
          name_of(t), belay_last_error());
    CHECK_RESULT(belay_tx_state(tx), result == BELAY_OK ? BELAY_TX_COMMITTED : BELAY_TX_ROLLED_BACK);
    CHECK_OK(belay_tx_close(tx));
    return result == BELAY_OK;
}

/* ---- Anomalies: true if it happened ---- */

/* G0: two transactions write two keys; of each key the other one's value stays. */
static bool dirty_write(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    put(t, a, 0, 1);
    put(t, b, 1, 2);
    put(t, b, 0, 2);
    put(t, a, 1, 1);
    commit(t, a);
    commit(t, b);
    return get(t, NULL, 0) != get(t, NULL, 1);
}

/* G1a: a value of a transaction that is rolled back. */
static bool aborted_read(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    put(t, a, 0, 7);
    int64_t seen = get(t, b, 0);
    CHECK_OK(belay_tx_rollback(a));
    CHECK_OK(belay_tx_close(a));
    commit(t, b);
    return seen == 7 || get(t, NULL, 0) == 7;
}

/* G1b: a value that its writer overwrites before it commits. */
static bool intermediate_read(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    put(t, a, 0, 7);
    int64_t seen = get(t, b, 0);
    put(t, a, 0, 8);
    commit(t, a);
    commit(t, b);
    return seen == 7;
}

/* G1c: two transactions see each other's writes. */
static bool circular_information(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    put(t, a, 0, 7);
    put(t, b, 1, 7);
    bool a_saw = get(t, a, 1) == 7, b_saw = get(t, b, 0) == 7;
    commit(t, a);
    commit(t, b);
    return a_saw && b_saw;
}

/* P2: the same read twice gives two values. */
static bool fuzzy_read(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    int64_t first = get(t, a, 0);
    bool written = put(t, b, 0, 9);
    written = commit(t, b) && written;
    int64_t second = get(t, a, 0);
    commit(t, a);
    return written && first >= 0 && second >= 0 && first != second;
}

/* P4: both read, then both write what follows from it: one of the two is lost. */
static bool lost_update(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    int64_t before = get(t, NULL, 0);
    int64_t a_read = get(t, a, 0), b_read = get(t, b, 0);
    bool b_ok = b_read != FAILED && put(t, b, 0, b_read + 1);
    b_ok = commit(t, b) && b_ok;
    bool a_ok = a_read != FAILED && put(t, a, 0, a_read + 1);
    a_ok = commit(t, a) && a_ok;
    return a_ok && b_ok && get(t, NULL, 0) != before + 2;
}

/* A5A: of two keys that are written together the old value of one and the new of the other, by one that commits. */
static bool fractured_read(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    int64_t x = get(t, a, 0);
    bool written = put(t, b, 0, 5) && put(t, b, 1, 5);
    written = commit(t, b) && written;
    int64_t y = get(t, a, 1);
    return commit(t, a) && written && x >= 0 && y >= 0 && x != y;
}

/* A5B: each writes what the other has only read. */
static bool write_skew(struct test *t)
{
    belay_tx *a = begin(t), *b = begin(t);
    bool a_ok = get(t, a, 0) != FAILED && get(t, a, 1) != FAILED;
    bool b_ok = get(t, b, 0) != FAILED && get(t, b, 1) != FAILED;
    b_ok = b_ok && put(t, b, 1, 6);
    b_ok = commit(t, b) && b_ok;
    a_ok = a_ok && put(t, a, 0, 6);
    a_ok = commit(t, a) && a_ok;
    return a_ok && b_ok;
}

/* The same over keys that are not there: a phantom, as far as there are any without predicates. */
static bool absent_skew(struct test *t)
{
    enum { ABSENT = 4 };
    belay_tx *a = begin(t), *b = begin(t);
    bool a_ok = get(t, a, ABSENT) == NOTHING, b_ok = get(t, b, ABSENT + 1) == NOTHING;
    b_ok = b_ok && put(t, b, ABSENT, 6);
    b_ok = commit(t, b) && b_ok;
    a_ok = a_ok && put(t, a, ABSENT + 1, 6);
    a_ok = commit(t, a) && a_ok;
    return a_ok && b_ok;
}

enum { NO, YES };

struct anomaly {
    const char *name;
    bool (*happens)(struct test *t);
    bool optimistic[3], pessimistic[3]; /* by isolation: allowed, and so it happens */
};

static const struct anomaly anomalies[] = {
    {"dirty write (G0)", dirty_write, {NO, NO, NO}, {NO, NO, NO}},
    {"aborted read (G1a)", aborted_read, {NO, NO, NO}, {NO, NO, NO}},
    {"intermediate read (G1b)", intermediate_read, {NO, NO, NO}, {NO, NO, NO}},
    {"circular information flow (G1c)", circular_information, {NO, NO, NO}, {NO, NO, NO}},
    {"fuzzy read", fuzzy_read, {YES, NO, NO}, {YES, NO, NO}},
    {"lost update", lost_update, {YES, NO, NO}, {YES, NO, NO}},
    {"fractured read", fractured_read, {YES, YES, NO}, {YES, NO, NO}},
    {"write skew (G2)", write_skew, {YES, YES, NO}, {YES, NO, NO}},
    {"write skew of absent keys", absent_skew, {YES, YES, NO}, {YES, NO, NO}}};

static void provoke(struct test *t, const struct anomaly *anomaly)
{
    const bool *allowed = t->concurrency == BELAY_PESSIMISTIC ? anomaly->pessimistic : anomaly->optimistic;
    bool expected = allowed[t->isolation - 1];
    unsigned times = 0;
    for (unsigned round = 0; round < ROUNDS || (expected && times == 0 && round < ROUNDS_MAX); ++round) {
        t->key += 16;
        for (unsigned key = 0; key < 2; ++key)
            put(t, NULL, key, 3);
        times += anomaly->happens(t); /* not if a slow machine lets a transaction time out */
    }
    CHECK((times > 0) == expected, "%s: %s %s", name_of(t), anomaly->name,
          times ? "happened" : "did not happen");
}

static void provoke_all(struct test *t)
{
    for (t->concurrency = BELAY_PESSIMISTIC; t->concurrency <= BELAY_OPTIMISTIC; ++t->concurrency)
        for (t->isolation = BELAY_READ_COMMITTED; t->isolation <= BELAY_SERIALIZABLE; ++t->isolation)
            for (unsigned i = 0; i < sizeof anomalies / sizeof anomalies[0]; ++i)
                provoke(t, &anomalies[i]);
}

/* ---- Own writes, removes, rollback, plain calls ---- */

static void check_own_writes(struct test *t)
{
    t->key += 16;
    put(t, NULL, 0, 1);
    belay_tx *tx = begin(t);
    unsigned key = t->key;
    put(t, tx, 0, 2);
    put(t, tx, 1, 2);
    CHECK(get(t, tx, 0) == 2 && get(t, tx, 1) == 2, "own writes are not seen");
    CHECK(get(t, NULL, 0) == 1 && get(t, NULL, 1) == NOTHING, "writes are seen before the commit");
    CHECK_OK(belay_tx_remove(tx, t->cache, &key, sizeof key));
    CHECK(get(t, tx, 0) == NOTHING, "an own remove is not seen");
    commit(t, tx);
    CHECK(get(t, NULL, 0) == NOTHING && get(t, NULL, 1) == 2, "the commit has not the last writes");
}

static void check_large(struct test *t)
{
    enum { LARGE = 200 * 1000 };
    unsigned char *value = malloc(LARGE), *read = malloc(LARGE);
    unsigned key = t->key += 16;
    size_t length = 0;
    belay_tx *tx = begin_for(t, 0);
    memset(value, 0xab, LARGE);
    for (unsigned i = 0; i < 4; ++i, ++key)
        CHECK_OK(belay_tx_put(tx, t->cache, &key, sizeof key, value, LARGE));
    CHECK(commit(t, tx), "a large one does not commit");
    key = t->key + 3;
    CHECK_OK(belay_get(t->cache, &key, sizeof key, read, LARGE, &length));
    CHECK(length == LARGE && memcmp(value, read, LARGE) == 0, "a large value is damaged");
    free(value);
    free(read);
}

static int doubled(belay_invocation *in, void *context)
{
    int64_t *number = in->value;
    (void)context;
    if (in->value_length != sizeof *number)
        return BELAY_ACTION_KEEP;
    *number *= 2;
    return BELAY_ACTION_SET;
}

/* A function is applied to what was committed, when the lock is free. */
static void check_function(struct test *t)
{
    unsigned key = t->key;
    int completed = 0;
    belay_request *request = NULL;
    belay_tx *tx = begin(t);
    put(t, tx, 0, 21);
    CHECK_OK(belay_invoke_nb(t->cache, &key, sizeof key, "double", NULL, 0, NULL, NULL, 0, NULL, &request));
    for (int i = 0; i < 100; ++i)
        CHECK_OK(belay_test(request, &completed));
    CHECK(!completed, "a function is applied to a locked key");
    commit(t, tx);
    CHECK_OK(belay_wait(&request));
    CHECK(get(t, NULL, 0) == 42, "a function was applied to something else than what was committed");
}

/* Plain calls wait for locks, and cannot see what is not committed. */
static void check_plain_calls(struct test *t)
{
    t->key += 16;
    t->concurrency = BELAY_PESSIMISTIC;
    t->isolation = BELAY_SERIALIZABLE;
    put(t, NULL, 0, 1);
    belay_tx *tx = begin(t);
    put(t, tx, 0, 2);
    CHECK(get(t, NULL, 0) == 1, "a plain get sees what is not committed");
    belay_tx *other = begin(t);
    CHECK(!put(t, other, 0, 3), "a key is locked twice");
    CHECK(strstr(belay_last_error(), "is locked by transaction"), "no holder in: %s", belay_last_error());
    CHECK_RESULT(belay_tx_state(other), BELAY_TX_ROLLBACK_ONLY);
    CHECK_RESULT(belay_tx_commit(other), BELAY_ERR_TIMEOUT);
    CHECK_OK(belay_tx_close(other));
    commit(t, tx);
    CHECK(get(t, NULL, 0) == 2, "what was committed is not there");
    check_function(t);
    put(t, NULL, 0, 4);
}

/* ---- Errors ---- */

static void check_errors(struct test *t)
{
    unsigned key = t->key += 16;
    int64_t value = 0;
    size_t length;
    static const unsigned char reserved[24] = "\0belay\0transact\0more";
    t->concurrency = BELAY_OPTIMISTIC;
    t->isolation = BELAY_SERIALIZABLE;
    belay_tx *tx = NULL;
    CHECK_RESULT(belay_tx_begin(t->node, (belay_concurrency)9, BELAY_SERIALIZABLE, 0, &tx),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_begin(t->node, BELAY_OPTIMISTIC, (belay_isolation)0, 0, &tx), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_begin(NULL, BELAY_OPTIMISTIC, BELAY_SERIALIZABLE, 0, &tx), BELAY_ERR_INVALID);
    tx = begin(t);
    CHECK_RESULT(belay_tx_put(tx, t->plain, &key, sizeof key, &value, sizeof value), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_put(tx, t->cache, &key, 0, &value, sizeof value), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_put(tx, t->cache, reserved, sizeof reserved, &value, sizeof value),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put(t->cache, reserved, sizeof reserved, &value, sizeof value, NULL),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put(t->plain, reserved, sizeof reserved, &value, sizeof value, NULL),
                 BELAY_ERR_INVALID);
    belay_request *request = NULL;
    CHECK_RESULT(belay_put_nb(t->cache, reserved, sizeof reserved, &value, sizeof value, NULL, &request),
                 BELAY_ERR_INVALID);
    CHECK_RESULT(belay_remove_nb(t->cache, reserved, sizeof reserved, NULL, &request), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_get(tx, t->cache, &key, sizeof key, NULL, 8, &length), BELAY_ERR_INVALID);
    CHECK_OK(belay_tx_set_rollback_only(tx));
    CHECK_RESULT(belay_tx_put(tx, t->cache, &key, sizeof key, &value, sizeof value), BELAY_ERR_CONFLICT);
    CHECK_RESULT(belay_tx_commit(tx), BELAY_ERR_CONFLICT);
    CHECK_RESULT(belay_tx_state(tx), BELAY_TX_ROLLED_BACK);
    CHECK_RESULT(belay_tx_commit(tx), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_rollback(tx), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_tx_get(tx, t->cache, &key, sizeof key, &value, sizeof value, &length),
                 BELAY_ERR_INVALID);
    CHECK_OK(belay_tx_close(tx));
    CHECK_OK(belay_tx_close(NULL));
}

static void check_limits(struct test *t)
{
    belay_tx *tx = begin_for(t, 0);
    int64_t value = 1;
    unsigned char *large = calloc(1, BELAY_TX_BYTES_MAX);
    for (unsigned i = 0; i < BELAY_TX_KEYS_MAX; ++i) {
        unsigned key = 1000000 + i;
        CHECK_OK(belay_tx_put(tx, t->cache, &key, sizeof key, &value, sizeof value));
    }
    unsigned key = 1;
    CHECK_RESULT(belay_tx_put(tx, t->cache, &key, sizeof key, &value, sizeof value), BELAY_ERR_TOO_LARGE);
    CHECK(commit(t, tx), "as many keys as there may be do not commit");
    key = 1000000 + BELAY_TX_KEYS_MAX - 1;
    value = 0;
    CHECK_OK(belay_get(t->cache, &key, sizeof key, &value, sizeof value, &(size_t){0}));
    CHECK(value == 1, "the last of many keys is not there");
    tx = begin(t);
    CHECK_RESULT(belay_tx_put(tx, t->cache, &key, sizeof key, large, BELAY_TX_BYTES_MAX),
                 BELAY_ERR_TOO_LARGE);
    CHECK_OK(belay_tx_put(tx, t->cache, &key, sizeof key, large, BELAY_TX_BYTES_MAX - sizeof key));
    commit(t, tx);
    free(large);
}

/* Reads of long keys of one partition: its record is longer than what a transaction may write. */
static void check_long_record(struct test *t)
{
    enum { KEYS = 2100 };
    static unsigned char key[BELAY_KEY_MAX];
    int64_t value = 1;
    size_t length;
    unsigned used = 0;
    int partition = belay_partition_of(t->cache, &t->key, sizeof t->key);
    belay_tx *tx = begin_for(t, 0);
    CHECK_OK(belay_tx_put(tx, t->cache, &t->key, sizeof t->key, &value, sizeof value));
    for (unsigned i = 0; used < KEYS; ++i) {
        memcpy(key, &i, sizeof i);
        if (belay_partition_of(t->cache, key, sizeof key) != partition)
            continue;
        ++used;
        CHECK_RESULT(belay_tx_get(tx, t->cache, key, sizeof key, &value, sizeof value, &length),
                     BELAY_ERR_NOT_FOUND);
    }
    CHECK(commit(t, tx), "a transaction that has read many long keys does not commit");
}

/* ---- Deadlocks ---- */

struct dancer {
    struct test *t;
    belay_tx *tx;
    pthread_barrier_t *barrier;
    unsigned place, count;
    int result;
    char error[512];
};

/* The elder of a circle: has read the first key, and waits for the second. */
static void *wait_for_second(void *context)
{
    struct dancer *dancer = context;
    unsigned key = dancer->t->key + 1;
    int64_t value = 1;
    dancer->result = belay_tx_put(dancer->tx, dancer->t->cache, &key, sizeof key, &value, sizeof value);
    return NULL;
}

/* A circle over a key that somebody else, who waits for nobody, has read as well: before, or after. */
static void check_deadlock_beside_reader(struct test *t, bool before)
{
    enum { LONG_MS = 5000 };
    pthread_t thread;
    t->key += 16;
    t->concurrency = BELAY_PESSIMISTIC;
    belay_tx *reader = begin_for(t, LONG_MS);
    struct dancer elder = {.t = t, .tx = begin_for(t, LONG_MS)};
    belay_tx *younger = begin_for(t, LONG_MS);
    get(t, before ? reader : elder.tx, 0);
    get(t, before ? elder.tx : reader, 0);
    CHECK(put(t, younger, 1, 1), "a key that nobody has locked");
    pthread_create(&thread, NULL, wait_for_second, &elder);
    CHECK(!put(t, younger, 0, 1) && strstr(belay_last_error(), "deadlock over key"),
          "a deadlock beside a reader: %s", belay_last_error());
    CHECK(!commit(t, younger), "who gave up commits");
    pthread_join(thread, NULL);
    CHECK_OK(elder.result);
    CHECK(commit(t, elder.tx) && commit(t, reader), "they do not go on");
}

/* Each locks its own key and then its neighbour's: a circle. */
static void *dance(void *context)
{
    struct dancer *dancer = context;
    struct test *t = dancer->t;
    unsigned own = t->key + dancer->place, next = t->key + (dancer->place + 1) % dancer->count;
    int64_t value = dancer->place;
    belay_tx *tx;
    CHECK_OK(belay_tx_begin(t->node, BELAY_PESSIMISTIC, BELAY_SERIALIZABLE, 20000, &tx));
    CHECK_OK(belay_tx_put(tx, t->cache, &own, sizeof own, &value, sizeof value));
    pthread_barrier_wait(dancer->barrier);
    dancer->result = belay_tx_put(tx, t->cache, &next, sizeof next, &value, sizeof value);
    snprintf(dancer->error, sizeof dancer->error, "%s", dancer->result == BELAY_OK ? "" : belay_last_error());
    CHECK_RESULT(belay_tx_commit(tx), dancer->result);
    CHECK_OK(belay_tx_close(tx));
    return NULL;
}

/* One gives up, is told why, and all others go on. */
static void check_deadlock(struct test *t, unsigned count)
{
    enum { DANCERS_MAX = 4 };
    struct dancer dancers[DANCERS_MAX];
    pthread_barrier_t barrier;
    unsigned committed = 0, gave_up = 0;
    t->key += 16;
    pthread_barrier_init(&barrier, NULL, count);
    for (unsigned i = 0; i < count; ++i)
        dancers[i] = (struct dancer){.t = t, .barrier = &barrier, .place = i, .count = count};
    job_threads(count, dance, dancers, sizeof dancers[0]);
    pthread_barrier_destroy(&barrier);
    for (unsigned i = 0; i < count; ++i) {
        committed += dancers[i].result == BELAY_OK;
        gave_up += dancers[i].result == BELAY_ERR_CONFLICT &&
                   strstr(dancers[i].error, "deadlock over key") != NULL;
    }
    CHECK(committed == count - 1 && gave_up == 1, "of %u in a circle %u committed and %u gave up", count,
          committed, gave_up);
}

int main(int argc, char **argv)
{
    struct job job;
    struct test t = {.job = &job};
    job_begin(&argc, &argv, "promises", 1, &job);
    t.node = job_open(NULL);
    CHECK_OK(belay_function_register(t.node, "double", doubled, NULL));
    belay_cache_config config = {.name = "promises",
                                 .backups = 1,
                                 .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                                 .atomicity_mode = BELAY_TRANSACTIONAL,
                                 .partitions = 16};
    t.cache = job_cache(t.node, &config);
    t.plain = job_cache(t.node, &(belay_cache_config){.name = "plain"});
    if (job.rank == 0) {
        provoke_all(&t);
        t.concurrency = BELAY_OPTIMISTIC;
        t.isolation = BELAY_SERIALIZABLE;
        check_own_writes(&t);
        check_large(&t);
        check_plain_calls(&t);
        check_errors(&t);
        check_limits(&t);
        check_long_record(&t);
        for (unsigned count = 2; count <= 4; ++count)
            check_deadlock(&t, count);
        check_deadlock_beside_reader(&t, true);
        check_deadlock_beside_reader(&t, false);
    }
    job_barrier();
    job_verify(t.node, t.cache, "promises");
    job_close(t.node);
    return job_end(&job);
}
