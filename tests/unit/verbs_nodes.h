/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes for the tests of the verbs transport: a few fabrics in one process, each with what its handler saw. The tests
 * need an RDMA device; verbs_nodes_skip() ends the program with status 77 and the reason where there is none.
 */
#ifndef BELAY_TEST_VERBS_NODES_H
#define BELAY_TEST_VERBS_NODES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "belay.h"
#include "fabric/fabric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REGION_SIZE = 16 * 1024 * 1024, NODES_MAX = 4 };

struct test_node {
    fabric *fabric;
    int id;
    /* What the handler saw. */
    unsigned messages, losses;
    size_t last_length;
    unsigned char last[FABRIC_MESSAGE_MAX];
    char why[256];
    int last_peer;
    void (*on_message)(struct test_node *node, int peer, const void *message, size_t length);
};

static inline void node_message(void *context, int peer, const void *message, size_t length)
{
    struct test_node *node = context;
    ++node->messages;
    node->last_peer = peer;
    node->last_length = length;
    if (length > 0)
        memcpy(node->last, message, length);
    if (node->on_message)
        node->on_message(node, peer, message, length);
}

static inline void node_lost(void *context, int peer, const char *why)
{
    struct test_node *node = context;
    ++node->losses;
    node->last_peer = peer;
    snprintf(node->why, sizeof node->why, "%s", why);
}

static inline struct fabric_options node_options(struct test_node *node, int id, int peers_max)
{
    struct fabric_options options = {
        .node = id,
        .peers_max = peers_max,
        .verbs = true,
        .region_size = REGION_SIZE,
        .secret = "secret of tests",
        .timeout_ms = 10000,
        .handler = {.message = node_message, .lost = node_lost, .context = node}};
    return options;
}

static inline void node_create(struct test_node *node, int id, int peers_max)
{
    struct fabric_options options = node_options(node, id, peers_max);
    memset(node, 0, sizeof *node);
    node->id = id;
    assert_int_equal(fabric_create(&options, &node->fabric), BELAY_OK);
}

static inline void nodes_introduce(struct test_node *a, struct test_node *b)
{
    struct fabric_address address;
    fabric_local_address(b->fabric, &address);
    assert_int_equal(fabric_add_peer(a->fabric, b->id, &address), BELAY_OK);
}

static inline void nodes_create(struct test_node *nodes, int count)
{
    for (int i = 0; i < count; ++i)
        node_create(&nodes[i], i, count);
    for (int i = 0; i < count; ++i)
        for (int j = 0; j < count; ++j)
            if (i != j)
                nodes_introduce(&nodes[i], &nodes[j]);
}

static inline void nodes_destroy(struct test_node *nodes, int count)
{
    for (int i = 0; i < count; ++i)
        fabric_destroy(nodes[i].fabric);
}

static inline void nodes_poll(struct test_node *nodes, int count)
{
    for (int i = 0; i < count; ++i)
        if (nodes[i].fabric)
            fabric_poll(nodes[i].fabric);
}

/* Poll all nodes until a condition holds; a test that waits for more than 20 s fails. */
#define poll_until(nodes, count, condition)                                                                  \
    do {                                                                                                     \
        uint64_t poll_deadline = clock_deadline(20000);                                                      \
        while (!(condition)) {                                                                               \
            nodes_poll(nodes, count);                                                                        \
            if (clock_now() > poll_deadline)                                                                 \
                fail_msg("not within 20 s: %s", #condition);                                                 \
        }                                                                                                    \
    } while (0)

static inline void node_send(struct test_node *node, int peer, const void *message, size_t length,
                             unsigned flags)
{
    struct iovec part = {(void *)(uintptr_t)message, length};
    assert_int_equal(fabric_send(node->fabric, peer, &part, 1, flags), BELAY_OK);
}

/* Fill memory with bytes that depend on their place and a seed. */
static inline void fill(unsigned char *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; ++i)
        bytes[i] = (unsigned char)(i * 31 + (i >> 8) * 17 + seed);
}

static inline bool filled(const unsigned char *bytes, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; ++i)
        if (bytes[i] != (unsigned char)(i * 31 + (i >> 8) * 17 + seed))
            return false;
    return true;
}

static inline unsigned char *node_region(const struct test_node *node)
{
    return fabric_region(node->fabric);
}

/* Ends the program where no RDMA device works. */
static inline void verbs_nodes_skip(void)
{
    struct test_node node = {0};
    struct fabric_options options = node_options(&node, 0, 2);
    int result = fabric_create(&options, &node.fabric);
    if (result == BELAY_ERR_NO_DEVICE || result == BELAY_ERR_NOT_SUPPORTED) {
        printf("SKIP: no RDMA device here\n");
        exit(77);
    }
    if (result != BELAY_OK)
        exit(1);
    printf("device: %s\n", fabric_device_text(node.fabric));
    fabric_destroy(node.fabric);
}

#endif
