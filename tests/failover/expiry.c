/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries with a time to live: there as long as it lasts, and gone at last, in every mode, by reads, by operations on what has ended, in
 * transactions, and without anybody reading; also after the last rank has died. All ranks are on one host, so they have one
 * clock, and "too early" can be told for certain.
 */
#include "../support/key.h"
#include "../support/value.h"
#include "board.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS = 8, KEYS = 60, LIFE_MS = 300, BRIEF_MS = 1, VALUE_LONGEST = 150000 };

enum { FULL_SYNC, PRIMARY_SYNC, FULL_ASYNC, TRANSACTIONAL, CREATED, PLAIN, CACHES };

static const belay_cache_config configs[CACHES] = {
    [FULL_SYNC] = {.name = "full_sync",
                   .write_synchronization_mode = BELAY_FULL_SYNC,
                   .time_to_live_ms = LIFE_MS},
    [PRIMARY_SYNC] = {.name = "primary_sync",
                      .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                      .time_to_live_ms = LIFE_MS},
    [FULL_ASYNC] = {.name = "full_async", .time_to_live_ms = LIFE_MS},
    [TRANSACTIONAL] = {.name = "transactional",
                       .atomicity_mode = BELAY_TRANSACTIONAL,
                       .write_synchronization_mode = BELAY_FULL_SYNC,
                       .time_to_live_ms = LIFE_MS},
    [CREATED] = {.name = "created",
                 .write_synchronization_mode = BELAY_FULL_SYNC,
                 .expiry_policy = BELAY_EXPIRY_CREATED,
                 .time_to_live_ms = LIFE_MS},
    [PLAIN] = {.name = "plain", .write_synchronization_mode = BELAY_FULL_SYNC},
};

static const belay_write_options brief = {.time_to_live_ms = BRIEF_MS},
                                 lasting = {.time_to_live_ms = BELAY_NEVER_EXPIRES};

struct scene {
    struct job job;
    struct board *board;
    belay_node *node;
    belay_cache *caches[CACHES];
    unsigned char *buffer;
    uint64_t next_key;
};

static uint64_t time_of_day(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t end_after(uint64_t began, uint64_t life_ms)
{
    return began + life_ms * 1000000;
}

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void sleep_until(uint64_t end)
{
    while (time_of_day() <= end)
        sleep_ms(1);
}

/* A key that no rank has used before. */
static void new_key(struct scene *s, struct key *key)
{
    key_make((uint64_t)s->job.rank * 1000000 + s->next_key++, key);
}

static int get(struct scene *s, unsigned c, const struct key *key)
{
    size_t length;
    return belay_get(s->caches[c], key->bytes, key->length, s->buffer, VALUE_LONGEST, &length);
}

/* @return when it was begun: the entry ends so long after this, or later. */
static uint64_t put(struct scene *s, unsigned c, const struct key *key, size_t length,
                    const belay_write_options *options)
{
    uint64_t began = time_of_day();
    value_make(1, (struct value_origin){.sequence = 1}, s->buffer, length);
    CHECK_OK(belay_put(s->caches[c], key->bytes, key->length, s->buffer, length, options));
    return began;
}

static void expect_while_it_lives(struct scene *s, unsigned c, const struct key *key, uint64_t end)
{
    int result = get(s, c, key);
    if (time_of_day() < end)
        CHECK(result == BELAY_OK, "cache %s: %s before its end", configs[c].name, belay_strerror(result));
}

static void await_end(struct scene *s, unsigned c, const struct key *key, uint64_t end)
{
    int result;
    while ((result = get(s, c, key)) == BELAY_OK)
        sleep_ms(3);
    CHECK_RESULT(result, BELAY_ERR_NOT_FOUND);
    CHECK(time_of_day() >= end, "cache %s: gone before its end", configs[c].name);
    CHECK_RESULT(get(s, c, key), BELAY_ERR_NOT_FOUND);
}

/* ---- Reads, values of all lengths ---- */

static void test_reads(struct scene *s, unsigned c)
{
    static const size_t lengths[] = {0, 8, 64, 3000, VALUE_LONGEST};
    enum { LENGTHS = sizeof lengths / sizeof *lengths, SOME = 2 * LENGTHS };
    struct key keys[SOME], stays;
    uint64_t ends[SOME];
    at("reads of %s", configs[c].name);
    new_key(s, &stays);
    put(s, c, &stays, VALUE_LONGEST, &lasting);
    for (unsigned i = 0; i < SOME; ++i) {
        new_key(s, &keys[i]);
        ends[i] = end_after(put(s, c, &keys[i], lengths[i % LENGTHS], NULL), LIFE_MS);
    }
    for (unsigned i = 0; i < SOME; ++i)
        expect_while_it_lives(s, c, &keys[i], ends[i]);
    if (c != CREATED) /* each update begins anew */
        for (unsigned i = 0; i < SOME; i += 2)
            ends[i] = end_after(put(s, c, &keys[i], lengths[i % LENGTHS], NULL), LIFE_MS);
    for (unsigned i = 0; i < SOME; ++i)
        await_end(s, c, &keys[i], ends[i]);
    CHECK_OK(get(s, c, &stays));
    CHECK_OK(belay_remove(s->caches[c], stays.bytes, stays.length, NULL));
}

static void test_policy_created(struct scene *s)
{
    struct key key;
    int result;
    at("an entry that keeps its end");
    new_key(s, &key);
    uint64_t end = end_after(put(s, CREATED, &key, 8, NULL), LIFE_MS);
    while ((result = belay_replace(s->caches[CREATED], key.bytes, key.length, "", 1, NULL)) == BELAY_OK)
        sleep_ms(3);
    CHECK_RESULT(result, BELAY_ERR_NOT_FOUND);
    CHECK(time_of_day() >= end, "replaced, and gone before its end");
    new_key(s, &key);
    put(s, CREATED, &key, 8, &brief);
    put(s, CREATED, &key, 8, &lasting); /* unless the call says otherwise */
    sleep_ms(3 * BRIEF_MS);
    CHECK_OK(get(s, CREATED, &key));
    CHECK_OK(belay_remove(s->caches[CREATED], key.bytes, key.length, NULL));
}

/* ---- Operations on what has ended ---- */

static void put_ended(struct scene *s, unsigned c, struct key *key, size_t length)
{
    new_key(s, key);
    put(s, c, key, length, &brief);
    sleep_until(end_after(time_of_day(), BRIEF_MS));
}

static int count_visit(belay_bytes key, belay_bytes value, void *context)
{
    (void)value;
    const struct key *ended = context;
    return key.length == ended->length && memcmp(key.data, ended->bytes, key.length) == 0;
}

static void test_reading_calls(struct scene *s, unsigned c)
{
    struct key key;
    belay_cache *cache = s->caches[c];
    size_t length;
    put_ended(s, c, &key, 8);
    CHECK_RESULT(belay_contains(cache, key.bytes, key.length), BELAY_ERR_NOT_FOUND);
    put_ended(s, c, &key, 8);
    belay_get_item item = {.key = {key.bytes, key.length}, .buffer = s->buffer, .capacity = VALUE_LONGEST};
    CHECK_OK(belay_get_all(cache, &item, 1));
    CHECK_RESULT(item.status, BELAY_ERR_NOT_FOUND);
    put_ended(s, c, &key, 8);
    belay_request *request;
    CHECK_OK(belay_get_nb(cache, key.bytes, key.length, s->buffer, VALUE_LONGEST, &length, &request));
    CHECK_RESULT(belay_wait(&request), BELAY_ERR_NOT_FOUND);
    put_ended(s, c, &key, 8);
    CHECK(belay_iterate(cache, 0, count_visit, &key) == 0, "an entry that has ended was visited");
}

static void test_writing_calls(struct scene *s, unsigned c)
{
    struct key key;
    belay_cache *cache = s->caches[c];
    uint64_t version;
    int64_t old = -1;
    size_t length = 0;
    put_ended(s, c, &key, 8);
    CHECK_OK(belay_put_if_absent(cache, key.bytes, key.length, "new", 3, &lasting));
    CHECK_OK(get(s, c, &key));
    CHECK_OK(belay_remove(cache, key.bytes, key.length, NULL));
    put_ended(s, c, &key, 8);
    CHECK_RESULT(belay_replace(cache, key.bytes, key.length, "new", 3, NULL), BELAY_ERR_NOT_FOUND);
    put_ended(s, c, &key, 8);
    CHECK_RESULT(belay_replace(cache, key.bytes, key.length, s->buffer, VALUE_LONGEST, NULL),
                 BELAY_ERR_NOT_FOUND);
    put_ended(s, c, &key, 8);
    CHECK_RESULT(belay_remove(cache, key.bytes, key.length, &(belay_write_options){.sync = BELAY_FULL_SYNC}),
                 BELAY_ERR_NOT_FOUND);
    put_ended(s, c, &key, 8);
    CHECK_OK(belay_fetch_add(cache, key.bytes, key.length, 5, &lasting, &old));
    CHECK(old == 0, "added to %lld, which has ended", (long long)old);
    CHECK_OK(belay_remove(cache, key.bytes, key.length, NULL));
    put_ended(s, c, &key, 8);
    CHECK_OK(belay_get_and_put(cache, key.bytes, key.length, "new", 3, &lasting, s->buffer, VALUE_LONGEST,
                               &length));
    CHECK(length == BELAY_NO_VALUE, "got %zu bytes of what has ended", length);
    CHECK_OK(belay_remove(cache, key.bytes, key.length, NULL));
    put_ended(s, c, &key, 8);
    CHECK_RESULT(belay_compare_and_set(cache, key.bytes, key.length, 1, "new", 3, NULL, NULL),
                 BELAY_ERR_CONFLICT);
    CHECK_OK(belay_compare_and_set(cache, key.bytes, key.length, 0, "new", 3, &brief, &version));
    CHECK_RESULT(belay_put(cache, key.bytes, key.length, "new", 3,
                           &(belay_write_options){.time_to_live_ms = BELAY_TIME_TO_LIVE_MAX_MS + 1}),
                 BELAY_ERR_INVALID);
}

/* ---- Transactions ---- */

static int tx_get(struct scene *s, belay_tx *tx, const struct key *key)
{
    size_t length;
    return belay_tx_get(tx, s->caches[TRANSACTIONAL], key->bytes, key->length, s->buffer, VALUE_LONGEST,
                        &length);
}

static void test_transactions(struct scene *s)
{
    struct key key, other;
    belay_tx *tx;
    at("transactions");
    new_key(s, &key);
    new_key(s, &other);
    uint64_t began = time_of_day();
    CHECK_OK(belay_tx_begin(s->node, BELAY_OPTIMISTIC, BELAY_SERIALIZABLE, 0, &tx));
    CHECK_OK(belay_tx_put(tx, s->caches[TRANSACTIONAL], key.bytes, key.length, "a", 1));
    CHECK_OK(belay_tx_put(tx, s->caches[TRANSACTIONAL], other.bytes, other.length, "b", 1));
    CHECK_OK(belay_tx_commit(tx));
    CHECK_OK(belay_tx_close(tx));
    expect_while_it_lives(s, TRANSACTIONAL, &key, end_after(began, LIFE_MS));
    await_end(s, TRANSACTIONAL, &key, end_after(began, LIFE_MS));
    await_end(s, TRANSACTIONAL, &other, end_after(began, LIFE_MS));

    /* What has ended is not there for who locks it. */
    put_ended(s, TRANSACTIONAL, &key, 8);
    CHECK_OK(belay_tx_begin(s->node, BELAY_PESSIMISTIC, BELAY_REPEATABLE_READ, 0, &tx));
    CHECK_RESULT(tx_get(s, tx, &key), BELAY_ERR_NOT_FOUND);
    CHECK_OK(belay_tx_close(tx));

    /* What is locked does not end before it is unlocked, for anybody. */
    new_key(s, &key);
    uint64_t end = end_after(put(s, TRANSACTIONAL, &key, 8, NULL), LIFE_MS);
    CHECK_OK(belay_tx_begin(s->node, BELAY_PESSIMISTIC, BELAY_REPEATABLE_READ, 0, &tx));
    int result = tx_get(s, tx, &key);
    bool locked = time_of_day() < end; /* else it may have ended before */
    sleep_until(end_after(time_of_day(), LIFE_MS));
    if (locked) {
        CHECK_OK(result);
        CHECK_OK(get(s, TRANSACTIONAL, &key));
    }
    CHECK_OK(belay_tx_close(tx));
    await_end(s, TRANSACTIONAL, &key, end);
}

/* ---- What nobody reads ---- */

static uint64_t count_expired(const struct scene *s, unsigned c)
{
    belay_cache_stats stats = {0};
    CHECK_OK(belay_stats(s->caches[c], &stats));
    return job_sum(stats.expired);
}

static void await_size(const struct scene *s, unsigned c, uint64_t wanted)
{
    uint64_t entries = 0;
    do {
        sleep_ms(3);
        CHECK_OK(belay_size(s->caches[c], &entries));
    } while (entries > wanted);
    CHECK(entries == wanted, "cache %s: %llu entries of %llu stayed", configs[c].name,
          (unsigned long long)entries, (unsigned long long)wanted);
}

static void test_unread(struct scene *s)
{
    uint64_t before[CACHES];
    at("entries that nobody reads");
    job_barrier();
    for (unsigned c = 0; c < CACHES; ++c) {
        await_size(s, c, 0);
        job_barrier();
        before[c] = count_expired(s, c);
    }
    uint64_t began = job_min(time_of_day());
    for (unsigned i = 0; i < KEYS; ++i)
        for (unsigned c = 0; c < CACHES; ++c) {
            struct key key;
            belay_write_options options = {.time_to_live_ms = c == PLAIN ? LIFE_MS : 0};
            new_key(s, &key);
            put(s, c, &key, i % 7 ? 64 : 2000, &options);
        }
    for (unsigned c = 0; c < CACHES; ++c)
        job_verify(s->node, s->caches[c], "while entries end");
    for (unsigned c = 0; c < CACHES; ++c) {
        await_size(s, c, 0);
        CHECK(time_of_day() >= end_after(began, LIFE_MS), "cache %s: all gone too early", configs[c].name);
        job_barrier();
        uint64_t expired = count_expired(s, c) - before[c];
        CHECK(expired == (uint64_t)s->job.ranks * KEYS, "cache %s: %llu entries expired", configs[c].name,
              (unsigned long long)expired);
    }
}

/* ---- The last rank dies ---- */

static void write_for_survivors(struct scene *s)
{
    for (unsigned c = 0; c < CACHES; ++c)
        for (unsigned i = 0; i < KEYS; ++i) {
            struct key key;
            belay_write_options options = {.sync = BELAY_FULL_SYNC,
                                           .time_to_live_ms = i % 2 ? 2 * LIFE_MS : BELAY_NEVER_EXPIRES};
            key_make(i, &key);
            CHECK_OK(belay_put(s->caches[c], key.bytes, key.length, &i, sizeof i, &options));
        }
}

static void check_survivors(struct scene *s, uint64_t end)
{
    at("after the death of a rank");
    for (unsigned c = 0; c < CACHES; ++c)
        for (unsigned i = 0; i < KEYS; ++i) {
            struct key key;
            key_make(i, &key);
            int result = get(s, c, &key);
            if (i % 2 == 0 || time_of_day() < end)
                CHECK(result == BELAY_OK, "cache %s, key %u: %s", configs[c].name, i, belay_strerror(result));
        }
    for (unsigned c = 0; c < CACHES; ++c)
        await_size(s, c, KEYS / 2);
    CHECK(time_of_day() >= end, "all gone too early");
    for (unsigned c = 0; c < CACHES; ++c)
        CHECK_OK(belay_await_copies(s->caches[c], 20000));
    CHECK_OK(belay_flush(s->node));
    board_barrier(s->board, &s->job);
    for (unsigned c = 0; c < CACHES && s->job.rank == 0; ++c) {
        belay_verify_report report;
        CHECK_OK(belay_verify(s->caches[c], &report));
    }
    board_barrier(s->board, &s->job);
}

int main(int argc, char **argv)
{
    static struct scene s;
    job_begin(&argc, &argv, "expiry", 1, &s.job);
    s.board = board_open(&s.job);
    s.node = job_open(&(belay_config){.arena_size = 96ull << 20});
    s.buffer = malloc(VALUE_LONGEST);
    s.next_key = 1000;
    for (unsigned c = 0; c < CACHES; ++c) {
        belay_cache_config config = configs[c];
        config.partitions = PARTITIONS;
        config.backups = 1;
        s.caches[c] = job_cache(s.node, &config);
    }
    for (unsigned c = 0; c < CACHES; ++c)
        test_reads(&s, c == PLAIN ? FULL_SYNC : c);
    test_policy_created(&s);
    for (unsigned c = 0; c < CACHES; ++c) {
        at("operations on what has ended in %s", configs[c].name);
        if (c == FULL_ASYNC)
            continue; /* whose puts may be under way */
        test_reading_calls(&s, c);
        test_writing_calls(&s, c);
    }
    test_transactions(&s);
    test_unread(&s);

    uint64_t began = job_min(time_of_day());
    if (s.job.rank == 0)
        write_for_survivors(&s);
    job_barrier(); /* the last use of MPI */
    if (s.job.rank == s.job.ranks - 1)
        kill(getpid(), SIGKILL);
    check_survivors(&s, end_after(began, 2 * LIFE_MS));
    free(s.buffer);
    CHECK_OK(belay_close(s.node));
    board_verdict(&s.job);
}
