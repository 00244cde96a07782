/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions when the arenas are full: each commits as a whole or gives NO_SPACE as a whole, and ends. When room has been made, they
 * go through again.
 */
#include "../support/job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARENA_SIZE = 8 << 20, KEYS = 400, TOUCHED = 4, LENGTH = 20 * 1000, ROUNDS = 60 };

struct tester {
    const struct job *job;
    belay_node *node;
    belay_cache *cache;
    struct random_source random;
    unsigned char *value;
    unsigned committed, refused, alone_refused;
};

static void fill(struct tester *t)
{
    int result = BELAY_OK;
    for (unsigned key = 0; key < KEYS; ++key) {
        result = belay_put(t->cache, &key, sizeof key, t->value, LENGTH, NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_NO_SPACE, "%s: %s", belay_strerror(result),
              belay_last_error());
    }
    CHECK(result == BELAY_ERR_NO_SPACE, "the arenas are not full");
}

/* All of them get the same byte. */
static void write_some(struct tester *t, unsigned first)
{
    belay_tx *tx;
    unsigned char byte = (unsigned char)(1 + random_below(&t->random, 255));
    int result = BELAY_OK;
    memset(t->value, byte, LENGTH);
    if (!CHECK_OK(belay_tx_begin(t->node, BELAY_OPTIMISTIC, BELAY_REPEATABLE_READ, 5000, &tx)))
        return;
    for (unsigned key = first; key < first + TOUCHED; ++key)
        CHECK_OK(belay_tx_put(tx, t->cache, &key, sizeof key, t->value, LENGTH));
    result = belay_tx_commit(tx);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NO_SPACE || result == BELAY_ERR_TIMEOUT, "%s: %s",
          belay_strerror(result), belay_last_error());
    t->committed += result == BELAY_OK;
    t->refused += result == BELAY_ERR_NO_SPACE;
    CHECK_OK(belay_tx_close(tx));
}

/* A transaction of one change has no record; it fails as the change does. */
static void write_one(struct tester *t)
{
    belay_tx *tx;
    unsigned key = KEYS + (unsigned)random_below(&t->random, KEYS);
    if (!CHECK_OK(belay_tx_begin(t->node, BELAY_PESSIMISTIC, BELAY_READ_COMMITTED, 5000, &tx)))
        return;
    CHECK_OK(belay_tx_put(tx, t->cache, &key, sizeof key, t->value, LENGTH));
    int result = belay_tx_commit(tx);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NO_SPACE, "%s: %s", belay_strerror(result),
          belay_last_error());
    CHECK_RESULT(belay_tx_state(tx), result == BELAY_OK ? BELAY_TX_COMMITTED : BELAY_TX_ROLLED_BACK);
    t->alone_refused += result == BELAY_ERR_NO_SPACE;
    CHECK_OK(belay_tx_close(tx));
}

/* By rank 0, every other group: as many as there are rounds to fill the room again. */
static void make_room(struct tester *t)
{
    for (unsigned key = 0; key < KEYS; ++key) {
        int result = key / TOUCHED % 2 ? belay_remove(t->cache, &key, sizeof key, NULL) : BELAY_OK;
        CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "%s: %s", belay_strerror(result),
              belay_last_error());
    }
}

/* What was written by transactions has been written as a whole. */
static void check_groups(struct tester *t)
{
    unsigned whole = 0;
    for (unsigned first = 0; first < KEYS; first += TOUCHED) {
        unsigned char bytes[TOUCHED] = {0};
        for (unsigned i = 0; i < TOUCHED; ++i) {
            unsigned key = first + i;
            size_t length;
            int result = belay_get(t->cache, &key, sizeof key, t->value, LENGTH, &length);
            CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "%s", belay_strerror(result));
            bytes[i] = result == BELAY_OK ? t->value[0] : 0;
        }
        CHECK(memcmp(bytes, bytes + 1, TOUCHED - 1) == 0, "keys %u ...: %u %u %u %u", first, bytes[0],
              bytes[1], bytes[2], bytes[3]);
        whole += bytes[0] != 0;
    }
    CHECK(whole > 0, "no transaction has left anything");
}

static int write_keys(struct tester *t, unsigned first, unsigned count)
{
    belay_tx *tx;
    if (!CHECK_OK(belay_tx_begin(t->node, BELAY_OPTIMISTIC, BELAY_READ_COMMITTED, 0, &tx)))
        return BELAY_OK;
    for (unsigned key = first; key < first + count; ++key)
        CHECK_OK(belay_tx_put(tx, t->cache, &key, sizeof key, t->value, LENGTH));
    int result = belay_tx_commit(tx);
    CHECK_OK(belay_tx_close(tx));
    return result;
}

/* There is room for the records, but not for what they say. What is refused leaves room as it was. */
static void write_more_than_half(struct tester *t)
{
    enum { LARGE = 50, LEFT = 65, SMALL = 10, TIMES = 3, FIRST = 10 * KEYS };
    unsigned there = 0;
    uint64_t entries;
    CHECK_OK(belay_clear(t->cache));
    while (belay_put(t->cache, &there, sizeof there, t->value, LENGTH, NULL) == BELAY_OK)
        ++there;
    CHECK_OK(belay_clear(t->cache));
    there -= LEFT;
    for (unsigned key = 0; key < there; ++key)
        CHECK_OK(belay_put(t->cache, &key, sizeof key, t->value, LENGTH, NULL));
    for (int i = 0; i < TIMES; ++i)
        CHECK_RESULT(write_keys(t, FIRST, LARGE), BELAY_ERR_NO_SPACE);
    CHECK_OK(belay_size(t->cache, &entries));
    CHECK(entries == there, "%llu entries, not %u", (unsigned long long)entries, there);
    CHECK_OK(write_keys(t, FIRST, SMALL));
}

/* What is refused begins sweeps, which change copies behind all calls. */
static void await_sweeps(struct tester *t)
{
    belay_verify_report report;
    uint64_t until = job_clock() + 20 * 1000000000ull;
    while (belay_verify(t->cache, &report) == BELAY_ERR_DIFFERS && job_clock() < until)
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
}

static void write_many(struct tester *t, const char *when)
{
    t->committed = t->refused = 0;
    job_barrier();
    for (int i = 0; i < ROUNDS; ++i)
        write_some(t, (unsigned)random_below(&t->random, KEYS / TOUCHED) * TOUCHED);
    report_note("%s: %u committed, %u refused", when, t->committed, t->refused);
    job_barrier();
}

int main(int argc, char **argv)
{
    struct tester t = {0};
    struct job job;
    job_begin(&argc, &argv, "full", 1, &job);
    t.job = &job;
    t.node = job_open(&(belay_config){.arena_size = ARENA_SIZE});
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    t.value = calloc(1, LENGTH);
    t.cache = job_cache(t.node, &(belay_cache_config){.name = "full",
                                                      .backups = 1,
                                                      .write_synchronization_mode = BELAY_FULL_SYNC,
                                                      .atomicity_mode = BELAY_TRANSACTIONAL,
                                                      .partitions = 8});
    if (job.rank == 0)
        fill(&t);
    write_many(&t, "full");
    for (int i = 0; i < TOUCHED; ++i)
        write_one(&t);
    CHECK(t.refused > 0 && t.alone_refused > 0, "nothing was refused");
    job_barrier();
    if (job.rank == 0)
        make_room(&t);
    write_many(&t, "with room");
    CHECK(t.committed > 0, "there is room, and nothing commits");
    check_groups(&t);
    job_barrier();
    if (job.rank == 0) {
        write_more_than_half(&t);
        await_sweeps(&t);
    }
    job_barrier();
    job_verify(t.node, t.cache, "in the end");
    free(t.value);
    job_close(t.node);
    return job_end(&job);
}
