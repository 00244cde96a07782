/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One rank on each of three or more hosts, and the last host is lost in the middle of the work.
 *
 *   outage power  it loses power: the others see a pause and no error; afterwards histories are linearizable, what was
 *                 acknowledged is there and was applied once, and all copies are equal and complete
 *   outage cut    its link is cut: the same for the others, and on it every call gives EXCLUDED from the first that does
 *
 * Whoever runs the hosts is asked for it by a line in the file $BELAY_POWER_OFF. Each host has a board and hot keys of its own,
 * since histories need one clock. MPI is of no use afterwards: the ranks meet in the cache, and leave verdicts as
 * under_load does.
 */
#include "../failover/load.h"

#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORK_MS = 1500, WITHIN_MS = 60000, SETTLED_MS = 2000 };

struct outage {
    struct load load;
    struct worker workers[WRITERS + 1];
    bool cut;
    int victim;
    char victim_host[MPI_MAX_PROCESSOR_NAME];
    _Atomic bool told_excluded;
};

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static void take_event(belay_node *node, const belay_event *event, void *context)
{
    struct outage *o = context;
    (void)node;
    CHECK(event->kind != BELAY_EVENT_PARTITION_LOST, "partition %d of cache %s is lost", event->partition,
          event->cache);
    if (event->kind == BELAY_EVENT_EXCLUDED)
        atomic_store(&o->told_excluded, true);
}

/* ---- The survivors ---- */

static void *work(void *context)
{
    struct worker *w = context;
    for (uint64_t step = 0; !atomic_load(&w->load->stop); ++step) {
        at("thread %u: step %llu", w->thread, (unsigned long long)step);
        if (w->thread == WRITERS)
            relaxed_step(w);
        else if (hot_step(w))
            own_step(w);
        else
            pause_ms(1);
    }
    at("thread %u: done", w->thread);
    return NULL;
}

/* By the first rank. */
static void ask(const struct outage *o)
{
    const char *path = getenv("BELAY_POWER_OFF");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!CHECK(file, "$BELAY_POWER_OFF cannot be written"))
        return;
    fprintf(file, "%s%s\n", o->cut ? "cut " : "", o->victim_host);
    fclose(file);
}

static bool victim_is_out(const struct outage *o)
{
    return belay_node_count(o->load.node) == o->load.job->ranks - 1;
}

static void wait_for_outage(const struct outage *o)
{
    pause_ms(WORK_MS);
    if (o->load.job->rank == 0)
        ask(o);
    uint64_t asked = job_clock();
    while (!victim_is_out(o) && job_clock() - asked < WITHIN_MS * 1000000ull)
        pause_ms(1);
    CHECK(victim_is_out(o), "%d nodes are in the view", belay_node_count(o->load.node));
    pause_ms(WORK_MS);
}

static void work_through(struct outage *o)
{
    pthread_t threads[WRITERS + 1];
    for (unsigned i = 0; i <= WRITERS; ++i) {
        struct worker *w = &o->workers[i];
        *w = (struct worker){.load = &o->load, .thread = i};
        w->random = random_stream(o->load.job->seed, (uint64_t)o->load.job->rank, i);
        w->value = malloc(VALUE_LONGEST);
        w->buffer = malloc(VALUE_LONGEST);
        if (!w->value || !w->buffer || pthread_create(&threads[i], NULL, work, w) != 0)
            job_abort("cannot start thread %u", i);
    }
    wait_for_outage(o);
    atomic_store(&o->load.stop, true);
    for (unsigned i = 0; i <= WRITERS; ++i) {
        pthread_join(threads[i], NULL);
        if (o->workers[i].longest_pause > o->load.longest_pause)
            o->load.longest_pause = o->workers[i].longest_pause;
    }
    report_note("rank %d: the longest write took %.0f ms", o->load.job->rank,
                (double)o->load.longest_pause / 1e6);
}

/* The survivors come here: barrier number n. */
static void meet(const struct outage *o, int n)
{
    belay_cache *cache = o->load.caches[CACHE_FULL_SYNC];
    uint64_t ends = job_clock() + WITHIN_MS * 1000000ull, count = 0;
    int64_t before = 0;
    size_t length;
    char key[24];
    snprintf(key, sizeof key, "meet %d", n);
    at("waiting for the others: %s", key);
    CHECK_OK(belay_fetch_add(cache, key, strlen(key), 1, NULL, &before));
    while (count + 1 < (uint64_t)o->load.job->ranks && job_clock() < ends) {
        CHECK_OK(belay_get(cache, key, strlen(key), &count, sizeof count, &length));
        pause_ms(10);
    }
    CHECK(count + 1 == (uint64_t)o->load.job->ranks, "%llu ranks came", (unsigned long long)count);
}

static void check_copies(const struct outage *o)
{
    for (unsigned c = 0; c < LOAD_CACHES; ++c) {
        belay_verify_report report = {0};
        at("copies of cache %u", c);
        CHECK_OK(belay_await_copies(o->load.caches[c], WITHIN_MS));
        CHECK_OK(belay_verify(o->load.caches[c], &report));
        CHECK(report.damaged == 0 && report.differences == 0, "cache %u: %llu damaged, %llu differences", c,
              (unsigned long long)report.damaged, (unsigned long long)report.differences);
        CHECK(report.partitions == (uint64_t)belay_partition_count(o->load.caches[c]),
              "cache %u: %llu partitions compared", c, (unsigned long long)report.partitions);
    }
}

static void survive(struct outage *o)
{
    work_through(o);
    int result = belay_flush(o->load.node); /* it may report a loss once */
    CHECK(result == BELAY_OK || result == BELAY_ERR_NODE_FAILED, "belay_flush gave %s",
          belay_strerror(result));
    CHECK_OK(belay_flush(o->load.node));
    meet(o, 1);
    if (o->load.job->rank == 0)
        check_copies(o);
    meet(o, 2);
    check_own(&o->load);
    check_relaxed(&o->load);
    hot_read_all(&o->workers[0]);
    check_hot(&o->load);
    meet(o, 3);
    CHECK_OK(belay_close(o->load.node));
}

/* ---- The outvoted ---- */

static int call(const struct outage *o, unsigned kind)
{
    belay_cache *cache = o->load.caches[CACHE_FULL_SYNC];
    static const belay_write_options async = {.sync = BELAY_FULL_ASYNC},
                                     primary = {.sync = BELAY_PRIMARY_SYNC};
    char key[24], value[16] = "";
    size_t length;
    int64_t before;
    uint64_t size;
    snprintf(key, sizeof key, "outvoted %u", kind / 8);
    switch (kind % 8) {
    case 0: return belay_put(cache, key, strlen(key), "value", 5, NULL);
    case 1: return belay_get(cache, key, strlen(key), value, sizeof value, &length);
    case 2: return belay_contains(cache, key, strlen(key));
    case 3: return belay_put(cache, key, strlen(key), "other", 5, &primary);
    case 4: return belay_put(cache, key, strlen(key), "third", 5, &async);
    case 5: return belay_fetch_add(cache, "outvoted", 8, 1, NULL, &before);
    case 6: return belay_size(cache, &size);
    default: return belay_flush(o->load.node);
    }
}

/* Calls succeed until the link is cut; from the first that does not, none does again, however long it goes on. */
static void be_outvoted(const struct outage *o)
{
    uint64_t ends = job_clock() + (WORK_MS + WITHIN_MS) * 1000000ull;
    unsigned calls = 0, kind = 0;
    int result = BELAY_OK;
    while (result == BELAY_OK && job_clock() < ends) {
        at("before: call %u", kind);
        result = call(o, kind++);
        calls += result == BELAY_OK;
    }
    CHECK(result == BELAY_ERR_EXCLUDED, "call %u gave %s: %s", (kind - 1) % 8, belay_strerror(result),
          belay_last_error());
    CHECK(calls > 0, "nothing went well before");
    ends = job_clock() + SETTLED_MS * 1000000ull;
    for (kind = 0; kind < 64 * 8 || job_clock() < ends; ++kind) {
        at("outvoted: call %u", kind);
        if (!CHECK_RESULT(call(o, kind), BELAY_ERR_EXCLUDED) && report_failures() > 20)
            break;
    }
    CHECK(atomic_load(&o->told_excluded), "no event said so");
    report_note("rank %d: %u calls went well, and none of %u afterwards", o->load.job->rank, calls, kind);
    belay_close(o->load.node);
}

/* ---- All ---- */

static void open_caches(struct load *load)
{
    const belay_cache_config configs[LOAD_CACHES] = {
        {.name = "full", .write_synchronization_mode = BELAY_FULL_SYNC},
        {.name = "primary", .write_synchronization_mode = BELAY_PRIMARY_SYNC},
        {.name = "async", .write_synchronization_mode = BELAY_FULL_ASYNC},
        {.name = "cleared", .write_synchronization_mode = BELAY_FULL_SYNC},
    };
    for (unsigned c = 0; c < LOAD_CACHES; ++c) {
        belay_cache_config config = configs[c];
        config.backups = 1;
        config.partitions = 8;
        load->caches[c] = job_cache(load->node, &config);
    }
}

int main(int argc, char **argv)
{
    static struct outage o;
    struct job job;
    int length;
    job_begin(&argc, &argv, "outage", 0, &job);
    if (argc != 2 || job.ranks < 3 || job_is_on_one_host())
        job_abort("outage power|cut: on three hosts");
    o.cut = strcmp(argv[1], "cut") == 0;
    o.victim = job.ranks - 1;
    MPI_Get_processor_name(o.victim_host, &length);
    MPI_Bcast(o.victim_host, sizeof o.victim_host, MPI_CHAR, o.victim, MPI_COMM_WORLD);
    hot_choose((unsigned)job.rank);
    o.load.job = &job;
    o.load.board = board_open(&job);
    o.load.node = job_open(&(belay_config){.arena_size = 48ull << 20, .segment_size = 16 << 10});
    own_register(o.load.node);
    CHECK_OK(belay_on_event(o.load.node, take_event, &o));
    open_caches(&o.load);
    job_barrier(); /* the last use of MPI */
    if (o.cut && job.rank == o.victim)
        be_outvoted(&o);
    else
        survive(&o);
    board_verdict(&job);
}
