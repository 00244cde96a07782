/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recorded histories: all ranks read and write a few keys of two caches, FULL_SYNC and PRIMARY_SYNC, in transactions of one
 * kind at a time, and what each has seen and done is searched for the anomalies that this kind forbids (support/serializability.h).
 *
 * Every value names the transaction that wrote it. What a write replaces is known: to a pessimistic transaction, since it has locked
 * the key; to an optimistic one that has read it, since the commit checks that. Only optimistic READ_COMMITTED writes blindly.
 */
#include "../support/job.h"
#include "../support/serializability.h"

#include <mpi.h>
#include <stdlib.h>

enum { KEYS = 8, CACHES = 2, TOUCHED_MAX = 4, EVENTS_MAX = 1 << 18, SHORT_MS = 20, LONG_MS = 2000 };

struct kind {
    const char *name;
    belay_concurrency concurrency;
    belay_isolation isolation;
};

static const struct kind kinds[] = {{"OPTIMISTIC READ_COMMITTED", BELAY_OPTIMISTIC, BELAY_READ_COMMITTED},
                                    {"OPTIMISTIC REPEATABLE_READ", BELAY_OPTIMISTIC, BELAY_REPEATABLE_READ},
                                    {"OPTIMISTIC SERIALIZABLE", BELAY_OPTIMISTIC, BELAY_SERIALIZABLE},
                                    {"PESSIMISTIC READ_COMMITTED", BELAY_PESSIMISTIC, BELAY_READ_COMMITTED},
                                    {"PESSIMISTIC REPEATABLE_READ", BELAY_PESSIMISTIC, BELAY_REPEATABLE_READ},
                                    {"PESSIMISTIC SERIALIZABLE", BELAY_PESSIMISTIC, BELAY_SERIALIZABLE}};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct value {
    uint64_t tx;
    uint32_t number, reserved;
};

struct tester {
    const struct job *job;
    belay_node *node;
    belay_cache *caches[CACHES];
    struct random_source random;
    const struct kind *kind;
    unsigned first_key; /* each kind has its own */
    belay_tx *tx;
    uint64_t name, names;
    struct tx_event *events;
    size_t count;
    struct tx_event writes[TOUCHED_MAX]; /* recorded when they are committed */
    unsigned write_count;
    uint64_t judged; /* transactions, at rank 0 */
};

/* ---- One transaction ---- */

static void record(struct tester *t, struct tx_event event)
{
    event.tx = t->name;
    event.session = (uint32_t)t->job->rank;
    if (CHECK(t->count < EVENTS_MAX, "the history is full"))
        t->events[t->count++] = event;
}

static belay_cache *cache_of(const struct tester *t, unsigned key)
{
    return t->caches[key % CACHES];
}

/* Who wrote the key's value? *result: BELAY_OK also if nobody did. */
static struct value look(struct tester *t, unsigned key, bool plainly, int *result)
{
    struct value value = {0}, none = {0};
    unsigned name = t->first_key + key;
    size_t length;
    *result = plainly
                  ? belay_get(cache_of(t, key), &name, sizeof name, &value, sizeof value, &length)
                  : belay_tx_get(t->tx, cache_of(t, key), &name, sizeof name, &value, sizeof value, &length);
    if (*result != BELAY_ERR_NOT_FOUND)
        return value;
    *result = BELAY_OK;
    return none;
}

static int read_key(struct tester *t, unsigned key, uint64_t *writer)
{
    int result;
    struct value value = look(t, key, false, &result);
    if (result == BELAY_OK)
        record(t, (struct tx_event){.kind = TX_READ, .key = key, .other = value.tx, .number = value.number});
    *writer = value.tx;
    return result;
}

static int put(struct tester *t, unsigned key, uint32_t number)
{
    struct value value = {.tx = t->name, .number = number};
    unsigned name = t->first_key + key;
    return belay_tx_put(t->tx, cache_of(t, key), &name, sizeof name, &value, sizeof value);
}

/* Once or twice; only the last value counts. */
static int write_key(struct tester *t, unsigned key, bool was_read, uint64_t writer)
{
    bool locks = t->kind->concurrency == BELAY_PESSIMISTIC;
    bool checks = t->kind->isolation != BELAY_READ_COMMITTED;
    uint32_t number = 1;
    int result = BELAY_OK;
    if (!locks && checks && !was_read)
        result = read_key(t, key, &writer);
    if (result == BELAY_OK)
        result = put(t, key, number);
    if (result == BELAY_OK && locks)
        writer = look(t, key, true, &result).tx;
    if (result == BELAY_OK && random_percent(&t->random, 30))
        result = put(t, key, ++number);
    t->writes[t->write_count++] = (struct tx_event){
        .kind = TX_WRITE, .key = key, .other = locks || checks ? writer : TX_UNKNOWN, .number = number};
    return result;
}

static int touch(struct tester *t, unsigned key, bool only_reads)
{
    bool writes = !only_reads && random_percent(&t->random, 60);
    bool reads = !writes || random_percent(&t->random, 60);
    uint64_t writer = 0;
    int result = reads ? read_key(t, key, &writer) : BELAY_OK;
    return result == BELAY_OK && writes ? write_key(t, key, reads, writer) : result;
}

static int act(struct tester *t)
{
    unsigned touched = 0, count = (unsigned)random_between(&t->random, 2, TOUCHED_MAX);
    bool only_reads = random_percent(&t->random, 25);
    int result = BELAY_OK;
    while (count > 0 && result == BELAY_OK) {
        unsigned key = (unsigned)random_below(&t->random, KEYS);
        if (touched & 1u << key)
            continue;
        touched |= 1u << key;
        result = touch(t, key, only_reads);
        --count;
    }
    return result;
}

static void execute(struct tester *t)
{
    t->name = (uint64_t)(t->job->rank + 1) << 32 | ++t->names;
    t->write_count = 0;
    unsigned timeout = random_percent(&t->random, 20) ? SHORT_MS : LONG_MS;
    if (!CHECK_OK(belay_tx_begin(t->node, t->kind->concurrency, t->kind->isolation, timeout, &t->tx)))
        return;
    int result = act(t);
    bool gives_up = random_percent(&t->random, 5);
    int ended = gives_up ? belay_tx_rollback(t->tx) : belay_tx_commit(t->tx);
    CHECK(result == BELAY_OK || gives_up || ended == result, "a failed transaction commits with %s",
          belay_strerror(ended));
    CHECK(ended == BELAY_OK || ended == BELAY_ERR_CONFLICT || ended == BELAY_ERR_TIMEOUT, "%s: %s",
          belay_strerror(ended), belay_last_error());
    CHECK_OK(belay_tx_close(t->tx));
    bool committed = ended == BELAY_OK && !gives_up;
    for (unsigned i = 0; i < t->write_count && committed; ++i)
        record(t, t->writes[i]);
    record(t, (struct tx_event){.kind = TX_END, .other = committed});
}

/* ---- All of them ---- */

/* The histories of all ranks, at rank 0. */
static struct tx_event *gather(const struct tester *t, size_t *count)
{
    int ranks = t->job->ranks, bytes = (int)(t->count * sizeof *t->events), *lengths, *places, total = 0;
    struct tx_event *all = NULL;
    lengths = calloc((size_t)ranks, sizeof *lengths);
    places = calloc((size_t)ranks, sizeof *places);
    if (!lengths || !places)
        job_abort("no memory");
    MPI_Gather(&bytes, 1, MPI_INT, lengths, 1, MPI_INT, 0, MPI_COMM_WORLD);
    for (int i = 0; i < ranks && t->job->rank == 0; ++i) {
        places[i] = total;
        total += lengths[i];
    }
    if (t->job->rank == 0 && !(all = malloc((size_t)total + 1)))
        job_abort("no memory");
    MPI_Gatherv(t->events, bytes, MPI_BYTE, all, lengths, places, MPI_BYTE, 0, MPI_COMM_WORLD);
    free(lengths);
    free(places);
    *count = (size_t)total / sizeof *all;
    return all;
}

static void judge(struct tester *t, const struct tx_event *events, size_t count)
{
    struct serializability_verdict v;
    const struct kind *kind = t->kind;
    bool optimistic = kind->concurrency == BELAY_OPTIMISTIC;
    bool serializable = optimistic ? kind->isolation == BELAY_SERIALIZABLE
                                   : kind->isolation != BELAY_READ_COMMITTED;
    if (!CHECK(serializability_check(events, count, &v), "no memory"))
        return;
    report_note("%s: %u transactions; %u in cycles of any kind, %u updates lost", kind->name, v.transactions,
                v.any, v.lost);
    t->judged += v.transactions;
    CHECK(v.aborted == 0, "%s: G1a: %u reads of what was rolled back", kind->name, v.aborted);
    CHECK(v.intermediate == 0, "%s: G1b: %u reads of what was overwritten before the commit", kind->name,
          v.intermediate);
    CHECK(v.dirty == 0, "%s: G0: %u transactions, %s", kind->name, v.dirty, v.cycle);
    CHECK(v.circular == 0, "%s: G1c: %u transactions, %s", kind->name, v.circular, v.cycle);
    CHECK(v.lost == 0, "%s: P4: %u updates lost", kind->name, v.lost);
    CHECK(!serializable || v.any == 0, "%s: G2: %u transactions, %s", kind->name, v.any, v.cycle);
}

static void test_kind(struct tester *t, double seconds)
{
    size_t count;
    t->count = 0;
    t->first_key = (unsigned)(t->kind - kinds) * KEYS;
    job_barrier();
    uint64_t ends = job_clock() + (uint64_t)(seconds * 1e9);
    while (job_clock() < ends && t->count + 4 * TOUCHED_MAX < EVENTS_MAX)
        execute(t);
    job_barrier();
    struct tx_event *all = gather(t, &count);
    if (all)
        judge(t, all, count);
    free(all);
}

int main(int argc, char **argv)
{
    static const belay_sync modes[CACHES] = {BELAY_FULL_SYNC, BELAY_PRIMARY_SYNC};
    static const char *const names[CACHES] = {"full_sync", "primary_sync"};
    struct tester t = {0};
    struct job job;
    job_begin(&argc, &argv, "histories", 3, &job);
    t.job = &job;
    t.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    t.events = malloc(EVENTS_MAX * sizeof *t.events);
    if (!t.events)
        job_abort("no memory");
    t.node = job_open(NULL);
    for (int i = 0; i < CACHES; ++i)
        t.caches[i] = job_cache(t.node, &(belay_cache_config){.name = names[i],
                                                              .backups = 1,
                                                              .write_synchronization_mode = modes[i],
                                                              .atomicity_mode = BELAY_TRANSACTIONAL,
                                                              .partitions = 8});
    for (int i = 0; i < KINDS; ++i) {
        t.kind = &kinds[i];
        test_kind(&t, job.seconds / KINDS);
    }
    CHECK(job.rank != 0 || t.judged > 0, "nothing was tested");
    for (int i = 0; i < CACHES; ++i)
        job_verify(t.node, t.caches[i], names[i]);
    job_close(t.node);
    free(t.events);
    return job_end(&job);
}
