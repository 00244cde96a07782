/* SPDX-License-Identifier: BSD-3-Clause */
/* The contract of fabric.h between nodes of one host, in one process and in several. */
#include "fabric_node.h"

#include <pthread.h>

/* ---- Messages ------------------------------------------------------------------------------------------------- */

static void fill(unsigned char *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; ++i)
        bytes[i] = (unsigned char)(seed * 31 + i * 7 + i / 256);
}

/* Expects message number n to have the bytes of seed n, and the length that `own` points to. */
static void check_filled(struct node *node, int peer, const void *message, size_t length)
{
    unsigned char wanted[FABRIC_MESSAGE_MAX];
    (void)peer;
    assert_int_equal(length, *(const size_t *)node->own);
    fill(wanted, length, (unsigned)node->received);
    assert_memory_equal(message, wanted, length);
}

static void messages_of_all_lengths_arrive_whole_and_in_order(void **state)
{
    (void)state;
    struct node nodes[2];
    unsigned char text[FABRIC_MESSAGE_MAX];
    size_t length;
    pair_open(nodes);
    nodes[1].on_message = check_filled;
    nodes[1].own = &length;
    for (length = 0; length <= FABRIC_MESSAGE_MAX; ++length) {
        fill(text, length, (unsigned)length + 1);
        struct iovec parts[3] = {
            {text, length / 3}, {text + length / 3, 0}, {text + length / 3, length - length / 3}};
        assert_int_equal(fabric_send(nodes[0].f, 1, parts, 3, 0), BELAY_OK);
        fabric_poll(nodes[1].f);
        assert_int_equal(nodes[1].received, (int)length + 1);
    }
    assert_int_equal(node_stats(&nodes[0]).messages, FABRIC_MESSAGE_MAX + 1);
    pair_close(nodes);
}

/* Expects the numbers from 0 on. */
static void check_number(struct node *node, int peer, const void *message, size_t length)
{
    int number;
    (void)peer;
    assert_true(length >= sizeof number);
    memcpy(&number, message, sizeof number);
    assert_int_equal(number, node->received - 1);
}

static int send_number(struct node *node, int number, size_t length, unsigned flags)
{
    unsigned char text[FABRIC_MESSAGE_MAX] = {0};
    memcpy(text, &number, sizeof number);
    return node_send(node, 1, text, length, flags);
}

static void a_full_ring_says_so_and_takes_messages_again(void **state)
{
    (void)state;
    struct node nodes[2];
    int sent = 0;
    pair_open(nodes);
    nodes[1].on_message = check_number;
    for (int round = 0; round < 20; ++round) {
        int result;
        while ((result = send_number(&nodes[0], sent, 500, 0)) == BELAY_OK)
            ++sent;
        assert_int_equal(result, FABRIC_AGAIN);
        assert_true(sent > nodes[1].received + 50);
        node_poll_until(&nodes[1], nodes[1].received == sent);
    }
    assert_int_equal(node_stats(&nodes[0]).overflowed, 0);
    pair_close(nodes);
}

static void queued_messages_keep_their_order(void **state)
{
    (void)state;
    struct node nodes[2];
    int sent = 0;
    pair_open(nodes);
    nodes[1].on_message = check_number;
    while (sent < 3000)
        assert_int_equal(send_number(&nodes[0], sent++, 500, FABRIC_QUEUE), BELAY_OK);
    assert_true(node_stats(&nodes[0]).overflowed > 2000);
    assert_true(fabric_congested(nodes[0].f, 1));

    /* With room in the ring a later message must still not overtake those in the queue. */
    node_poll_until(&nodes[1], nodes[1].received > 60);
    assert_int_equal(send_number(&nodes[0], -1, 4, 0), FABRIC_AGAIN);
    assert_int_equal(send_number(&nodes[0], sent++, 500, FABRIC_QUEUE), BELAY_OK);

    while (nodes[1].received < sent) {
        fabric_poll(nodes[0].f);
        fabric_poll(nodes[1].f);
    }
    assert_false(fabric_congested(nodes[0].f, 1));
    assert_int_equal(send_number(&nodes[0], sent++, 4, 0), BELAY_OK);
    node_poll_until(&nodes[1], nodes[1].received == sent);
    pair_close(nodes);
}

enum { SENDERS = 6, EACH = 20000 };

struct numbered {
    int thread, number;
    unsigned char filler[80];
};

struct sender {
    struct node *node;
    int thread;
};

static void *send_many(void *argument)
{
    const struct sender *sender = argument;
    struct numbered text = {.thread = sender->thread};
    for (text.number = 0; text.number < EACH; ++text.number) {
        fill(text.filler, sizeof text.filler, (unsigned)(text.thread + text.number));
        size_t length = sizeof text - (size_t)text.number % sizeof text.filler;
        while (node_send(sender->node, 1, &text, length, text.number % 5 ? 0 : FABRIC_QUEUE) == FABRIC_AGAIN)
            node_poll(sender->node);
    }
    return NULL;
}

static void check_numbered(struct node *node, int peer, const void *message, size_t length)
{
    struct numbered text;
    unsigned char filler[sizeof text.filler];
    int *next = node->own;
    (void)peer;
    memcpy(&text, message, length);
    assert_in_range(text.thread, 0, SENDERS - 1);
    assert_int_equal(text.number, next[text.thread]++);
    assert_int_equal(length, sizeof text - (size_t)text.number % sizeof filler);
    fill(filler, sizeof filler, (unsigned)(text.thread + text.number));
    assert_memory_equal(text.filler, filler, length - offsetof(struct numbered, filler));
}

static void messages_of_many_threads_are_whole_and_in_each_ones_order(void **state)
{
    (void)state;
    struct node nodes[2];
    pthread_t threads[SENDERS];
    struct sender senders[SENDERS];
    int next[SENDERS] = {0};
    pair_open(nodes);
    nodes[1].on_message = check_numbered;
    nodes[1].own = next;
    for (int i = 0; i < SENDERS; ++i) {
        senders[i] = (struct sender){&nodes[0], i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    node_poll_until(&nodes[1], nodes[1].received == SENDERS * EACH);
    for (int i = 0; i < SENDERS; ++i)
        pthread_join(threads[i], NULL);
    pair_close(nodes);
}

/* Eight nodes with one talker must not keep the others from being heard. */
static void a_busy_peer_does_not_starve_another(void **state)
{
    (void)state;
    struct node nodes[3];
    for (int id = 0; id < 3; ++id)
        node_open(&nodes[id], id);
    for (int id = 0; id < 3; ++id)
        for (int peer = 0; peer < 3; ++peer)
            if (peer != id)
                assert_int_equal(node_add(&nodes[id], &nodes[peer]), BELAY_OK);
    while (node_send(&nodes[0], 1, "noise", 5, 0) == BELAY_OK)
        ;
    assert_int_equal(node_send(&nodes[2], 1, "quiet", 5, 0), BELAY_OK);
    fabric_poll(nodes[1].f);
    assert_in_range(nodes[1].received, 2, 100); /* one turn of node 0, and node 2 */
    int seen = nodes[1].received;
    while (node_send(&nodes[2], 1, "quiet", 5, 0) == BELAY_OK)
        ;
    fabric_poll(nodes[1].f);
    assert_true(nodes[1].received > seen + 16);
    for (int id = 0; id < 3; ++id)
        fabric_destroy(nodes[id].f);
}

/* ---- One-sided ------------------------------------------------------------------------------------------------ */

static void writes_and_reads_move_just_their_bytes(void **state)
{
    (void)state;
    struct node nodes[2];
    fabric_ticket ticket = 1;
    pair_open(nodes);
    unsigned char *here = node_region(&nodes[0]);
    unsigned char *there = node_region(&nodes[1]);
    unsigned char *scratch = here + REGION / 2;
    size_t total = 0;
    int posted = 0;
    for (size_t length = 1; length <= 70000; length += length < 80 ? 1 : length / 3 + 1) {
        for (size_t offset = 64; offset < 64 + 9; ++offset) {
            memset(there, 0, length + 200);
            fill(here, length, (unsigned)(length + offset));
            assert_int_equal(fabric_write(nodes[0].f, 1, offset, here, length, FABRIC_SIGNALED, &ticket),
                             BELAY_OK);
            assert_true(fabric_done(nodes[0].f, 1, ticket));
            assert_memory_equal(there + offset, here, length);
            assert_int_equal(there[offset - 1] | there[offset + length], 0);

            memset(scratch, 0, length + 2);
            assert_int_equal(fabric_read(nodes[0].f, 1, offset, scratch + 1, length, 0, &ticket), BELAY_OK);
            assert_true(fabric_done(nodes[0].f, 1, ticket));
            assert_memory_equal(scratch + 1, here, length);
            assert_int_equal(scratch[0] | scratch[length + 1], 0);
            total += length;
            ++posted;
        }
    }
    assert_int_equal(fabric_fence(nodes[0].f, 1, &ticket), BELAY_OK);
    assert_true(fabric_done(nodes[0].f, 1, ticket));
    assert_ptr_not_equal(fabric_map(nodes[0].f, 1), there);
    assert_memory_equal(fabric_map(nodes[0].f, 1), there, REGION);
    struct fabric_stats stats = node_stats(&nodes[0]);
    assert_int_equal(stats.writes, posted);
    assert_int_equal(stats.reads, posted);
    assert_int_equal(stats.bytes_written, total);
    assert_int_equal(stats.bytes_read, total);
    assert_int_equal(stats.peers_shm, 1);
    assert_int_equal(stats.peers_verbs, 0);
    assert_int_equal(stats.connected, 1);
    pair_close(nodes);
}

static void what_is_out_of_range_is_refused_and_touches_nothing(void **state)
{
    (void)state;
    struct node nodes[2];
    unsigned char outside[FABRIC_INLINE_MAX + 1] = {[FABRIC_INLINE_MAX] = 3};
    fabric_ticket ticket = 99;
    pair_open(nodes);
    fabric *f = nodes[0].f;
    unsigned char *here = node_region(&nodes[0]);
    memset(here, 0xee, REGION);
    const struct {
        uint64_t offset;
        size_t length;
    } bad[] = {{REGION, 1},         {REGION - 7, 8},   {0, REGION + 1},        {UINT64_MAX, 1},
               {UINT64_MAX - 7, 8}, {8, SIZE_MAX - 3}, {UINT64_MAX - 100, 200}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        assert_int_equal(fabric_write(f, 1, bad[i].offset, here, bad[i].length, 0, &ticket),
                         BELAY_ERR_INVALID);
        assert_int_equal(fabric_read(f, 1, bad[i].offset, here, bad[i].length, 0, &ticket),
                         BELAY_ERR_INVALID);
    }
    assert_int_equal(ticket, 99);
    const unsigned char *there = node_region(&nodes[1]);
    for (size_t i = 0; i < REGION; ++i)
        assert_int_equal(there[i], 0);

    /* A mapped peer's bytes may come from and go anywhere. */
    assert_int_equal(fabric_write(f, 1, REGION - sizeof outside, outside, sizeof outside, 0, &ticket),
                     BELAY_OK);
    assert_int_equal(fabric_read(f, 1, REGION - 1, outside, 1, 0, &ticket), BELAY_OK);
    assert_int_equal(outside[0], 3);
    assert_int_equal(fabric_write(f, 1, REGION, here, 0, 0, &ticket), BELAY_OK);
    assert_int_equal(there[REGION - 1], 3);
    pair_close(nodes);
}

static void bad_messages_and_peers_are_refused(void **state)
{
    (void)state;
    struct node nodes[2];
    unsigned char text[FABRIC_MESSAGE_MAX + 1] = {0};
    struct iovec parts[FABRIC_IOV_MAX + 1] = {{text, 1}, {text, 1}, {text, 1}, {text, 1}, {text, 1}};
    fabric_ticket ticket;
    pair_open(nodes);
    fabric *f = nodes[0].f;
    assert_int_equal(node_send(&nodes[0], 1, text, sizeof text, 0), BELAY_ERR_TOO_LARGE);
    parts[1].iov_len = SIZE_MAX;
    assert_int_equal(fabric_send(f, 1, parts, 3, 0), BELAY_ERR_TOO_LARGE);
    parts[1].iov_len = 1;
    assert_int_equal(fabric_send(f, 1, parts, FABRIC_IOV_MAX + 1, 0), BELAY_ERR_INVALID);
    assert_int_equal(fabric_send(f, 1, parts, -1, 0), BELAY_ERR_INVALID);
    const int strangers[] = {-1, 0, 2, NODES_MAX, 1 << 30};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; ++i) {
        int peer = strangers[i];
        assert_int_equal(fabric_send(f, peer, parts, 1, 0), BELAY_ERR_INVALID);
        assert_int_equal(fabric_write(f, peer, 0, text, 1, 0, &ticket), BELAY_ERR_INVALID);
        assert_int_equal(fabric_fence(f, peer, &ticket), BELAY_ERR_INVALID);
        assert_int_equal(fabric_connect(f, peer), BELAY_ERR_INVALID);
        assert_int_equal(fabric_peer_state(f, peer), FABRIC_UNKNOWN);
        assert_null(fabric_map(f, peer));
        fabric_cut(f, peer);
    }
    assert_int_equal(fabric_connect(f, 1), BELAY_OK);
    assert_int_equal(fabric_peer_state(f, 1), FABRIC_CONNECTED);
    assert_string_equal(fabric_peer_transport(f, 1), "shm");
    fabric_poll(nodes[1].f);
    assert_int_equal(nodes[1].received, 0);
    pair_close(nodes);
}

/* ---- Order: across processes, a message is handled after the writes before it -------------------------------------- */

enum { ROUNDS = 20000, AREA = 3000, AREAS = 64, AREA_STEP = 4096 };

/* Announces that an area was filled with a byte, so many bytes of it. */
struct announcement {
    uint32_t round, length;
};

static unsigned char byte_of(uint32_t round)
{
    return (unsigned char)(round % 255 + 1);
}

static size_t area_of(uint32_t round)
{
    return AREA_STEP + (size_t)(round % AREAS) * AREA_STEP;
}

static void check_area(struct node *node, int peer, const void *message, size_t length)
{
    struct announcement text;
    fabric_ticket ticket;
    assert_int_equal(length, sizeof text);
    memcpy(&text, message, sizeof text);
    const unsigned char *area = node_region(node) + area_of(text.round);
    for (uint32_t i = 0; i < text.length; ++i)
        assert_int_equal(area[i], byte_of(text.round));
    uint64_t last;
    memcpy(&last, area + AREA + 8, sizeof last);
    assert_int_equal(last, text.round);
    fabric_write(node->f, peer, 0, &last, sizeof last, 0, &ticket); /* the area may be used again */
}

static void write_and_announce(struct meeting *meeting)
{
    struct node node;
    node_meet(&node, meeting, 0, 1);
    unsigned char *scratch = node_region(&node) + 64;
    const _Atomic uint64_t *checked = (const _Atomic uint64_t *)(void *)node_region(&node);
    for (uint32_t round = 1; round <= ROUNDS; ++round) {
        struct announcement text = {round, round * 37 % AREA};
        uint64_t last = round;
        fabric_ticket ticket;
        while (round - atomic_load(checked) > AREAS - 1)
            node_poll(&node);
        memset(scratch, byte_of(round), text.length);
        fabric_write(node.f, 1, area_of(round), scratch, text.length, 0, &ticket);
        fabric_write(node.f, 1, area_of(round) + AREA + 8, &last, sizeof last, 0, &ticket);
        assert_int_equal(node_send(&node, 1, &text, sizeof text, 0), BELAY_OK);
    }
    fabric_destroy(node.f);
    _exit(0);
}

static void a_message_is_handled_after_the_writes_before_it(void **state)
{
    (void)state;
    struct meeting *meeting = meeting_make();
    struct node node;
    pid_t child = fork_node();
    if (child == 0)
        write_and_announce(meeting);
    node_meet(&node, meeting, 1, 0);
    node.on_message = check_area;
    node_poll_until(&node, node.received == ROUNDS);
    assert_int_equal(child_status(child), 0);
    node_poll_until(&node, node.lost == 1);
    fabric_destroy(node.f);
    munmap(meeting, sizeof *meeting);
}

/* ---- Loss ----------------------------------------------------------------------------------------------------- */

static void assert_unreachable(struct node *node, int peer)
{
    fabric_ticket ticket;
    assert_int_equal(fabric_peer_state(node->f, peer), FABRIC_LOST);
    assert_int_equal(node_send(node, peer, "x", 1, FABRIC_QUEUE), BELAY_ERR_NODE_FAILED);
    assert_int_equal(fabric_write(node->f, peer, 0, "x", 1, 0, &ticket), BELAY_ERR_NODE_FAILED);
    assert_int_equal(fabric_read(node->f, peer, 0, node_region(node), 1, 0, &ticket), BELAY_ERR_NODE_FAILED);
    assert_int_equal(fabric_fence(node->f, peer, &ticket), BELAY_ERR_NODE_FAILED);
    assert_int_equal(fabric_connect(node->f, peer), BELAY_ERR_NODE_FAILED);
}

static void write_a_header(struct node *sender, uint64_t position, uint64_t header)
{
    size_t size;
    struct control *control = control_map(sender, &size);
    size_t ring = control_ring_offset(size - NODES_MAX * RING_SIZE, 1);
    *(uint64_t *)(void *)((unsigned char *)control + ring + position) = header;
    munmap(control, size);
}

static void a_peer_that_sends_malformed_messages_is_cut_off(void **state)
{
    (void)state;
    const uint64_t bad[] = {UINT64_MAX, UINT64_C(1) << 32 | 1u << 31 | (FABRIC_MESSAGE_MAX + 1), 8};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        struct node nodes[2];
        pair_open(nodes);
        assert_int_equal(node_send(&nodes[0], 1, "good", 4, 0), BELAY_OK);
        write_a_header(&nodes[0], RING_LINE, bad[i]);
        while (fabric_poll(nodes[1].f))
            ;
        assert_int_equal(nodes[1].received, 1);
        assert_int_equal(nodes[1].lost, 1);
        assert_int_equal(node_stats(&nodes[1]).malformed, 1);
        assert_non_null(strstr(nodes[1].why, "malformed"));
        assert_unreachable(&nodes[1], 0);
        fabric_poll(nodes[0].f);
        assert_int_equal(nodes[0].lost, 1);
        pair_close(nodes);
    }
}

static void a_peer_that_leaves_is_lost_after_its_last_message(void **state)
{
    (void)state;
    for (int talked = 0; talked < 2; ++talked) {
        struct node nodes[2];
        pair_open(nodes);
        if (talked)
            while (node_send(&nodes[0], 1, "the last", 8, 0) == BELAY_OK)
                ;
        int sent = (int)node_stats(&nodes[0]).messages;
        fabric_destroy(nodes[0].f);
        node_poll_until(&nodes[1], nodes[1].lost);
        assert_int_equal(nodes[1].received, sent);
        assert_int_equal(nodes[1].lost_peer, 0);
        assert_non_null(strstr(nodes[1].why, "left"));
        assert_unreachable(&nodes[1], 0);
        for (int i = 0; i < 1000; ++i)
            fabric_poll(nodes[1].f);
        assert_int_equal(nodes[1].lost, 1);
        fabric_destroy(nodes[1].f);
    }
}

static void cut_the_sender(struct node *node, int peer, const void *message, size_t length)
{
    (void)message;
    (void)length;
    fabric_cut(node->f, peer);
}

/* A peer that said that it would go, and went: the end in its ring is found when it has been cut off already. */
static void a_peer_that_is_cut_off_after_it_has_left_is_drained(void **state)
{
    (void)state;
    struct node nodes[2];
    pair_open(nodes);
    assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    fabric_cut(nodes[0].f, 1);
    fabric_cut(nodes[1].f, 0);
    for (int i = 0; i < 10; ++i)
        fabric_poll(nodes[1].f);
    assert_true(fabric_drained(nodes[1].f, 0));
    assert_int_equal(fabric_poll(nodes[1].f), 0);
    assert_int_equal(nodes[1].received, 1);
    assert_int_equal(nodes[1].lost, 0);
    pair_close(nodes);
}

/* What had arrived is still heard, what comes later is not. */
static void a_peer_that_is_cut_off_is_heard_no_more_and_knows_it(void **state)
{
    (void)state;
    struct node nodes[2];
    pair_open(nodes);
    nodes[1].on_message = cut_the_sender;
    for (int i = 0; i < 3; ++i)
        assert_int_equal(node_send(&nodes[0], 1, "x", 1, 0), BELAY_OK);
    while (node_send(&nodes[1], 0, "x", 1, 0) == BELAY_OK)
        ;
    assert_int_equal(node_send(&nodes[1], 0, "x", 1, FABRIC_QUEUE), BELAY_OK);
    for (int i = 0; i < 10; ++i)
        fabric_poll(nodes[1].f);
    assert_true(fabric_drained(nodes[1].f, 0));
    assert_int_equal(nodes[1].received, 3);
    assert_int_equal(nodes[1].lost, 0);
    node_send(&nodes[0], 1, "late", 4, 0);
    for (int i = 0; i < 10; ++i)
        fabric_poll(nodes[1].f);
    assert_int_equal(nodes[1].received, 3);
    assert_unreachable(&nodes[1], 0);
    node_poll_until(&nodes[0], nodes[0].lost == 1);
    assert_unreachable(&nodes[0], 1);
    pair_close(nodes);
}

static void live_until_killed(struct meeting *meeting)
{
    struct node node;
    node_meet(&node, meeting, 0, 1);
    strcpy((char *)node_region(&node), "still here");
    for (int i = 0; i < 5; ++i)
        send_number(&node, i, 100, 0);
    atomic_store(&meeting->words[0], 1);
    pause();
}

/* @p asleep: find out by sleeping; else by polling alone. */
static void expect_loss_of_killed(bool asleep)
{
    struct meeting *meeting = meeting_make();
    struct node node;
    pid_t child = fork_node();
    if (child == 0)
        live_until_killed(meeting);
    node_meet(&node, meeting, 1, 0);
    node.on_message = check_number;
    while (!atomic_load(&meeting->words[0]))
        usleep(100);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);

    uint64_t start = clock_now();
    while (!node.lost && clock_now() - start < PATIENCE_MS * NANOSECONDS_PER_MS) {
        if (asleep)
            assert_int_equal(fabric_sleep(node.f, PATIENCE_MS), BELAY_OK);
        fabric_poll(node.f);
    }
    uint64_t took = clock_now() - start;
    assert_int_equal(node.lost, 1);
    assert_int_equal(node.received, 5);
    assert_non_null(strstr(node.why, "ended"));
    assert_true(took < 2000 * NANOSECONDS_PER_MS);
    assert_unreachable(&node, 0);
    assert_string_equal(fabric_map(node.f, 0), "still here");
    assert_int_equal(fabric_sleep(node.f, 1), BELAY_OK);
    assert_int_equal(node.lost, 1);
    fabric_destroy(node.f);
    munmap(meeting, sizeof *meeting);
}

static void the_death_of_a_process_ends_a_sleep(void **state)
{
    (void)state;
    expect_loss_of_killed(true);
}

static void the_death_of_a_process_is_seen_by_polling(void **state)
{
    (void)state;
    expect_loss_of_killed(false);
}

static void a_new_life_of_a_lost_node_takes_its_place(void **state)
{
    (void)state;
    struct node nodes[2];
    struct fabric_address former;
    pair_open(nodes);
    for (int life = 0; life < 4; ++life) {
        for (int i = 0; i < 300; ++i) {
            assert_int_equal(node_send(&nodes[0], 1, "to and fro", 10, 0), BELAY_OK);
            assert_int_equal(node_send(&nodes[1], 0, "to and fro", 10, 0), BELAY_OK);
            fabric_poll(nodes[0].f);
            if (i < 250)
                fabric_poll(nodes[1].f);
        }
        assert_int_equal(nodes[0].received, 300);
        nodes[1].received = 0;
        fabric_local_address(nodes[0].f, &former);
        fabric_destroy(nodes[0].f);
        node_poll_until(&nodes[1], nodes[1].lost == life + 1);
        assert_int_equal(nodes[1].received, 50);
        nodes[1].received = 0;

        node_open(&nodes[0], 0);
        assert_int_equal(fabric_add_peer(nodes[1].f, 0, &former), BELAY_ERR_REFUSED);
        if (life % 2) { /* the new one writes first, or is known first */
            assert_int_equal(node_add(&nodes[0], &nodes[1]), BELAY_OK);
            assert_int_equal(node_send(&nodes[0], 1, "early", 5, 0), BELAY_OK);
            fabric_poll(nodes[0].f);
            assert_int_equal(node_add(&nodes[1], &nodes[0]), BELAY_OK);
            node_poll_until(&nodes[1], nodes[1].received == 1);
        } else {
            assert_int_equal(node_add(&nodes[1], &nodes[0]), BELAY_OK);
            assert_int_equal(node_send(&nodes[1], 0, "early", 5, 0), BELAY_OK);
            assert_int_equal(node_add(&nodes[0], &nodes[1]), BELAY_OK);
            node_poll_until(&nodes[0], nodes[0].received == 1);
        }
        nodes[0].received = nodes[1].received = 0;
        assert_int_equal(fabric_peer_state(nodes[1].f, 0), FABRIC_CONNECTED);
        assert_int_equal(nodes[1].lost, life + 1);
    }
    pair_close(nodes);
}

/* ---- Peers that are not taken ---------------------------------------------------------------------------------- */

/* Change the card of node 0 with @p change and offer it to node 1. */
static int offer(struct node nodes[2], void (*change)(struct fabric_card *card, struct shm_card *part))
{
    struct fabric_card card;
    struct shm_card part;
    struct fabric_address address;
    fabric_local_address(nodes[0].f, &address);
    memcpy(&card, &address, sizeof card);
    memcpy(&part, card.shm, sizeof part);
    change(&card, &part);
    memcpy(card.shm, &part, sizeof part);
    memcpy(&address, &card, sizeof address);
    return fabric_add_peer(nodes[1].f, 0, &address);
}

#define CHANGE(name, statement)                                                                              \
    static void name(struct fabric_card *card, struct shm_card *part)                                        \
    {                                                                                                        \
        (void)card;                                                                                          \
        (void)part;                                                                                          \
        statement;                                                                                           \
    }

CHANGE(nothing, (void)0)
CHANGE(magic, card->magic ^= 1)
CHANGE(protocol, card->protocol += 1)
CHANGE(node, card->node = 2)
CHANGE(no_region, card->region_size = 0)
CHANGE(larger_region, card->region_size += 4096)
CHANGE(absurd_region, card->region_size = UINT64_MAX)
CHANGE(incarnation, card->incarnation ^= 2)
CHANGE(other_host, card->host[3] ^= 1)
CHANGE(no_transport, card->transports = 0)
CHANGE(started, part->process.started -= 1)
CHANGE(pid, part->process.pid = 0x3ffffff)
CHANGE(swapped_files, part->control_file = part->region_file)
CHANGE(no_memory_file, part->control_file = part->wake_writer)
CHANGE(no_file, part->control_file = 1 << 20)
CHANGE(no_wake_pipe, part->wake_writer = 1 << 20)
CHANGE(few_peers, part->peers_max = 1)
CHANGE(many_peers, part->peers_max = UINT32_MAX)
CHANGE(verbs_part, card->verbs[5] ^= 1)

static void addresses_that_do_not_hold_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        void (*change)(struct fabric_card *card, struct shm_card *part);
        int result;
    } cases[] = {{"magic", magic, BELAY_ERR_REFUSED},
                 {"protocol", protocol, BELAY_ERR_REFUSED},
                 {"node", node, BELAY_ERR_REFUSED},
                 {"no region", no_region, BELAY_ERR_REFUSED},
                 {"larger region", larger_region, BELAY_ERR_REFUSED},
                 {"absurd region", absurd_region, BELAY_ERR_REFUSED},
                 {"incarnation", incarnation, BELAY_ERR_REFUSED},
                 {"other host", other_host, BELAY_ERR_NOT_SUPPORTED},
                 {"no transport", no_transport, BELAY_ERR_NOT_SUPPORTED},
                 {"start time", started, BELAY_ERR_NODE_FAILED},
                 {"pid", pid, BELAY_ERR_NODE_FAILED},
                 {"swapped files", swapped_files, BELAY_ERR_REFUSED},
                 {"no memory file", no_memory_file, BELAY_ERR_REFUSED},
                 {"no file", no_file, BELAY_ERR_NODE_FAILED},
                 {"no wake pipe", no_wake_pipe, BELAY_ERR_NODE_FAILED},
                 {"few peers", few_peers, BELAY_ERR_REFUSED},
                 {"many peers", many_peers, BELAY_ERR_REFUSED},
                 {"verbs part", verbs_part, BELAY_ERR_REFUSED}};
    struct node nodes[2];
    node_open(&nodes[0], 0);
    node_open(&nodes[1], 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        int result = offer(nodes, cases[i].change);
        if (result != cases[i].result)
            print_error("changed: %s\n", cases[i].name);
        assert_int_equal(result, cases[i].result);
        assert_int_equal(fabric_peer_state(nodes[1].f, 0), FABRIC_UNKNOWN);
    }
    assert_int_equal(offer(nodes, nothing), BELAY_OK);
    assert_int_equal(offer(nodes, nothing), BELAY_OK); /* once more the same */
    assert_int_equal(offer(nodes, incarnation), BELAY_ERR_INVALID);
    assert_int_equal(fabric_peer_state(nodes[1].f, 0), FABRIC_CONNECTED);
    assert_int_equal(node_add(&nodes[0], &nodes[0]), BELAY_ERR_INVALID);
    pair_close(nodes);
}

static void a_node_with_another_secret_is_refused(void **state)
{
    (void)state;
    struct node nodes[2];
    node_open(&nodes[0], 0);
    struct fabric_options options = node_options(&nodes[1], 1);
    options.secret[FABRIC_SECRET_SIZE - 1] ^= 1;
    assert_int_equal(fabric_create(&options, &nodes[1].f), BELAY_OK);
    assert_int_equal(node_add(&nodes[0], &nodes[1]), BELAY_ERR_REFUSED);
    assert_int_equal(node_add(&nodes[1], &nodes[0]), BELAY_ERR_REFUSED);
    pair_close(nodes);
}

static void a_process_that_has_ended_is_refused(void **state)
{
    (void)state;
    struct meeting *meeting = meeting_make();
    struct node own;
    pid_t child = fork_node();
    if (child == 0) {
        node_open(&own, 0);
        fabric_local_address(own.f, &meeting->addresses[0]);
        _exit(0);
    }
    assert_int_equal(child_status(child), 0);
    node_open(&own, 1);
    assert_int_equal(fabric_add_peer(own.f, 0, &meeting->addresses[0]), BELAY_ERR_NODE_FAILED);
    fabric_destroy(own.f);
    munmap(meeting, sizeof *meeting);
}

static void test_hosts_are_apart(void **state)
{
    (void)state;
    struct node nodes[2];
    node_open(&nodes[0], 0);
    setenv("BELAY_TEST_HOST", "another", 1);
    node_open(&nodes[1], 1);
    unsetenv("BELAY_TEST_HOST");
    assert_int_equal(node_add(&nodes[0], &nodes[1]), BELAY_ERR_NOT_SUPPORTED);
    pair_close(nodes);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    struct node own;
    const struct fabric_options good = node_options(&own, 3);
    struct fabric_options options;
#define EXPECT_REFUSED(change)                                                                               \
    options = good;                                                                                          \
    options.change;                                                                                          \
    assert_int_equal(fabric_create(&options, &own.f), BELAY_ERR_INVALID)
    EXPECT_REFUSED(node = -1);
    EXPECT_REFUSED(node = NODES_MAX);
    EXPECT_REFUSED(peers_max = 0);
    EXPECT_REFUSED(peers_max = BELAY_NODES_MAX + 1);
    EXPECT_REFUSED(region_size = 0);
    EXPECT_REFUSED(region_size = 1000);
    EXPECT_REFUSED(region_size = SIZE_MAX - 4095);
    EXPECT_REFUSED(handler.message = NULL);
    EXPECT_REFUSED(handler.lost = NULL);
    EXPECT_REFUSED(shm = false);
    assert_null(own.f);
    fabric_destroy(NULL);
}

/* ---- Memory --------------------------------------------------------------------------------------------------- */

static size_t pages_of(int file)
{
    struct {
        char text[64];
    } path;
    FILE *opened;
    long long blocks = -1;
    snprintf(path.text, sizeof path.text, "stat -L -c %%b /proc/%ld/fd/%d", (long)getpid(), file);
    opened = popen(path.text, "r");
    assert_non_null(opened);
    assert_int_equal(fscanf(opened, "%lld", &blocks), 1);
    pclose(opened);
    return (size_t)blocks * 512 / (size_t)sysconf(_SC_PAGESIZE);
}

static void pairs_that_never_talk_cost_no_rings(void **state)
{
    (void)state;
    struct node nodes[NODES_MAX];
    for (int id = 0; id < NODES_MAX; ++id)
        node_open(&nodes[id], id);
    for (int id = 0; id < NODES_MAX; ++id)
        for (int peer = 0; peer < NODES_MAX; ++peer)
            if (peer != id)
                assert_int_equal(node_add(&nodes[id], &nodes[peer]), BELAY_OK);
    for (int id = 0; id < NODES_MAX; ++id)
        for (int i = 0; i < 100; ++i)
            fabric_poll(nodes[id].f);
    for (int id = 0; id < NODES_MAX; ++id) {
        struct fabric_card card;
        struct shm_card part;
        struct fabric_address address;
        fabric_local_address(nodes[id].f, &address);
        memcpy(&card, &address, sizeof card);
        memcpy(&part, card.shm, sizeof part);
        assert_in_range(pages_of(part.control_file), 1, 2);
        assert_int_equal(pages_of(part.region_file), 0);
    }
    for (int id = 0; id < NODES_MAX; ++id)
        fabric_destroy(nodes[id].f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_all_lengths_arrive_whole_and_in_order),
        cmocka_unit_test(a_full_ring_says_so_and_takes_messages_again),
        cmocka_unit_test(queued_messages_keep_their_order),
        cmocka_unit_test(messages_of_many_threads_are_whole_and_in_each_ones_order),
        cmocka_unit_test(a_busy_peer_does_not_starve_another),
        cmocka_unit_test(writes_and_reads_move_just_their_bytes),
        cmocka_unit_test(what_is_out_of_range_is_refused_and_touches_nothing),
        cmocka_unit_test(bad_messages_and_peers_are_refused),
        cmocka_unit_test(a_message_is_handled_after_the_writes_before_it),
        cmocka_unit_test(a_peer_that_sends_malformed_messages_is_cut_off),
        cmocka_unit_test(a_peer_that_leaves_is_lost_after_its_last_message),
        cmocka_unit_test(a_peer_that_is_cut_off_after_it_has_left_is_drained),
        cmocka_unit_test(a_peer_that_is_cut_off_is_heard_no_more_and_knows_it),
        cmocka_unit_test(the_death_of_a_process_ends_a_sleep),
        cmocka_unit_test(the_death_of_a_process_is_seen_by_polling),
        cmocka_unit_test(a_new_life_of_a_lost_node_takes_its_place),
        cmocka_unit_test(addresses_that_do_not_hold_are_refused),
        cmocka_unit_test(a_node_with_another_secret_is_refused),
        cmocka_unit_test(a_process_that_has_ended_is_refused),
        cmocka_unit_test(test_hosts_are_apart),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(pairs_that_never_talk_cost_no_rings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
