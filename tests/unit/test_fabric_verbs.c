/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs transport keeps the contract of fabric.h: transfers, order, tickets, messages, credits, sleeping. */
#include "verbs_nodes.h"

#include <pthread.h>
#include <unistd.h>

static void wait_done(struct test_node *nodes, int count, int from, int peer, fabric_ticket ticket)
{
    poll_until(nodes, count, fabric_done(nodes[from].fabric, peer, ticket));
}

/* ---- Transfers ------------------------------------------------------------------------------------------------ */

static const size_t transfer_sizes[] = {
    1, 7, 8, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 65536, 1000003, 5 * 1024 * 1024};
enum { TRANSFERS = sizeof transfer_sizes / sizeof *transfer_sizes };

static void writes_of_all_sizes_arrive(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    for (int i = 0; i < TRANSFERS; ++i) {
        size_t length = transfer_sizes[i], offset = 4096 + (size_t)i;
        fabric_ticket ticket;
        memset(node_region(&nodes[1]), 0, REGION_SIZE);
        fill(node_region(&nodes[0]), length, (unsigned)i);
        assert_int_equal(fabric_write(nodes[0].fabric, 1, offset, node_region(&nodes[0]), length,
                                      FABRIC_SIGNALED, &ticket),
                         BELAY_OK);
        wait_done(nodes, 2, 0, 1, ticket);
        assert_true(filled(node_region(&nodes[1]) + offset, length, (unsigned)i));
        assert_int_equal(node_region(&nodes[1])[offset - 1], 0);
        assert_int_equal(node_region(&nodes[1])[offset + length], 0);
    }
    nodes_destroy(nodes, 2);
}

static void reads_of_all_sizes_arrive(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    for (int i = 0; i < TRANSFERS; ++i) {
        size_t length = transfer_sizes[i], offset = 4096 + (size_t)i;
        fabric_ticket ticket;
        memset(node_region(&nodes[0]), 0, REGION_SIZE);
        fill(node_region(&nodes[1]) + offset, length, (unsigned)i);
        assert_int_equal(
            fabric_read(nodes[0].fabric, 1, offset, node_region(&nodes[0]) + 1, length, 0, &ticket),
            BELAY_OK);
        wait_done(nodes, 2, 0, 1, ticket);
        assert_true(filled(node_region(&nodes[0]) + 1, length, (unsigned)i));
        assert_int_equal(node_region(&nodes[0])[0], 0);
        assert_int_equal(node_region(&nodes[0])[length + 1], 0);
    }
    nodes_destroy(nodes, 2);
}

/* Longer than a device takes in one request (rxe: 8 MiB). */
static void a_transfer_longer_than_a_request_is_cut(void **state)
{
    (void)state;
    struct test_node nodes[2];
    size_t length = 9 * 1024 * 1024 + 5;
    fabric_ticket ticket;
    nodes_create(nodes, 2);
    fill(node_region(&nodes[0]), length, 1);
    assert_int_equal(
        fabric_write(nodes[0].fabric, 1, 3, node_region(&nodes[0]), length, FABRIC_SIGNALED, &ticket),
        BELAY_OK);
    wait_done(nodes, 2, 0, 1, ticket);
    assert_true(filled(node_region(&nodes[1]) + 3, length, 1));
    memset(node_region(&nodes[0]), 0, length);
    assert_int_equal(fabric_read(nodes[0].fabric, 1, 3, node_region(&nodes[0]), length, 0, &ticket),
                     BELAY_OK);
    wait_done(nodes, 2, 0, 1, ticket);
    assert_true(filled(node_region(&nodes[0]), length, 1));
    nodes_destroy(nodes, 2);
}

static void a_short_write_is_copied_when_posted(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    fabric_ticket ticket = 0;
    for (unsigned i = 0; i < 100; ++i) {
        unsigned char source[FABRIC_INLINE_MAX];
        fill(source, sizeof source, i);
        assert_int_equal(fabric_write(nodes[0].fabric, 1, i * sizeof source, source, sizeof source,
                                      i == 99 ? FABRIC_SIGNALED : FABRIC_MORE, &ticket),
                         BELAY_OK);
        memset(source, 0xee, sizeof source);
    }
    wait_done(nodes, 2, 0, 1, ticket);
    for (unsigned i = 0; i < 100; ++i)
        assert_true(filled(node_region(&nodes[1]) + i * FABRIC_INLINE_MAX, FABRIC_INLINE_MAX, i));
    nodes_destroy(nodes, 2);
}

static void ranges_are_checked(void **state)
{
    (void)state;
    struct test_node nodes[2];
    fabric_ticket ticket;
    nodes_create(nodes, 2);
    fabric *f = nodes[0].fabric;
    unsigned char *region = node_region(&nodes[0]), outside[FABRIC_INLINE_MAX + 1];
    assert_int_equal(fabric_write(f, 1, REGION_SIZE, region, 1, 0, &ticket), BELAY_ERR_INVALID);
    assert_int_equal(fabric_write(f, 1, REGION_SIZE - 1, region, 2, 0, &ticket), BELAY_ERR_INVALID);
    assert_int_equal(fabric_write(f, 1, UINT64_MAX, region, 2, 0, &ticket), BELAY_ERR_INVALID);
    assert_int_equal(fabric_read(f, 1, REGION_SIZE - 1, region, 2, 0, &ticket), BELAY_ERR_INVALID);
    assert_int_equal(fabric_write(f, 1, 0, outside, sizeof outside, 0, &ticket), BELAY_ERR_INVALID);
    assert_int_equal(fabric_read(f, 1, 0, outside, 1, 0, &ticket), BELAY_ERR_INVALID);
    assert_int_equal(fabric_write(f, 1, REGION_SIZE - 1, region, 1, FABRIC_SIGNALED, &ticket), BELAY_OK);
    wait_done(nodes, 2, 0, 1, ticket);
    nodes_destroy(nodes, 2);
}

/* ---- Order and tickets ---------------------------------------------------------------------------------------- */

/* A message says how many words were written before it. */
static void check_words(struct test_node *node, int peer, const void *message, size_t length)
{
    uint64_t count, word;
    (void)peer;
    assert_int_equal(length, sizeof count);
    memcpy(&count, message, sizeof count);
    memcpy(&word, node_region(node) + count % 1000 * sizeof word, sizeof word);
    assert_true(word >= count);
}

static void writes_are_placed_before_the_message_behind_them(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    nodes[1].on_message = check_words;
    for (uint64_t count = 1; count <= 3000; ++count) {
        fabric_ticket ticket;
        while (fabric_congested(nodes[0].fabric, 1))
            nodes_poll(nodes, 2);
        assert_int_equal(fabric_write(nodes[0].fabric, 1, count % 1000 * sizeof count, &count, sizeof count,
                                      FABRIC_MORE, &ticket),
                         BELAY_OK);
        node_send(&nodes[0], 1, &count, sizeof count, FABRIC_QUEUE);
    }
    poll_until(nodes, 2, nodes[1].messages == 3000);
    nodes_destroy(nodes, 2);
}

static void tickets_grow_and_a_later_one_implies_the_earlier(void **state)
{
    (void)state;
    struct test_node nodes[2];
    fabric_ticket tickets[50];
    nodes_create(nodes, 2);
    for (int i = 0; i < 50; ++i) {
        assert_int_equal(fabric_write(nodes[0].fabric, 1, 0, node_region(&nodes[0]), 100,
                                      i == 49 ? FABRIC_SIGNALED : 0, &tickets[i]),
                         BELAY_OK);
        assert_true(i == 0 || tickets[i] > tickets[i - 1]);
    }
    wait_done(nodes, 2, 0, 1, tickets[49]);
    for (int i = 0; i < 50; ++i)
        assert_true(fabric_done(nodes[0].fabric, 1, tickets[i]));
    assert_false(fabric_done(nodes[0].fabric, 1, tickets[49] + 1));
    nodes_destroy(nodes, 2);
}

static void a_fence_waits_for_all_before_it(void **state)
{
    (void)state;
    struct test_node nodes[2];
    fabric_ticket ticket, fence;
    nodes_create(nodes, 2);
    assert_int_equal(fabric_fence(nodes[0].fabric, 1, &fence), BELAY_OK);
    assert_true(fabric_done(nodes[0].fabric, 1, fence));
    for (unsigned round = 0; round < 20; ++round) {
        size_t length = 300 * 1024;
        fill(node_region(&nodes[0]), length, round);
        unsigned flags = round % 2 ? FABRIC_SIGNALED : round % 3 ? FABRIC_MORE : 0;
        assert_int_equal(fabric_write(nodes[0].fabric, 1, 0, node_region(&nodes[0]), length, flags, &ticket),
                         BELAY_OK);
        assert_int_equal(fabric_fence(nodes[0].fabric, 1, &fence), BELAY_OK);
        wait_done(nodes, 2, 0, 1, fence);
        assert_true(fabric_done(nodes[0].fabric, 1, ticket));
        assert_true(filled(node_region(&nodes[1]), length, round));
    }
    nodes_destroy(nodes, 2);
}

/* ---- Messages ------------------------------------------------------------------------------------------------- */

static void messages_of_all_sizes_arrive(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 8, 100, 255, 256, 257, 4096, 8191, FABRIC_MESSAGE_MAX};
    unsigned char message[FABRIC_MESSAGE_MAX + 1];
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        fill(message, sizes[i], i);
        struct iovec parts[3] = {
            {message, sizes[i] / 3}, {NULL, 0}, {message + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
        assert_int_equal(fabric_send(nodes[0].fabric, 1, parts, 3, 0), BELAY_OK);
        memset(message, 0xee, sizeof message);
        poll_until(nodes, 2, nodes[1].messages == i + 1);
        assert_int_equal(nodes[1].last_length, sizes[i]);
        assert_int_equal(nodes[1].last_peer, 0);
        assert_true(filled(nodes[1].last, sizes[i], i));
    }
    struct iovec part = {message, sizeof message};
    assert_int_equal(fabric_send(nodes[0].fabric, 1, &part, 1, FABRIC_QUEUE), BELAY_ERR_TOO_LARGE);
    nodes_destroy(nodes, 2);
}

/* Messages are numbered per sender; they must arrive in order, none missing. */
struct numbered {
    unsigned number, length;
};
static unsigned next_number[NODES_MAX][NODES_MAX];

static void check_number(struct test_node *node, int peer, const void *message, size_t length)
{
    struct numbered head;
    assert_true(length >= sizeof head);
    memcpy(&head, message, sizeof head);
    assert_int_equal(head.number, next_number[node->id][peer]++);
    assert_int_equal(head.length, length);
    assert_true(filled((const unsigned char *)message + sizeof head, length - sizeof head, head.number));
}

static void send_numbered(struct test_node *node, int peer, unsigned number, size_t length, unsigned flags)
{
    static unsigned char message[FABRIC_MESSAGE_MAX];
    struct numbered head = {number, (unsigned)length};
    memcpy(message, &head, sizeof head);
    fill(message + sizeof head, length - sizeof head, number);
    node_send(node, peer, message, length, flags);
}

/* Nobody polls while many more messages and writes are posted than queue, ring and credits hold. */
static void a_flood_without_polling_is_kept_and_arrives_in_order(void **state)
{
    (void)state;
    struct test_node nodes[2];
    struct fabric_stats stats;
    fabric_ticket ticket = 0;
    nodes_create(nodes, 2);
    memset(next_number, 0, sizeof next_number);
    nodes[1].on_message = check_number;
    for (unsigned i = 0; i < 2000; ++i) {
        send_numbered(&nodes[0], 1, i, sizeof(struct numbered) + i * 7 % 8000, FABRIC_QUEUE);
        assert_int_equal(fabric_write(nodes[0].fabric, 1, i * 8u, &i, sizeof i, 0, &ticket), BELAY_OK);
    }
    assert_true(fabric_congested(nodes[0].fabric, 1));
    fabric_stats(nodes[0].fabric, &stats);
    assert_true(stats.overflowed > 0);
    assert_int_equal(fabric_fence(nodes[0].fabric, 1, &ticket), BELAY_OK);
    wait_done(nodes, 2, 0, 1, ticket);
    poll_until(nodes, 2, nodes[1].messages == 2000);
    assert_false(fabric_congested(nodes[0].fabric, 1));
    for (unsigned i = 0; i < 2000; ++i)
        assert_memory_equal(node_region(&nodes[1]) + i * 8u, &i, sizeof i);
    nodes_destroy(nodes, 2);
}

/* Both sides flood each other; each must give credits back although its own messages wait for credits. */
static void floods_in_both_directions_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    memset(next_number, 0, sizeof next_number);
    for (int i = 0; i < 2; ++i)
        nodes[i].on_message = check_number;
    for (unsigned i = 0; i < 1500; ++i)
        for (int node = 0; node < 2; ++node)
            send_numbered(&nodes[node], !node, i, sizeof(struct numbered) + i % 500, FABRIC_QUEUE);
    poll_until(nodes, 2, nodes[0].messages == 1500 && nodes[1].messages == 1500);
    nodes_destroy(nodes, 2);
}

static void a_message_is_refused_without_credit_and_taken_later(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    unsigned sent = 0;
    struct iovec part = {&sent, sizeof sent};
    int result;
    poll_until(
        nodes, 2,
        (fabric_connect(nodes[0].fabric, 1), fabric_peer_state(nodes[0].fabric, 1) == FABRIC_CONNECTED));
    poll_until(nodes, 2, fabric_peer_state(nodes[1].fabric, 0) == FABRIC_CONNECTED);
    while ((result = fabric_send(nodes[0].fabric, 1, &part, 1, 0)) == BELAY_OK) {
        ++sent;
        fabric_poll(nodes[0].fabric); /* the peer does not poll */
        assert_true(sent < 100000);
    }
    assert_int_equal(result, FABRIC_AGAIN);
    assert_true(sent >= 8);
    poll_until(nodes, 2, nodes[1].messages == sent);
    for (unsigned i = 0; i < 1000;) {
        result = fabric_send(nodes[0].fabric, 1, &part, 1, 0);
        assert_true(result == BELAY_OK || result == FABRIC_AGAIN);
        i += result == BELAY_OK;
        nodes_poll(nodes, 2);
    }
    poll_until(nodes, 2, nodes[1].messages == sent + 1000);
    nodes_destroy(nodes, 2);
}

static void answer(struct test_node *node, int peer, const void *message, size_t length)
{
    node_send(node, peer, message, length, FABRIC_QUEUE | FABRIC_AWAITED);
}

static void a_handler_can_answer(void **state)
{
    (void)state;
    struct test_node nodes[4];
    nodes_create(nodes, 4);
    for (int i = 1; i < 4; ++i)
        nodes[i].on_message = answer;
    for (unsigned i = 0; i < 600; ++i) {
        struct iovec part = {&i, sizeof i};
        while (fabric_send(nodes[0].fabric, 1 + (int)(i % 3), &part, 1, 0) == FABRIC_AGAIN)
            nodes_poll(nodes, 4);
    }
    poll_until(nodes, 4, nodes[0].messages == 600);
    nodes_destroy(nodes, 4);
}

/* ---- Connecting ----------------------------------------------------------------------------------------------- */

static void all_connect_to_all_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 10; ++round) {
        struct test_node nodes[4];
        nodes_create(nodes, 4);
        for (int i = 0; i < 4; ++i)
            for (int j = 0; j < 4; ++j)
                if (i != j)
                    node_send(&nodes[i], j, &i, sizeof i, FABRIC_QUEUE);
        for (int i = 0; i < 4; ++i) {
            poll_until(nodes, 4, nodes[i].messages == 3);
            assert_int_equal(nodes[i].losses, 0);
            for (int j = 0; j < 4; ++j)
                assert_int_equal(fabric_peer_state(nodes[i].fabric, j),
                                 i == j ? FABRIC_UNKNOWN : FABRIC_CONNECTED);
        }
        nodes_destroy(nodes, 4);
    }
}

static void a_request_of_an_unknown_peer_waits_until_it_is_known(void **state)
{
    (void)state;
    struct test_node nodes[2];
    for (int i = 0; i < 2; ++i)
        node_create(&nodes[i], i, 2);
    nodes_introduce(&nodes[0], &nodes[1]);
    node_send(&nodes[0], 1, "early", 5, FABRIC_QUEUE);
    uint64_t end = clock_deadline(200);
    while (clock_now() < end)
        nodes_poll(nodes, 2);
    assert_int_equal(nodes[1].messages, 0);
    assert_int_equal(fabric_peer_state(nodes[0].fabric, 1), FABRIC_KNOWN);
    nodes_introduce(&nodes[1], &nodes[0]);
    poll_until(nodes, 2, nodes[1].messages == 1);
    nodes_destroy(nodes, 2);
}

/* ---- Sleeping, threads ---------------------------------------------------------------------------------------- */

struct sleeper {
    struct test_node *node;
    _Atomic bool stop;
    _Atomic unsigned sleeps;
};

static void *sleep_and_poll(void *argument)
{
    struct sleeper *sleeper = argument;
    while (!sleeper->stop) {
        while (fabric_poll(sleeper->node->fabric) > 0)
            ;
        ++sleeper->sleeps;
        fabric_sleep(sleeper->node->fabric, -1);
    }
    return NULL;
}

static void messages_wake_a_sleeping_node(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    nodes[1].on_message = answer;
    struct sleeper sleeper = {.node = &nodes[1]};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, sleep_and_poll, &sleeper), 0);
    for (unsigned i = 0; i < 50; ++i) {
        if (i % 10 == 0)
            usleep(20000);
        node_send(&nodes[0], 1, &i, sizeof i, FABRIC_QUEUE);
        poll_until(nodes, 1, nodes[0].messages == i + 1);
    }
    unsigned sleeps = sleeper.sleeps;
    usleep(300000);
    assert_true(sleeper.sleeps - sleeps <= 2); /* an idle node stays asleep */
    sleeper.stop = true;
    fabric_wake(nodes[1].fabric);
    pthread_join(thread, NULL);
    nodes_destroy(nodes, 2);
}

/* The sleeper's own writes end its sleep too. */
static void a_completion_wakes_a_sleeping_node(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    struct sleeper sleepers[2] = {{.node = &nodes[0]}, {.node = &nodes[1]}};
    pthread_t threads[2];
    for (int i = 0; i < 2; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_and_poll, &sleepers[i]), 0);
    for (unsigned i = 0; i < 30; ++i) {
        fabric_ticket ticket;
        usleep(i % 10 == 0 ? 20000 : 0);
        assert_int_equal(
            fabric_write(nodes[0].fabric, 1, 0, node_region(&nodes[0]), 1000, FABRIC_SIGNALED, &ticket),
            BELAY_OK);
        /* Nobody polls here: the progress thread must. It was asleep, maybe armed before the write: wake it as the
         * layer above does when it leaves work behind. */
        fabric_poller_enter(nodes[0].fabric);
        fabric_poller_leave(nodes[0].fabric);
        uint64_t end = clock_deadline(5000);
        while (!fabric_done(nodes[0].fabric, 1, ticket) && clock_now() < end)
            usleep(100);
        assert_true(fabric_done(nodes[0].fabric, 1, ticket));
    }
    for (int i = 0; i < 2; ++i) {
        sleepers[i].stop = true;
        fabric_wake(nodes[i].fabric);
        pthread_join(threads[i], NULL);
    }
    nodes_destroy(nodes, 2);
}

enum { THREADS = 4, THREAD_ROUNDS = 400 };

struct worker {
    struct test_node *nodes;
    int number;
    unsigned failures;
};

/* Each thread has its own part of both regions: writes there, reads back, compares; and sends now and then. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    fabric *f = worker->nodes[0].fabric;
    size_t share = REGION_SIZE / THREADS / 2, base = share * (size_t)worker->number;
    unsigned char *out = node_region(&worker->nodes[0]) + base, *in = out + REGION_SIZE / 2;
    for (unsigned round = 0; round < THREAD_ROUNDS; ++round) {
        size_t length = 1 + round * 37 % 5000;
        fabric_ticket ticket;
        fill(out, length, round);
        memset(in, 0, length);
        int result = fabric_write(f, 1, base, out, length, FABRIC_MORE, &ticket);
        if (result == BELAY_OK)
            result = fabric_read(f, 1, base, in, length, 0, &ticket);
        struct iovec part = {&round, sizeof round};
        if (result == BELAY_OK)
            result = fabric_send(f, 1, &part, 1, FABRIC_QUEUE);
        fabric_poller_enter(f);
        while (result == BELAY_OK && !fabric_done(f, 1, ticket) && fabric_peer_state(f, 1) != FABRIC_LOST)
            fabric_poll(f);
        fabric_poller_leave(f);
        worker->failures += result != BELAY_OK || !filled(in, length, round);
    }
    return NULL;
}

static void many_threads_post_at_once(void **state)
{
    (void)state;
    struct test_node nodes[2];
    nodes_create(nodes, 2);
    struct sleeper sleepers[2] = {{.node = &nodes[0]}, {.node = &nodes[1]}};
    struct worker workers[THREADS];
    pthread_t threads[THREADS], progress[2];
    for (int i = 0; i < 2; ++i)
        assert_int_equal(pthread_create(&progress[i], NULL, sleep_and_poll, &sleepers[i]), 0);
    for (int i = 0; i < THREADS; ++i) {
        workers[i] = (struct worker){nodes, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    uint64_t end = clock_deadline(10000);
    while (nodes[1].messages < THREADS * THREAD_ROUNDS && clock_now() < end)
        usleep(1000);
    assert_int_equal(nodes[1].messages, THREADS * THREAD_ROUNDS);
    for (int i = 0; i < 2; ++i) {
        sleepers[i].stop = true;
        fabric_wake(nodes[i].fabric);
        pthread_join(progress[i], NULL);
    }
    nodes_destroy(nodes, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_of_all_sizes_arrive),
        cmocka_unit_test(reads_of_all_sizes_arrive),
        cmocka_unit_test(a_transfer_longer_than_a_request_is_cut),
        cmocka_unit_test(a_short_write_is_copied_when_posted),
        cmocka_unit_test(ranges_are_checked),
        cmocka_unit_test(writes_are_placed_before_the_message_behind_them),
        cmocka_unit_test(tickets_grow_and_a_later_one_implies_the_earlier),
        cmocka_unit_test(a_fence_waits_for_all_before_it),
        cmocka_unit_test(messages_of_all_sizes_arrive),
        cmocka_unit_test(a_flood_without_polling_is_kept_and_arrives_in_order),
        cmocka_unit_test(floods_in_both_directions_do_not_wait_for_each_other),
        cmocka_unit_test(a_message_is_refused_without_credit_and_taken_later),
        cmocka_unit_test(a_handler_can_answer),
        cmocka_unit_test(all_connect_to_all_at_once),
        cmocka_unit_test(a_request_of_an_unknown_peer_waits_until_it_is_known),
        cmocka_unit_test(messages_wake_a_sleeping_node),
        cmocka_unit_test(a_completion_wakes_a_sleeping_node),
        cmocka_unit_test(many_threads_post_at_once),
    };
    verbs_nodes_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
