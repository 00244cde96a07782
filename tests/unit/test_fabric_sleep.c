/* SPDX-License-Identifier: BSD-3-Clause */
/* Sleeping and waking between nodes of one host: no wake-up is lost, and none is paid for without need. */
#include "fabric_node.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- A progress thread ---------------------------------------------------------------------------------------- */

struct progress {
    struct node *node;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic int sleeps; /* that have ended */
};

static void *make_progress(void *argument)
{
    struct progress *progress = argument;
    while (!atomic_load(&progress->stop)) {
        fabric_sleep(progress->node->f, -1);
        atomic_fetch_add(&progress->sleeps, 1);
        while (fabric_poll(progress->node->f) > 0)
            ;
    }
    return NULL;
}

static void progress_start(struct progress *progress, struct node *node)
{
    *progress = (struct progress){.node = node};
    assert_int_equal(pthread_create(&progress->thread, NULL, make_progress, progress), 0);
}

static void progress_stop(struct progress *progress)
{
    atomic_store(&progress->stop, true);
    fabric_wake(progress->node->f);
    pthread_join(progress->thread, NULL);
}

static bool asleep(const struct node *node)
{
    return atomic_load(node->f->attention) & ATTENTION_ASLEEP;
}

/* Wait until the thread has had the time to be really asleep. */
static void let_sleep(const struct node *node)
{
    while (!asleep(node))
        usleep(100);
    usleep(20000);
}

static bool wait_for(_Atomic int *count, int wanted)
{
    uint64_t deadline = clock_deadline(PATIENCE_MS);
    while (atomic_load(count) < wanted && clock_now() < deadline)
        usleep(50);
    return atomic_load(count) >= wanted;
}

/* ---- One case at a time ---------------------------------------------------------------------------------------- */

static void a_sleep_ends_with_its_time(void **state)
{
    (void)state;
    struct node node;
    node_open(&node, 0);
    uint64_t start = clock_now();
    assert_int_equal(fabric_sleep(node.f, 20), BELAY_OK);
    uint64_t took = clock_now() - start;
    assert_true(took >= 19 * NANOSECONDS_PER_MS);
    assert_true(took < PATIENCE_MS * NANOSECONDS_PER_MS);
    assert_false(asleep(&node));
    fabric_destroy(node.f);
}

static void a_wake_before_a_sleep_ends_that_sleep_only(void **state)
{
    (void)state;
    struct node node;
    node_open(&node, 0);
    fabric_wake(node.f);
    uint64_t start = clock_now();
    assert_int_equal(fabric_sleep(node.f, PATIENCE_MS), BELAY_OK);
    assert_true(clock_now() - start < PATIENCE_MS / 2 * NANOSECONDS_PER_MS);
    start = clock_now();
    assert_int_equal(fabric_sleep(node.f, 20), BELAY_OK);
    assert_true(clock_now() - start >= 19 * NANOSECONDS_PER_MS);
    fabric_destroy(node.f);
}

static void a_wake_ends_the_sleep_of_another_thread(void **state)
{
    (void)state;
    struct node node;
    struct progress progress;
    node_open(&node, 0);
    progress_start(&progress, &node);
    for (int round = 1; round <= 5; ++round) {
        let_sleep(&node);
        int before = atomic_load(&progress.sleeps);
        fabric_wake(node.f);
        assert_true(wait_for(&progress.sleeps, before + 1));
    }
    progress_stop(&progress);
    fabric_destroy(node.f);
}

static void a_message_wakes_the_sleeper_once(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progress;
    pair_open(nodes);
    progress_start(&progress, &nodes[1]);
    for (int round = 1; round <= 5; ++round) {
        let_sleep(&nodes[1]);
        int before = atomic_load(&progress.sleeps);
        assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
        assert_true(wait_for(&progress.sleeps, before + 1));
        assert_int_equal(node_stats(&nodes[0]).wakeups_sent, round);
    }
    progress_stop(&progress);
    assert_int_equal(nodes[1].received, 5);
    pair_close(nodes);
}

static void more_puts_the_wake_off_and_awaited_spares_it(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progress;
    pair_open(nodes);
    progress_start(&progress, &nodes[1]);
    let_sleep(&nodes[1]);
    int before = atomic_load(&progress.sleeps);
    for (int i = 0; i < 10; ++i)
        assert_int_equal(node_send(&nodes[0], 1, "x", 1, i % 2 ? FABRIC_MORE : FABRIC_AWAITED), BELAY_OK);
    usleep(20000);
    assert_int_equal(atomic_load(&progress.sleeps), before);
    assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    assert_true(wait_for(&progress.sleeps, before + 1));
    progress_stop(&progress);
    assert_int_equal(nodes[1].received, 11);
    assert_int_equal(node_stats(&nodes[0]).wakeups_sent, 1);
    pair_close(nodes);
}

/* A ring filled by messages whose wake-up was put off: the refused one must wake the reader, or all wait for ever. */
static void a_full_ring_wakes_its_reader(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= FABRIC_QUEUE; flags += FABRIC_QUEUE) {
        struct node nodes[2];
        struct progress progress;
        pair_open(nodes);
        progress_start(&progress, &nodes[1]);
        let_sleep(&nodes[1]);
        int before = atomic_load(&progress.sleeps);
        while (node_send(&nodes[0], 1, "x", 1, flags | FABRIC_MORE) == BELAY_OK)
            if (node_stats(&nodes[0]).overflowed)
                break;
        assert_true(wait_for(&progress.sleeps, before + 1));
        progress_stop(&progress);
        pair_close(nodes);
    }
}

static void while_somebody_polls_nobody_is_woken(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progress;
    pair_open(nodes);
    progress_start(&progress, &nodes[1]);
    let_sleep(&nodes[1]);
    int before = atomic_load(&progress.sleeps);
    fabric_poller_enter(nodes[1].f);
    fabric_poller_enter(nodes[1].f);
    for (int i = 1; i <= 2000; ++i) {
        if (i == 1000)
            fabric_poller_leave(nodes[1].f);
        assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
        node_poll_until(&nodes[1], nodes[1].received == i);
    }
    fabric_poller_leave(nodes[1].f);
    assert_int_equal(node_stats(&nodes[0]).wakeups_sent, 0);
    assert_int_equal(atomic_load(&progress.sleeps), before);

    assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    assert_true(wait_for(&progress.sleeps, before + 1));
    progress_stop(&progress);
    assert_int_equal(nodes[1].received, 2001);
    pair_close(nodes);
}

static void the_last_poller_takes_what_came_before_it_left(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progress;
    pair_open(nodes);
    progress_start(&progress, &nodes[1]);
    let_sleep(&nodes[1]);
    int before = atomic_load(&progress.sleeps);
    fabric_poller_enter(nodes[1].f);
    assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    assert_int_equal(nodes[1].received, 0);
    fabric_poller_leave(nodes[1].f);
    assert_int_equal(nodes[1].received, 1);
    assert_int_equal(atomic_load(&progress.sleeps), before);
    progress_stop(&progress);
    pair_close(nodes);
}

static void more_than_a_leaving_poller_takes_is_left_to_the_sleeper(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progress;
    _Atomic int *sleeps = &progress.sleeps;
    pair_open(nodes);
    progress_start(&progress, &nodes[1]);
    let_sleep(&nodes[1]);
    int before = atomic_load(sleeps);
    fabric_poller_enter(nodes[1].f);
    for (int i = 0; i < 500; ++i)
        assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    fabric_poller_leave(nodes[1].f);
    assert_true(wait_for(sleeps, before + 1));
    progress_stop(&progress);
    assert_int_equal(nodes[1].received, 500);
    pair_close(nodes);
}

struct gate {
    _Atomic int inside, open, from_first;
};

/* Messages of node 2 hold the poll until the gate opens. */
static void wait_at_gate(struct node *node, int peer, const void *message, size_t length)
{
    struct gate *gate = node->own;
    (void)message;
    (void)length;
    if (peer == 2) {
        atomic_store(&gate->inside, 1);
        while (!atomic_load(&gate->open))
            usleep(100);
    } else {
        atomic_fetch_add(&gate->from_first, 1);
    }
}

static void *poll_once(void *argument)
{
    struct node *node = argument;
    fabric_poll(node->f);
    return NULL;
}

struct blocked_poll {
    struct node nodes[3];
    struct gate gate;
    pthread_t thread;
};

/* Node 1 knows nodes 0 and 2; a thread of it polls, has passed node 0, and is held by the handler of node 2's message. */
static void block_poll(struct blocked_poll *blocked)
{
    assert_int_equal(node_send(&blocked->nodes[2], 1, "x", 1, FABRIC_AWAITED), BELAY_OK);
    assert_int_equal(pthread_create(&blocked->thread, NULL, poll_once, &blocked->nodes[1]), 0);
    assert_true(wait_for(&blocked->gate.inside, 1));
}

static void blocked_poll_open(struct blocked_poll *blocked)
{
    struct node *nodes = blocked->nodes;
    blocked->gate = (struct gate){0};
    for (int id = 0; id < 3; ++id)
        node_open(&nodes[id], id);
    nodes[1].own = &blocked->gate;
    nodes[1].on_message = wait_at_gate;
    for (int peer = 0; peer < 3; peer += 2) {
        assert_int_equal(node_add(&nodes[1], &nodes[peer]), BELAY_OK);
        assert_int_equal(node_add(&nodes[peer], &nodes[1]), BELAY_OK);
        fabric_poll(nodes[1].f); /* in this order */
    }
}

/* The gate opens, and node 0's message must be handled. */
static void blocked_poll_close(struct blocked_poll *blocked, struct progress *progress)
{
    atomic_store(&blocked->gate.open, 1);
    pthread_join(blocked->thread, NULL);
    assert_true(wait_for(&blocked->gate.from_first, 1));
    progress_stop(progress);
    for (int id = 0; id < 3; ++id)
        fabric_destroy(blocked->nodes[id].f);
}

static void a_leaving_poller_that_cannot_look_wakes_the_sleeper(void **state)
{
    (void)state;
    struct blocked_poll blocked;
    struct progress progress;
    blocked_poll_open(&blocked);
    progress_start(&progress, &blocked.nodes[1]);
    let_sleep(&blocked.nodes[1]);
    fabric_poller_enter(blocked.nodes[1].f);
    block_poll(&blocked);
    assert_int_equal(node_send(&blocked.nodes[0], 1, "x", 1, 0), BELAY_OK);
    fabric_poller_leave(blocked.nodes[1].f);
    blocked_poll_close(&blocked, &progress);
}

static void a_thread_that_cannot_look_does_not_go_to_sleep(void **state)
{
    (void)state;
    struct blocked_poll blocked;
    struct progress progress;
    blocked_poll_open(&blocked);
    block_poll(&blocked);
    assert_int_equal(node_send(&blocked.nodes[0], 1, "x", 1, 0), BELAY_OK);
    progress_start(&progress, &blocked.nodes[1]);
    usleep(20000);
    blocked_poll_close(&blocked, &progress);
}

/* The message came before its sender was known: the wake-up for it was in vain. */
static void a_message_older_than_its_senders_address_is_handled(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progress;
    struct gate gate = {0};
    node_open(&nodes[0], 0);
    node_open(&nodes[1], 1);
    nodes[1].own = &gate;
    nodes[1].on_message = wait_at_gate;
    progress_start(&progress, &nodes[1]);
    let_sleep(&nodes[1]);
    assert_int_equal(node_add(&nodes[0], &nodes[1]), BELAY_OK);
    assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    let_sleep(&nodes[1]);
    assert_int_equal(node_add(&nodes[1], &nodes[0]), BELAY_OK);
    assert_true(wait_for(&gate.from_first, 1));
    progress_stop(&progress);
    pair_close(nodes);
}

/* The sender of queued messages is asleep when there is room again: the reader wakes it. */
static void queued_messages_leave_while_their_sender_sleeps(void **state)
{
    (void)state;
    struct node nodes[2];
    struct progress progresses[2];
    char text[4000] = {0};
    int sent = 0;
    pair_open(nodes);
    progress_start(&progresses[0], &nodes[0]);
    for (int round = 0; round < 10; ++round) {
        let_sleep(&nodes[0]);
        for (int i = 0; i < 300; ++i, ++sent)
            assert_int_equal(node_send(&nodes[0], 1, text, sizeof text, FABRIC_QUEUE), BELAY_OK);
        node_poll_until(&nodes[1], nodes[1].received == sent);
    }
    progress_stop(&progresses[0]);
    assert_true(node_stats(&nodes[0]).overflowed > 1000);
    pair_close(nodes);
}

static void two_sleepers_are_refused(void **state)
{
    (void)state;
    struct node node;
    struct progress progress;
    node_open(&node, 0);
    progress_start(&progress, &node);
    let_sleep(&node);
    assert_int_equal(fabric_sleep(node.f, 0), BELAY_ERR_INVALID);
    assert_true(asleep(&node));
    progress_stop(&progress);
    fabric_destroy(node.f);
}

/* ---- All at once, at random ------------------------------------------------------------------------------------ */

enum { CALLERS = 2 };
static int exchanges = 5000; /* of each caller */

struct request {
    int caller; /* -1: an answer is not wanted */
    int number;
    bool answer, awaited;
    char filler[80];
};

struct site {
    struct node node;
    struct progress progress;
    int peer;
    _Atomic int answered[CALLERS];
    _Atomic int failed;
};

struct caller {
    struct site *site;
    int number;
    pthread_t thread;
};

static void answer_or_note(struct node *node, int peer, const void *message, size_t length)
{
    struct site *site = node->own;
    struct request request;
    memcpy(&request, message, sizeof request < length ? sizeof request : length);
    if (request.caller < 0 || request.caller >= CALLERS)
        return;
    if (request.answer) {
        atomic_store(&site->answered[request.caller], request.number);
        return;
    }
    request.answer = true;
    node_send(node, peer, &request, sizeof request, FABRIC_QUEUE | (request.awaited ? FABRIC_AWAITED : 0u));
}

/* @return false if no answer comes. */
static bool await_answer(struct site *site, const struct request *request, bool poll)
{
    uint64_t deadline = clock_deadline(PATIENCE_MS);
    if (poll)
        fabric_poller_enter(site->node.f);
    for (unsigned turn = 1; atomic_load(&site->answered[request->caller]) != request->number; ++turn) {
        if (poll)
            fabric_poll(site->node.f);
        if (turn % 64 == 0)
            sched_yield();
        if (turn % 1024 == 0 && clock_now() > deadline)
            return false;
    }
    if (poll)
        fabric_poller_leave(site->node.f);
    return true;
}

static void think(unsigned *seed)
{
    int kind = rand_r(seed) % 64;
    if (kind == 0)
        usleep((useconds_t)rand_r(seed) % 200);
    else if (kind < 40)
        for (int pause = rand_r(seed) % 3000; pause > 0; --pause)
            spin_pause();
}

static void send_burst(struct site *site, unsigned *seed)
{
    static const char noise[6000];
    struct request request = {.caller = -1};
    for (int i = rand_r(seed) % 30; i > 0; --i)
        node_send(&site->node, site->peer, &request, sizeof request, FABRIC_MORE);
    if (rand_r(seed) % 8 == 0)
        for (int i = rand_r(seed) % 30; i > 0; --i) {
            char text[sizeof noise];
            memcpy(text, noise, sizeof text);
            memcpy(text, &request, sizeof request);
            node_send(&site->node, site->peer, text, sizeof text, FABRIC_QUEUE);
        }
}

static void *call_at_random(void *argument)
{
    struct caller *caller = argument;
    struct site *site = caller->site;
    struct request request = {.caller = caller->number};
    unsigned seed = (unsigned)(site->node.id * CALLERS + caller->number + 1);
    for (request.number = 1; request.number <= exchanges; ++request.number) {
        bool poll = rand_r(&seed) % 4;
        request.awaited = poll && rand_r(&seed) % 2;
        if (rand_r(&seed) % 64 == 0)
            send_burst(site, &seed);
        node_send(&site->node, site->peer, &request, sizeof request, FABRIC_QUEUE);
        if (!await_answer(site, &request, poll)) {
            atomic_fetch_add(&site->failed, 1);
            return NULL;
        }
        think(&seed);
    }
    return NULL;
}

static void site_start(struct site *site, struct caller callers[CALLERS])
{
    site->node.own = site;
    site->node.on_message = answer_or_note;
    progress_start(&site->progress, &site->node);
    for (int i = 0; i < CALLERS; ++i) {
        callers[i] = (struct caller){.site = site, .number = i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_at_random, &callers[i]), 0);
    }
}

static void site_join(struct caller callers[CALLERS])
{
    for (int i = 0; i < CALLERS; ++i)
        pthread_join(callers[i].thread, NULL);
}

static void print_site(const struct site *site)
{
    struct fabric_stats stats = node_stats(&site->node);
    print_message("node %d: %d sleeps, wakes sent %llu, taken %llu, overflowed %llu\n", site->node.id,
                  atomic_load(&site->progress.sleeps), (unsigned long long)stats.wakeups_sent,
                  (unsigned long long)stats.wakeups_taken, (unsigned long long)stats.overflowed);
}

static void no_wake_is_lost_between_threads(void **state)
{
    (void)state;
    struct site sites[2] = {{.peer = 1}, {.peer = 0}};
    struct caller callers[2][CALLERS];
    struct node nodes[2];
    pair_open(nodes);
    for (int i = 0; i < 2; ++i) {
        sites[i].node = nodes[i];
        sites[i].node.f->handler.context = &sites[i].node;
        site_start(&sites[i], callers[i]);
    }
    for (int i = 0; i < 2; ++i)
        site_join(callers[i]);
    for (int i = 0; i < 2; ++i) {
        progress_stop(&sites[i].progress);
        print_site(&sites[i]);
        assert_int_equal(sites[i].failed, 0);
        assert_true(atomic_load(&sites[i].progress.sleeps) > 10);
    }
    pair_close(nodes);
}

/* One site per process; each serves until both are done. */
static int run_site(struct meeting *meeting, int id)
{
    struct site site = {.peer = !id};
    struct caller callers[CALLERS];
    node_meet(&site.node, meeting, id, site.peer);
    site_start(&site, callers);
    site_join(callers);
    atomic_fetch_add(&meeting->words[0], 1);
    uint64_t deadline = clock_deadline(PATIENCE_MS);
    while (atomic_load(&meeting->words[0]) < 2 && clock_now() < deadline)
        usleep(1000);
    progress_stop(&site.progress);
    print_site(&site);
    int failed = atomic_load(&site.failed);
    fabric_destroy(site.node.f);
    return failed;
}

static void no_wake_is_lost_between_processes(void **state)
{
    (void)state;
    struct meeting *meeting = meeting_make();
    pid_t child = fork_node();
    if (child == 0)
        _exit(run_site(meeting, 0));
    assert_int_equal(run_site(meeting, 1), 0);
    assert_int_equal(child_status(child), 0);
    munmap(meeting, sizeof *meeting);
}

/* ---- No system call, no allocation ----------------------------------------------------------------------------- */

static _Atomic int allocations;

#if !SANITIZED
void *__libc_malloc(size_t size);

/* Counts every allocation of this program and of the library in it. */
void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(size);
}
#endif

/* From here on any other system call of this thread than these is death by SIGSYS. The test itself yields; clock_gettime
 * is a system call only where the kernel's clock can not be read from user space. */
static void forbid_system_calls(void)
{
    const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    union {
        const struct sock_filter *from;
        struct sock_filter *to;
    } rules = {filter};
    const struct sock_fprog program = {sizeof filter / sizeof filter[0], rules.to};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(2);
}

/* Both sides are callers that poll, each with a progress thread asleep, as in a job. */
static void exchange_in_user_space(struct meeting *meeting, int id)
{
    struct site site = {.peer = !id};
    struct request request = {.caller = 0};
    fabric_ticket ticket;
    node_meet(&site.node, meeting, id, site.peer);
    site.node.own = &site;
    site.node.on_message = answer_or_note;
    progress_start(&site.progress, &site.node);
    let_sleep(&site.node);
    atomic_fetch_add(&meeting->words[0], 1);
    fabric_poller_enter(
        site.node.f); /* this side attends for the whole test: the other one must not wake the thread */
    while (atomic_load(&meeting->words[0]) < 2)
        sched_yield();

    forbid_system_calls();
    int before = atomic_load(&allocations);
    for (request.number = 1; request.number <= 3000; ++request.number) {
        fabric_write(site.node.f, site.peer, 0, &request, 64, 0, &ticket);
        if (node_send(&site.node, site.peer, &request, sizeof request, 0) != BELAY_OK)
            _exit(3);
        fabric_poller_enter(site.node.f);
        while (atomic_load(&site.answered[0]) != request.number)
            node_poll(&site.node);
        fabric_poller_leave(site.node.f);
    }
    atomic_fetch_add(&meeting->words[0], 1);
    while (atomic_load(&meeting->words[0]) < 4)
        node_poll(&site.node);
    _exit(atomic_load(&allocations) == before ? 0 : 4);
}

static void exchanges_make_no_system_call_and_no_allocation(void **state)
{
    (void)state;
    struct meeting *meeting = meeting_make();
    pid_t children[2];
    if (SANITIZED)
        skip();
    for (int id = 0; id < 2; ++id) {
        children[id] = fork_node();
        if (children[id] == 0)
            exchange_in_user_space(meeting, id);
    }
    for (int id = 0; id < 2; ++id) {
        int status = child_status(children[id]);
        if (status == -SIGSYS)
            fail_msg("node %d made a system call", id);
        assert_int_equal(status, 0);
    }
    munmap(meeting, sizeof *meeting);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleep_ends_with_its_time),
        cmocka_unit_test(a_wake_before_a_sleep_ends_that_sleep_only),
        cmocka_unit_test(a_wake_ends_the_sleep_of_another_thread),
        cmocka_unit_test(a_message_wakes_the_sleeper_once),
        cmocka_unit_test(more_puts_the_wake_off_and_awaited_spares_it),
        cmocka_unit_test(a_full_ring_wakes_its_reader),
        cmocka_unit_test(while_somebody_polls_nobody_is_woken),
        cmocka_unit_test(the_last_poller_takes_what_came_before_it_left),
        cmocka_unit_test(more_than_a_leaving_poller_takes_is_left_to_the_sleeper),
        cmocka_unit_test(a_leaving_poller_that_cannot_look_wakes_the_sleeper),
        cmocka_unit_test(a_thread_that_cannot_look_does_not_go_to_sleep),
        cmocka_unit_test(a_message_older_than_its_senders_address_is_handled),
        cmocka_unit_test(queued_messages_leave_while_their_sender_sleeps),
        cmocka_unit_test(two_sleepers_are_refused),
        cmocka_unit_test(no_wake_is_lost_between_threads),
        cmocka_unit_test(no_wake_is_lost_between_processes),
        cmocka_unit_test(exchanges_make_no_system_call_and_no_allocation),
    };
    if (argc > 1)
        exchanges = atoi(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
