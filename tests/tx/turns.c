/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everybody's turn comes: all ranks count in the same few keys, in pessimistic transactions that read before they write, so that they
 * get into deadlocks all the time; who gives up begins anew at once. Nobody may wait for ever, and every count must be there.
 */
#include "../support/job.h"

enum { KEYS = 2, ROUNDS = 60, PATIENCE_MS = 15000 };

struct tester {
    const struct job *job;
    belay_node *node;
    belay_cache *cache;
    struct random_source random;
    uint64_t deadlocks;
};

/* Of all keys, each one's number goes up, in any order. */
static int count_once(struct tester *t, belay_tx *tx)
{
    unsigned first = (unsigned)random_below(&t->random, KEYS);
    int64_t numbers[KEYS] = {0};
    int result = BELAY_OK;
    for (unsigned i = 0; i < KEYS && result == BELAY_OK; ++i) {
        unsigned key = (first + i) % KEYS;
        size_t length;
        result = belay_tx_get(tx, t->cache, &key, sizeof key, &numbers[key], sizeof numbers[key], &length);
        result = result == BELAY_ERR_NOT_FOUND ? BELAY_OK : result;
    }
    for (unsigned i = 0; i < KEYS && result == BELAY_OK; ++i) {
        unsigned key = (first + i) % KEYS;
        int64_t number = numbers[key] + 1;
        result = belay_tx_put(tx, t->cache, &key, sizeof key, &number, sizeof number);
    }
    return result;
}

static void count(struct tester *t)
{
    int result = BELAY_ERR_CONFLICT;
    while (result == BELAY_ERR_CONFLICT) {
        belay_tx *tx;
        if (!CHECK_OK(belay_tx_begin(t->node, BELAY_PESSIMISTIC, BELAY_SERIALIZABLE, PATIENCE_MS, &tx)))
            return;
        result = count_once(t, tx);
        int committed = belay_tx_commit(tx);
        CHECK(result == BELAY_OK || committed == result, "a failed transaction commits with %s",
              belay_strerror(committed));
        CHECK(committed == BELAY_OK || committed == BELAY_ERR_CONFLICT, "%s: %s", belay_strerror(committed),
              belay_last_error());
        result = committed;
        t->deadlocks += result == BELAY_ERR_CONFLICT;
        CHECK_OK(belay_tx_close(tx));
    }
}

int main(int argc, char **argv)
{
    struct tester t = {0};
    struct job job;
    job_begin(&argc, &argv, "turns", 1, &job);
    t.job = &job;
    t.node = job_open(NULL);
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    t.cache = job_cache(t.node, &(belay_cache_config){.name = "turns",
                                                      .backups = 1,
                                                      .write_synchronization_mode = BELAY_FULL_SYNC,
                                                      .atomicity_mode = BELAY_TRANSACTIONAL,
                                                      .partitions = 4});
    job_barrier();
    for (int i = 0; i < ROUNDS && report_failures() == 0; ++i)
        count(&t);
    job_barrier();
    uint64_t deadlocks = job_sum(t.deadlocks);
    if (job.rank == 0)
        report_note("%d times each, and %llu deadlocks", ROUNDS, (unsigned long long)deadlocks);
    for (unsigned key = 0; key < KEYS; ++key) {
        int64_t number = 0;
        size_t length;
        CHECK_OK(belay_get(t.cache, &key, sizeof key, &number, sizeof number, &length));
        CHECK(number == (int64_t)ROUNDS * job.ranks, "key %u is at %lld", key, (long long)number);
    }
    job_barrier();
    job_close(t.node);
    return job_end(&job);
}
