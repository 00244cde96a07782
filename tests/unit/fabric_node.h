/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes of a fabric for tests: several in one process, or one per process with their addresses in shared memory. */
#ifndef FABRIC_NODE_H
#define FABRIC_NODE_H

#include "base/clock.h"
#include "belay.h"
#include "fabric/control.h"
#include "fabric/fabric.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REGION = 1 << 20, NODES_MAX = 8, PATIENCE_MS = 20000 };

struct node {
    int id;
    fabric *f;
    void (*on_message)(struct node *node, int peer, const void *message, size_t length);
    int received, lost;
    int lost_peer;
    char why[128];
    void *own; /* of the test */
};

static inline void node_message(void *context, int peer, const void *message, size_t length)
{
    struct node *node = context;
    ++node->received;
    if (node->on_message)
        node->on_message(node, peer, message, length);
}

static inline void node_lost(void *context, int peer, const char *why)
{
    struct node *node = context;
    ++node->lost;
    node->lost_peer = peer;
    snprintf(node->why, sizeof node->why, "%s", why);
}

static inline struct fabric_options node_options(struct node *node, int id)
{
    *node = (struct node){.id = id, .lost_peer = -1};
    return (struct fabric_options){.node = id,
                                   .peers_max = NODES_MAX,
                                   .shm = true,
                                   .region_size = REGION,
                                   .secret = "a test's secret",
                                   .timeout_ms = 1000,
                                   .handler = {.message = node_message, .lost = node_lost, .context = node}};
}

static inline void node_open(struct node *node, int id)
{
    struct fabric_options options = node_options(node, id);
    assert_int_equal(fabric_create(&options, &node->f), BELAY_OK);
}

static inline int node_add(struct node *node, const struct node *peer)
{
    struct fabric_address address;
    fabric_local_address(peer->f, &address);
    return fabric_add_peer(node->f, peer->id, &address);
}

/* Nodes 0 and 1, which know each other. */
static inline void pair_open(struct node nodes[2])
{
    node_open(&nodes[0], 0);
    node_open(&nodes[1], 1);
    assert_int_equal(node_add(&nodes[0], &nodes[1]), BELAY_OK);
    assert_int_equal(node_add(&nodes[1], &nodes[0]), BELAY_OK);
}

static inline void pair_close(struct node nodes[2])
{
    fabric_destroy(nodes[0].f);
    fabric_destroy(nodes[1].f);
}

static inline int node_send(struct node *node, int peer, const void *bytes, size_t length, unsigned flags)
{
    union {
        const void *from;
        void *base;
    } part = {bytes};
    struct iovec parts = {part.base, length};
    return fabric_send(node->f, peer, &parts, 1, flags);
}

static inline unsigned char *node_region(const struct node *node)
{
    return fabric_region(node->f);
}

static inline struct fabric_stats node_stats(const struct node *node)
{
    struct fabric_stats stats;
    fabric_stats(node->f, &stats);
    return stats;
}

/* Poll once; a poll in vain gives the core to the peer, which may need it: tests run on fewer cores than they have threads. */
static inline void node_poll(struct node *node)
{
    if (fabric_poll(node->f) == 0)
        sched_yield();
}

/* Poll until `condition`, at most PATIENCE_MS. */
#define node_poll_until(node, condition)                                                                     \
    do {                                                                                                     \
        uint64_t deadline_ = clock_deadline(PATIENCE_MS);                                                    \
        while (!(condition) && clock_now() < deadline_)                                                      \
            node_poll(node);                                                                                 \
        assert_true(condition);                                                                              \
    } while (0)

/* fork(); the child does not outlive the test, and a failed assertion in it ends it. */
static inline pid_t fork_node(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("CMOCKA_TEST_ABORT", "1", 1);
    }
    return child;
}

/* How a child ended: its exit status, or minus the signal. */
static inline int child_status(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* What processes of a test share. */
struct meeting {
    struct fabric_address addresses[NODES_MAX];
    _Atomic int present[NODES_MAX];
    _Atomic uint64_t words[16];
};

static inline struct meeting *meeting_make(void)
{
    void *shared = mmap(NULL, sizeof(struct meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    return shared;
}

/* Open node @p id of this process and make the other one known to it, whichever process it is in. */
static inline void node_meet(struct node *node, struct meeting *meeting, int id, int peer)
{
    node_open(node, id);
    fabric_local_address(node->f, &meeting->addresses[id]);
    atomic_store(&meeting->present[id], 1);
    while (!atomic_load(&meeting->present[peer]))
        usleep(100);
    assert_int_equal(fabric_add_peer(node->f, peer, &meeting->addresses[peer]), BELAY_OK);
}

/* The wire view of a node's control memory, mapped anew as a hostile peer could. */
static inline struct control *control_map(const struct node *node, size_t *size)
{
    struct fabric_card card;
    struct shm_card part;
    struct fabric_address address;
    fabric_local_address(node->f, &address);
    memcpy(&card, &address, sizeof card);
    memcpy(&part, card.shm, sizeof part);
    *size = control_ring_offset(control_size(part.peers_max, (size_t)sysconf(_SC_PAGESIZE)), NODES_MAX);
    void *control;
    assert_int_equal(shared_memory_map(part.control_file, 0, *size, &control), BELAY_OK);
    return control;
}

#endif
