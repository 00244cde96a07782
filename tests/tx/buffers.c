/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffer of a read in a transaction stays as it is unless the key is there. Rank 0 puts and removes long values as fast as it
 * can; the others read them one-sided, so that many are removed while they are being copied, and then look at their buffers.
 */
#include "../support/job.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS = 4, LENGTH = 100 * 1000, UNTOUCHED = 0xa5, WRITTEN = 0x11 };

struct tester {
    const struct job *job;
    belay_node *node;
    belay_cache *cache;
    struct random_source random;
    unsigned char *buffer;
    uint64_t found, absent;
};

static void write_one(struct tester *t, unsigned key)
{
    CHECK_OK(belay_put(t->cache, &key, sizeof key, t->buffer, LENGTH, NULL));
    CHECK_OK(belay_remove(t->cache, &key, sizeof key, NULL));
}

static bool is_filled(const unsigned char *buffer, unsigned char byte)
{
    return buffer[0] == byte && memcmp(buffer, buffer + 1, LENGTH - 1) == 0;
}

static void read_one(struct tester *t, unsigned key)
{
    belay_isolation isolation = random_percent(&t->random, 50) ? BELAY_READ_COMMITTED : BELAY_SERIALIZABLE;
    belay_tx *tx;
    size_t length = 0;
    if (!CHECK_OK(belay_tx_begin(t->node, BELAY_OPTIMISTIC, isolation, 0, &tx)))
        return;
    memset(t->buffer, UNTOUCHED, LENGTH);
    int result = belay_tx_get(tx, t->cache, &key, sizeof key, t->buffer, LENGTH, &length);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "%s", belay_last_error());
    CHECK(is_filled(t->buffer, result == BELAY_OK ? WRITTEN : UNTOUCHED), "with %s there is %02x ... %02x",
          belay_strerror(result), t->buffer[0], t->buffer[LENGTH - 1]);
    t->found += result == BELAY_OK;
    t->absent += result == BELAY_ERR_NOT_FOUND;
    CHECK_OK(belay_tx_close(tx));
}

static void tell(const struct tester *t)
{
    belay_cache_stats stats = {0};
    CHECK_OK(belay_stats(t->cache, &stats));
    uint64_t found = job_sum(t->found), absent = job_sum(t->absent), retries = job_sum(stats.read_retries);
    if (t->job->rank == 0)
        report_note("%llu found, %llu absent, %llu torn", (unsigned long long)found,
                    (unsigned long long)absent, (unsigned long long)retries);
    CHECK(absent > 0 && retries > 0, "no read was torn: nothing was tested");
}

int main(int argc, char **argv)
{
    struct tester t = {0};
    struct job job;
    job_begin(&argc, &argv, "buffers", 1, &job);
    if (job.ranks < 2)
        return job_skip(&job, "needs 2 ranks at least");
    t.job = &job;
    t.node = job_open(NULL);
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    t.buffer = malloc(LENGTH);
    if (!t.buffer)
        job_abort("no memory");
    memset(t.buffer, WRITTEN, LENGTH);
    belay_cache_config config = {.name = "buffers",
                                 .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                                 .atomicity_mode = BELAY_TRANSACTIONAL,
                                 .partitions = 8};
    t.cache = job_cache(t.node, &config);
    job_barrier();
    uint64_t ends = job_clock() + (uint64_t)(job.seconds * 1e9);
    while (job_clock() < ends) {
        unsigned key = (unsigned)random_below(&t.random, KEYS);
        if (job.rank == 0)
            write_one(&t, key);
        else
            read_one(&t, key);
    }
    tell(&t);
    free(t.buffer);
    job_close(t.node);
    return job_end(&job);
}
