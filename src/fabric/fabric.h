/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fabric.h
 * How bytes move between nodes: the contract that shm.c (nodes of one host) and verbs.c (RC queue pairs) both give.
 *
 * Every node has one *region* of memory that its peers may read and write one-sided, at (peer, offset in the peer's
 * region). Beside that, short messages go to a handler at the peer. The contract is shaped by RC queue pairs:
 *
 * - Operations to one peer are carried out in the order they were posted: a message is handled, and a later write
 *   or read done, after all earlier writes are placed. Nothing is promised between peers.
 * - Posting never blocks, and never fails for lack of queue space (an internal overflow queue takes what a full send
 *   queue cannot). Callers bound what is in flight: they ask fabric_congested() before they begin an operation, and a
 *   message sent without FABRIC_QUEUE is refused with FABRIC_AGAIN while the peer has no room.
 * - Every write and read gives a *ticket*, a number that grows by posting order per peer. It is done when
 *   fabric_done(peer, ticket); this implies all earlier tickets of that peer. On shared memory it is done at once.
 * - After an error on a peer its state is FABRIC_LOST: posting returns BELAY_ERR_NODE_FAILED, tickets that are not done
 *   never will be. A lost peer stays lost until fabric_add_peer() gives it a new address.
 *
 * Threads: any thread may post; fabric_poll() may be called by any thread, and returns 0 at once while another is in it.
 * Handlers run inside fabric_poll(), and inside fabric_sleep() and fabric_poller_leave(), which poll a last time. They may
 * post (messages with FABRIC_QUEUE only), add and cut peers, and must not poll.
 *
 * Memory: the local side of reads, and of writes longer than FABRIC_INLINE_MAX, lies in this node's own region and must
 * not change until the ticket is done; for a peer that fabric_map() gives it may lie anywhere. Shorter writes are copied
 * when posted. An aligned write of 8 bytes is placed as one atomic store.
 */
#ifndef BELAY_FABRIC_H
#define BELAY_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    FABRIC_MESSAGE_MAX = 8192, /* bytes of the longest message */
    FABRIC_INLINE_MAX = 64,    /* bytes of the longest write whose source may lie anywhere */
    FABRIC_IOV_MAX = 4,
    FABRIC_ADDRESS_SIZE = 256,
    FABRIC_SECRET_SIZE = 16,
    FABRIC_HOST_SIZE = 16,
    FABRIC_AGAIN =
        64 /* fabric_send: no room now, poll and try again. Differs from every result of other layers */
};

enum fabric_flags {
    FABRIC_SIGNALED = 1, /* write: somebody will wait for this ticket. Reads are always waited for */
    FABRIC_QUEUE = 2,    /* send: take the message even if the peer has no room now (answers) */
    FABRIC_MORE = 4,     /* more to the same peer follows at once: the doorbell may wait for it */
    FABRIC_AWAITED = 8 /* send: a thread of the peer polls until this message comes, or says that it sleeps */
};

enum fabric_peer_state {
    FABRIC_UNKNOWN, /* no address yet */
    FABRIC_KNOWN,   /* not connected yet: the first use connects */
    FABRIC_CONNECTED,
    FABRIC_LOST
};

typedef struct fabric fabric;
typedef uint64_t fabric_ticket; /* 0: done already */

/* What a peer needs to reach this node; exchanged at bootstrap. Opaque; not a secret. */
struct fabric_address {
    unsigned char bytes[FABRIC_ADDRESS_SIZE];
};

/* The `why` of a peer that has hung up by itself, as far as its transport can tell. */
extern const char fabric_left[];

struct fabric_handler {
    /* A message arrived. It is valid during the call only, and may come from shared memory: read each field once. */
    void (*message)(void *context, int peer, const void *message, size_t length);
    /* This message will be handled after a few others: the time to ask for the memory that it will touch. May be NULL. */
    void (*ahead)(void *context, int peer, const void *message, size_t length);
    /* The peer is lost: its process died, its connection broke, or it broke the protocol. Called once per loss. */
    void (*lost)(void *context, int peer, const char *why);
    void *context;
};

struct fabric_options {
    int node; /* own id; peers are 0 ... peers_max - 1 */
    int peers_max;
    bool shm, verbs;    /* transports to set up; with both, peers on this host use shm */
    const char *device; /* RDMA device name, or NULL: the first that passes a test */
    size_t region_size; /* bytes, a multiple of the page size */
    unsigned char secret[FABRIC_SECRET_SIZE]; /* proves that a peer belongs to this job */
    unsigned timeout_ms;                      /* the longest a connection may take */
    struct fabric_handler handler;
    /* Which device was chosen; may be NULL. Called before the region's memory is touched, so that it can be placed near it. */
    void (*chosen)(void *context, const char *device, void *region, size_t size);
};

/* Figures of one fabric, summed over peers. */
struct fabric_stats {
    uint64_t writes, reads, messages, bytes_written, bytes_read;
    uint64_t malformed, wakeups_sent, wakeups_taken, overflowed;
    unsigned peers_shm, peers_verbs, connected; /* now */
};

/* Which host this is: equal for processes that can share memory. BELAY_TEST_HOST=name, for tests, makes several of one
 * host. Errors: SYSTEM, CONFIG. */
int fabric_host_identity(unsigned char identity[FABRIC_HOST_SIZE]);

/*
 * Set up the transports and allocate the region (zeroed; shared memory that is registered with the device where there
 * is one). Errors: NO_DEVICE, MEMLOCK, NO_MEMORY, SYSTEM, NOT_SUPPORTED (verbs in a build without), each logged with
 * what to do.
 */
int fabric_create(const struct fabric_options *options, fabric **out);

/* Disconnect and release everything. No other thread is in any call. */
void fabric_destroy(fabric *f);

void fabric_local_address(const fabric *f, struct fabric_address *address);

/* Make a peer known, by the address that its fabric_local_address() gave. Chooses the transport and maps the peer's region
 * if it is on this host; does not connect. May replace a lost peer's address. */
int fabric_add_peer(fabric *f, int peer, const struct fabric_address *address);

/* Begin to connect to a peer before its first use (standby paths). Returns at once. */
int fabric_connect(fabric *f, int peer);

/* Cut a peer off for good: nothing that it does arrives any more. It counts as lost, its `lost` is not called. Messages that had
 * arrived are still delivered, by the next polls. */
void fabric_cut(fabric *f, int peer);

/* Has everything been delivered that arrived from a lost peer? */
bool fabric_drained(const fabric *f, int peer);

enum fabric_peer_state fabric_peer_state(const fabric *f, int peer);

/* "shm" or "verbs" */
const char *fabric_peer_transport(const fabric *f, int peer);

/* This node's region. */
void *fabric_region(const fabric *f);
size_t fabric_region_size(const fabric *f);

/* The peer's region in this process's memory (read-write), or NULL when the peer is on another host. */
void *fabric_map(const fabric *f, int peer);

/* Bytes of a known peer's region; 0 if the peer is unknown. */
size_t fabric_peer_region_size(const fabric *f, int peer);

/* One-sided. Offsets and lengths are checked against the peer's region size. Flags: SIGNALED, MORE. */
int fabric_write(fabric *f, int peer, uint64_t remote_offset, const void *local, size_t length,
                 unsigned flags, fabric_ticket *ticket);
int fabric_read(fabric *f, int peer, uint64_t remote_offset, void *local, size_t length, unsigned flags,
                fabric_ticket *ticket);

/* A ticket that is done when everything posted to this peer so far is done (its writes are placed). */
int fabric_fence(fabric *f, int peer, fabric_ticket *ticket);

bool fabric_done(const fabric *f, int peer, fabric_ticket ticket);

/* More is in flight to this peer than its queue takes: do not begin new operations, poll first. */
bool fabric_congested(const fabric *f, int peer);

/* Send a message made of up to FABRIC_IOV_MAX parts, FABRIC_MESSAGE_MAX bytes in all; copied before the call returns.
 * @return BELAY_OK, FABRIC_AGAIN (never with FABRIC_QUEUE), or an error. */
int fabric_send(fabric *f, int peer, const struct iovec *parts, int count, unsigned flags);

/* Make progress: completions, arrived messages, connections, overflow queues. @return how many events were handled. */
int fabric_poll(fabric *f);

/*
 * Sleeping and waking. One progress thread sleeps in fabric_sleep() until something arrives, fabric_wake() is called, or the
 * timeout (milliseconds; -1: none). A thread that polls by itself brackets its polling with fabric_poller_enter() and
 * fabric_poller_leave(): meanwhile senders need not wake the sleeping progress thread; leave() hands over to it without a
 * system call unless something has arrived.
 *
 * Who polls until a message comes that its peer sends with FABRIC_AWAITED says fabric_caller_sleeps() before it leaves, if it
 * stops polling before: for the sender of such a message does not ask who polls, since the answer changes with each call.
 */
int fabric_sleep(fabric *f, int timeout_ms);
void fabric_wake(fabric *f);
void fabric_poller_enter(fabric *f);
void fabric_poller_leave(fabric *f);
void fabric_caller_sleeps(fabric *f);
void fabric_caller_wakes(fabric *f);

void fabric_stats(const fabric *f, struct fabric_stats *stats);

/* One line about the device, port, GID and MTU in use, for humans; "" without verbs. */
const char *fabric_device_text(const fabric *f);

#endif
