/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks die, or hang, while all of them work on four caches. The survivors' calls see a pause and no error; when the work has ended,
 * histories are linearizable, what was acknowledged is there and was applied once, and all copies are equal and complete.
 *
 *   under_load [--backups N] [--dies RANK[,RANK]] [--at MS:kill|stop|cont:RANK]... [--timeout MS]
 *
 * --dies: ranks that must have ended (by BELAY_TEST_KILL, or by --at) before the work ends. --at: a signal that the lowest
 * rank that gets none sends after so many milliseconds of work. MPI is of no use once a rank is dead, so each survivor leaves its
 * verdict in a file of its own in $TMPDIR, which tests/failover/job counts; and ends without MPI_Finalize().
 */
#include "load.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIGNALS_MAX = 16, WORK_AFTER_MS = 500, DEATHS_WITHIN_MS = 10000, RESTORED_WITHIN_MS = 30000 };

struct signal_plan {
    unsigned after_ms;
    int signal, rank;
};

struct plan {
    unsigned backups, timeout_ms, dies, signals; /* `dies`: a bit per rank */
    struct signal_plan at[SIGNALS_MAX];
};

/* ---- The plan ---- */

static void plan_signal(struct plan *plan, const char *text)
{
    static const struct {
        const char *name;
        int number;
    } known[] = {{"kill", SIGKILL}, {"stop", SIGSTOP}, {"cont", SIGCONT}};
    struct signal_plan *next = &plan->at[plan->signals];
    char name[8] = "";
    if (plan->signals == SIGNALS_MAX ||
        sscanf(text, "%u:%7[a-z]:%d", &next->after_ms, name, &next->rank) != 3)
        job_abort("--at %s: not MS:SIGNAL:RANK", text);
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (strcmp(name, known[i].name) == 0)
            next->signal = known[i].number;
    ++plan->signals;
}

static void plan_deaths(struct plan *plan, const char *text)
{
    for (; *text && *text != '-'; text += *text == ',') {
        char *end;
        plan->dies |= 1u << strtoul(text, &end, 10);
        if (end == text)
            job_abort("--dies: not a list of ranks");
        text = end;
    }
}

static struct plan read_plan(int argc, char **argv)
{
    struct plan plan = {.backups = 1};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--backups") == 0)
            plan.backups = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--timeout") == 0)
            plan.timeout_ms = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--dies") == 0)
            plan_deaths(&plan, argv[i + 1]);
        else if (strcmp(argv[i], "--at") == 0)
            plan_signal(&plan, argv[i + 1]);
        else
            job_abort("unknown option %s", argv[i]);
    }
    return plan;
}

static bool gets_signals(const struct plan *plan, int rank)
{
    for (unsigned i = 0; i < plan->signals; ++i)
        if (plan->at[i].rank == rank)
            return true;
    return plan->dies >> rank & 1;
}

static bool sends_signals(const struct plan *plan, int rank)
{
    for (int lower = 0; lower < rank; ++lower)
        if (!gets_signals(plan, lower))
            return false;
    return !gets_signals(plan, rank);
}

/* ---- Events ---- */

struct told {
    struct belay_event last;
    unsigned left; /* ranks that were told to have left, a bit each */
};

static void take_event(belay_node *node, const belay_event *event, void *context)
{
    struct told *told = context;
    (void)node;
    CHECK(event->time_ns >= told->last.time_ns, "an event of %llu ns comes behind one of %llu ns",
          (unsigned long long)event->time_ns, (unsigned long long)told->last.time_ns);
    CHECK(event->view >= told->last.view, "an event of view %u comes behind one of view %u", event->view,
          told->last.view);
    CHECK(event->kind != BELAY_EVENT_PARTITION_LOST && event->kind != BELAY_EVENT_EXCLUDED,
          "event %d of partition %d of cache %s", event->kind, event->partition, event->cache);
    if (event->kind == BELAY_EVENT_NODE_LEFT)
        told->left |= 1u << event->node;
    told->last = *event;
}

/* ---- Work ---- */

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static void *work(void *context)
{
    struct worker *w = context;
    for (uint64_t step = 0; !atomic_load(&w->load->stop); ++step) {
        at("thread %u: step %llu", w->thread, (unsigned long long)step);
        if (w->thread < WRITERS) {
            if (!hot_step(w))
                pause_ms(1);
            own_step(w);
        } else if (step % 64 == 63) {
            whole_step(w);
        } else {
            relaxed_step(w);
        }
        if (step % 8 == 7)
            nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    at("thread %u: done", w->thread);
    return NULL;
}

static void send_due(const struct load *load, const struct plan *plan, unsigned *sent, uint64_t worked_ms)
{
    for (unsigned i = 0; i < plan->signals; ++i)
        if (!(*sent >> i & 1) && plan->at[i].after_ms <= worked_ms) {
            *sent |= 1u << i;
            kill(atomic_load(&load->board->ranks[plan->at[i].rank].pid), plan->at[i].signal);
        }
}

static bool all_dead(const struct load *load, const struct plan *plan)
{
    for (int rank = 0; rank < load->job->ranks; ++rank)
        if (plan->dies >> rank & 1 && !board_ended(load->board, rank))
            return false;
    return true;
}

/* The work goes on until the planned deaths have happened, and a while longer. */
static void watch(const struct load *load, const struct plan *plan)
{
    uint64_t start = job_clock(), worked_ms = 0;
    unsigned sent = 0, least_ms = (unsigned)(load->job->seconds * 1000);
    bool sender = sends_signals(plan, load->job->rank);
    for (unsigned i = 0; i < plan->signals; ++i)
        if (plan->at[i].after_ms > least_ms)
            least_ms = plan->at[i].after_ms;
    while (worked_ms < DEATHS_WITHIN_MS && (worked_ms < least_ms || !all_dead(load, plan))) {
        pause_ms(2);
        worked_ms = (job_clock() - start) / 1000000;
        if (sender)
            send_due(load, plan, &sent, worked_ms);
    }
    for (int rank = 0; rank < load->job->ranks; ++rank)
        if (plan->dies >> rank & 1)
            CHECK(board_ended(load->board, rank), "rank %d lives: its fault point was not reached", rank);
    pause_ms(WORK_AFTER_MS);
}

static void run(struct load *load, const struct plan *plan, struct worker *workers)
{
    pthread_t threads[WRITERS + 1];
    for (unsigned i = 0; i <= WRITERS; ++i) {
        struct worker *w = &workers[i];
        *w = (struct worker){.load = load, .thread = i};
        w->random = random_stream(load->job->seed, (uint64_t)load->job->rank, i);
        w->value = malloc(VALUE_LONGEST);
        w->buffer = malloc(VALUE_LONGEST);
        if (!w->value || !w->buffer || pthread_create(&threads[i], NULL, work, w) != 0)
            job_abort("cannot start thread %u", i);
    }
    watch(load, plan);
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i <= WRITERS; ++i) {
        pthread_join(threads[i], NULL);
        if (workers[i].longest_pause > load->longest_pause)
            load->longest_pause = workers[i].longest_pause;
    }
}

/* ---- Afterwards ---- */

static int survivors(const struct plan *plan, int ranks)
{
    return ranks - __builtin_popcount(plan->dies);
}

/* Every survivor knows the view without the dead; what was written last is on all copies. */
static void settle(struct load *load, const struct plan *plan, const struct told *told)
{
    uint64_t ends = job_clock() + DEATHS_WITHIN_MS * 1000000ull;
    at("waiting for the view");
    while (belay_node_count(load->node) != survivors(plan, load->job->ranks) && job_clock() < ends)
        pause_ms(1);
    CHECK(belay_node_count(load->node) == survivors(plan, load->job->ranks), "%d nodes are in the view",
          belay_node_count(load->node));
    at("flush");
    int result = belay_flush(load->node); /* it may report a loss once */
    CHECK(result == BELAY_OK || result == BELAY_ERR_NODE_FAILED, "belay_flush gave %s",
          belay_strerror(result));
    CHECK_OK(belay_flush(load->node));
    at("waiting for the others");
    board_barrier(load->board, load->job);
    CHECK(told->left == plan->dies, "the ranks that left are %x, not %x", told->left, plan->dies);
}

static void check_copies(struct load *load, const struct plan *plan)
{
    static const char *const names[] = {"full", "primary", "async", "cleared"};
    unsigned wanted = plan->backups + 1, there = (unsigned)survivors(plan, load->job->ranks);
    for (unsigned c = 0; c < LOAD_CACHES; ++c) {
        belay_verify_report report = {0};
        at("copies of cache %s", names[c]);
        CHECK_OK(belay_await_copies(load->caches[c], RESTORED_WITHIN_MS));
        for (int p = 0; p < belay_partition_count(load->caches[c]); ++p) {
            belay_partition_state state = {0};
            if (CHECK_OK(belay_partition_state_of(load->caches[c], p, &state)))
                CHECK(state.copies_complete == (wanted < there ? wanted : there),
                      "partition %d of cache %s has %u copies", p, names[c], state.copies_complete);
        }
        at("verify cache %s", names[c]);
        CHECK_OK(belay_verify(load->caches[c], &report));
        CHECK(report.damaged == 0 && report.differences == 0, "cache %s: %llu damaged, %llu differences",
              names[c], (unsigned long long)report.damaged, (unsigned long long)report.differences);
        CHECK(report.partitions == (uint64_t)belay_partition_count(load->caches[c]),
              "cache %s: %llu partitions compared", names[c], (unsigned long long)report.partitions);
    }
}

static void check(struct load *load, const struct plan *plan, struct worker *worker)
{
    check_copies(load, plan);
    check_own(load);
    check_relaxed(load);
    hot_read_all(worker);
    check_hot(load);
}

static void open_caches(struct load *load, const struct plan *plan)
{
    const belay_cache_config configs[LOAD_CACHES] = {
        {.name = "full", .write_synchronization_mode = BELAY_FULL_SYNC},
        {.name = "primary", .write_synchronization_mode = BELAY_PRIMARY_SYNC},
        {.name = "async", .write_synchronization_mode = BELAY_FULL_ASYNC},
        {.name = "cleared", .write_synchronization_mode = BELAY_FULL_SYNC},
    };
    for (unsigned c = 0; c < LOAD_CACHES; ++c) {
        belay_cache_config config = configs[c];
        config.backups = plan->backups;
        config.partitions = 8;
        load->caches[c] = job_cache(load->node, &config);
    }
}

int main(int argc, char **argv)
{
    static struct worker workers[WRITERS + 1];
    struct load load = {0};
    struct told told = {0};
    struct job job;
    job_begin(&argc, &argv, "under_load", 0.6, &job);
    struct plan plan = read_plan(argc, argv);
    load.job = &job;
    load.board = board_open(&job);
    load.node = job_open(&(belay_config){
        .arena_size = 48ull << 20, .segment_size = 16 << 10, .failure_timeout_ms = plan.timeout_ms});
    own_register(load.node);
    CHECK_OK(belay_on_event(load.node, take_event, &told));
    open_caches(&load, &plan);
    job_barrier(); /* the last use of MPI */
    run(&load, &plan, workers);
    settle(&load, &plan, &told);
    if (board_first(load.board, &job) == job.rank)
        check(&load, &plan, &workers[0]);
    board_barrier(load.board, &job);
    CHECK(belay_node_count(load.node) == survivors(&plan, job.ranks), "%d nodes are in the view at the end",
          belay_node_count(load.node));
    uint64_t start = job_clock();
    at("belay_close");
    CHECK_OK(belay_close(load.node));
    report_note("longest write %.1f ms, belay_close %.1f ms", (double)load.longest_pause / 1e6,
                (double)(job_clock() - start) / 1e6);
    board_verdict(&job);
}
