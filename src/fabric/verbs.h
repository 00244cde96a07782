/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file verbs.h
 * The parts of the verbs transport, one file each. Private to this folder.
 *
 *   verbs.c            the transport's calls and its poll, put together from the parts below
 *   verbs_device.c     which device, port and IP address: the first that passes a test
 *   verbs_region.c     memory registered with the device, and the locked-memory limit
 *   verbs_handshake.c  what two nodes tell and prove to each other while connecting
 *   verbs_connect.c    connections: rdma_cm events, who connects to whom
 *   verbs_queue.c      a connected queue pair: posting, tickets, what waits for room
 *   verbs_overflow.c   the operations that wait
 *   verbs_receive.c    the shared receive queue, its slots, and the credits that keep it from running dry
 *   verbs_complete.c   the completion queue
 *
 * One queue pair per pair of nodes, connected on first use. All queue pairs of a node share one completion queue and
 * one shared receive queue.
 *
 * Threads: posting and cutting hold the link's lock, in any thread. Everything else (connecting, completions, receive
 * slots, freeing a queue) runs under the poll lock. The poll lock is taken before a link's lock, and no handler runs
 * under a link's lock.
 */
#ifndef BELAY_VERBS_H
#define BELAY_VERBS_H

#include "fabric/transport.h"
#include "fabric/verbs_overflow.h"

#include <infiniband/verbs.h>
#include <netinet/in.h>
#include <rdma/rdma_cma.h>

struct verbs_link;
struct verbs;

/* ---- verbs_device.c ------------------------------------------------------------------------------------------- */

/* An IP address of this host that leads to a port of an RDMA device. */
struct verbs_device {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address; /* port number 0 */
    char name[64];
    uint8_t port;
    enum ibv_mtu mtu;
    char text[160]; /* for humans */
};

/* Find the first usable device, or check the one named. Errors: NO_DEVICE, SYSTEM, NO_MEMORY. */
int verbs_device_choose(const char *wanted, struct verbs_device *device);

int verbs_mtu_bytes(enum ibv_mtu mtu);

/* ---- verbs_region.c ------------------------------------------------------------------------------------------- */

/* Register memory for local use, or (remote) also for one-sided access by peers. @p what names it in messages.
 * Errors: MEMLOCK, NO_MEMORY, SYSTEM. */
int verbs_register(struct ibv_pd *domain, void *memory, size_t size, bool remote, const char *what,
                   struct ibv_mr **out);

/* Check the locked-memory limit before anything is pinned. Errors: MEMLOCK. */
int verbs_check_memlock(size_t need);

/* ---- verbs_handshake.c ---------------------------------------------------------------------------------------- */

enum verbs_refusal {
    REFUSED_UNKNOWN,
    REFUSED_PROTOCOL,  /* another protocol version */
    REFUSED_SECRET,    /* no proof of the job's secret */
    REFUSED_STRANGER,  /* meant for another node, or from a node that cannot be */
    REFUSED_CUT,       /* this life of the peer was given up */
    REFUSED_TIE,       /* both began at once; the other attempt counts */
    REFUSED_MTU,       /* an MTU this side does not have */
    REFUSED_RESOURCES, /* no queue pair could be made */
};

/* The private data of a connection request and of its answer. RC over rdma_cm carries 56 bytes. */
struct verbs_hello {
    uint32_t magic;
    uint16_t protocol;
    uint16_t credits; /* messages that the receiver of this hello may send before it gets credits back */
    int32_t from, to; /* node ids */
    uint64_t from_incarnation, to_incarnation;
    uint8_t mtu;    /* enum ibv_mtu, of both queue pairs */
    uint8_t answer; /* 0 in a request, 1 in an answer: so that neither proves the other */
    uint8_t reserved[6];
    unsigned char proof[FABRIC_PROOF_SIZE];
};
_Static_assert(sizeof(struct verbs_hello) == 56, "as much as rdma_cm carries");

/* The private data of a rejection. */
struct verbs_reject {
    uint32_t magic;
    uint32_t refusal; /* enum verbs_refusal */
};

/* What the address says of a node's verbs side. */
struct verbs_card {
    uint8_t family; /* 4 or 6 */
    uint8_t mtu;    /* enum ibv_mtu that the port has active */
    uint16_t port;  /* network order */
    uint32_t rkey;
    uint64_t base; /* the region's address at its owner */
    uint8_t ip[16];
};

void verbs_hello_make(const fabric *f, int peer, uint64_t incarnation, uint16_t credits, uint8_t mtu,
                      bool answer, struct verbs_hello *hello);

/* @return whether private data is a proven hello to this node; sets *refusal if not. */
bool verbs_hello_check(const fabric *f, const void *data, size_t length, bool answer,
                       struct verbs_hello *hello, enum verbs_refusal *refusal);

void verbs_reject_make(enum verbs_refusal refusal, struct verbs_reject *reject);
enum verbs_refusal verbs_reject_parse(const void *data, size_t length);
const char *verbs_refusal_text(enum verbs_refusal refusal);

/* ---- verbs_queue.c -------------------------------------------------------------------------------------------- */

enum { VERBS_PENDING_MAX = 16 }; /* requests that one doorbell may start */

/* What a signalled request's completion frees. Completions of one queue pair come in order. */
struct verbs_record {
    uint64_t request;  /* its number on this queue pair; it and all before are complete */
    uint64_t ring_end; /* bytes of the ring used up to it */
    fabric_ticket ticket;
};

/* A queue pair and what is posted on it. */
struct verbs_queue {
    struct ibv_qp *pair;
    bool stopped;
    uint32_t number;
    uint32_t rkey;
    uint64_t remote_base;
    unsigned depth;       /* requests that the send queue holds */
    unsigned max_inline;  /* bytes */
    unsigned credits_max; /* what the peer granted */
    uint16_t grant;       /* credits that the peer got */

    /* Bodies of messages and of short writes, until their request is complete; registered. */
    unsigned char *ring;
    size_t ring_size;
    struct ibv_mr *ring_memory;

    /* Of the threads that post, under the link's lock. */
    uint64_t requests;    /* prepared so far, the pending included */
    uint64_t ring_head;   /* bytes used so far */
    fabric_ticket issued; /* of the newest operation among them */
    unsigned quiet_requests;
    size_t quiet_bytes; /* since the last signalled one */
    unsigned records_head;
    unsigned pending;
    struct ibv_send_wr work[VERBS_PENDING_MAX];
    struct ibv_sge pieces[VERBS_PENDING_MAX];

    /* Of the polling thread. */
    _Alignas(64) _Atomic uint64_t requests_done;
    _Atomic uint64_t ring_tail;
    unsigned records_tail;
    _Atomic unsigned owed; /* credits to give back: slots posted again since the peer was told */

    _Alignas(64) _Atomic unsigned credits; /* messages that may still be sent */
    struct verbs_record records[];         /* a ring of depth entries */
};

/* Make a queue pair in state INIT. Errors: NO_MEMORY, SYSTEM, MEMLOCK. */
int verbs_queue_create(struct verbs_link *link, struct rdma_cm_id *id, struct verbs_queue **out);
void verbs_queue_destroy(struct verbs *v, struct verbs_queue *queue);

/* The device takes nothing of the peer any more. Under the link's lock. */
void verbs_queue_stop(struct verbs_queue *queue);

/* Bring it to RTS. Errors: SYSTEM. */
int verbs_queue_ready(struct verbs_link *link, struct rdma_cm_id *id, enum ibv_mtu mtu);

/* Operations of transport.h. */
int verbs_write(struct fabric_link *base, uint64_t remote_offset, const void *local, size_t length,
                unsigned flags, fabric_ticket *ticket);
int verbs_read(struct fabric_link *base, uint64_t remote_offset, void *local, size_t length, unsigned flags,
               fabric_ticket *ticket);
int verbs_fence(struct fabric_link *base, fabric_ticket *ticket);
int verbs_send(struct fabric_link *base, const struct iovec *parts, int count, size_t length, unsigned flags);
bool verbs_done(const struct fabric_link *base, fabric_ticket ticket);
bool verbs_congested(const struct fabric_link *base);

/* Ask the polling thread for a connection. Under the link's lock. */
void verbs_begin(struct verbs_link *link);

/* The connection is up: post what has waited for it. */
void verbs_queue_open(struct verbs_link *link);

/* A signalled request is complete. Under the poll lock. */
void verbs_queue_complete(struct verbs_link *link);

/* Post what waited for room or credits, and give credits back if many are owed. Under the poll lock. */
void verbs_queue_advance(struct verbs_link *link);

/* ---- verbs_receive.c ------------------------------------------------------------------------------------------ */

/* Messages carry 32 bits beside their body: who sent it, how many credits it gives back, whether that is all. */
enum {
    IMMEDIATE_PEER_MASK = 0xffff,
    IMMEDIATE_CREDITS_SHIFT = 16,
    IMMEDIATE_CREDITS_MASK = 0x7fff,
};
#define IMMEDIATE_CREDITS_ONLY 0x80000000u

/* Slots kept for messages that only give credits back: they take no credit themselves. A peer has at most two under way that
 * this node has not seen, and two that it has seen but not yet posted again. */
enum { VERBS_CREDIT_SLOTS = 4, VERBS_RECEIVE_TAG = 1 };

struct verbs_slab;

struct verbs_slot {
    struct verbs_slab *slab;
    unsigned char body[FABRIC_MESSAGE_MAX];
};

struct verbs_receiver {
    struct ibv_srq *queue;
    struct verbs_slab *slabs;
    unsigned capacity; /* slots that the queue can hold */
    unsigned slots;    /* posted, or being handled */
    unsigned promised; /* to connected peers */
    /* Handled, to be posted again in one call. */
    unsigned handled;
    struct ibv_recv_wr work[32];
    struct ibv_sge pieces[32];
};

int verbs_receiver_create(struct verbs *v);
void verbs_receiver_destroy(struct verbs *v);
int verbs_receiver_promise(struct verbs *v);
void verbs_receiver_release(struct verbs *v);

/* Post a slot again, at the latest when the batch ends. */
void verbs_receiver_return(struct verbs *v, struct verbs_slot *slot);
void verbs_receiver_flush(struct verbs *v);

/* ---- verbs_complete.c ----------------------------------------------------------------------------------------- */

/* Handle completions, a bounded number. @return how many. */
int verbs_complete(struct verbs *v);

/* All that has arrived, before a link is given up; nothing when called from within. */
void verbs_complete_rest(struct verbs *v);

/* The next completion makes the completion channel readable. Any thread. */
void verbs_complete_arm(struct verbs *v);
void verbs_complete_ready(struct fabric_source *source);

/* ---- verbs_connect.c ------------------------------------------------------------------------------------------ */

enum verbs_phase {
    PHASE_IDLE,
    PHASE_RESOLVING, /* address, then route */
    PHASE_REQUESTED, /* own request sent */
    PHASE_YIELDED,   /* own request lost a tie: the peer's is on its way */
    PHASE_ACCEPTING, /* the peer's request accepted */
    PHASE_UP,
    PHASE_CLOSED
};

/* A request from a peer whose address is not known yet: answered when it is. */
struct verbs_held {
    struct verbs_held *next;
    struct rdma_cm_id *id;
    struct verbs_hello hello;
    uint8_t responder_resources, initiator_depth;
};

/* What is left of a connection that was lost. Taking it apart lasts longer than all that the others have to agree on, so it waits. */
struct verbs_buried {
    struct verbs_buried *next;
    struct verbs_queue *queue; /* stopped: nothing of the peer arrives */
    struct rdma_cm_id *id;
    uint64_t until; /* clock_now() */
};

/* Make the channel and an id bound to the device's address, which gives the device's context; then, once the rest is there,
 * listen. Errors: SYSTEM. */
int verbs_connect_create(struct verbs *v);
int verbs_connect_listen(struct verbs *v);
void verbs_connect_destroy(struct verbs *v);
void verbs_connect_begin(struct verbs_link *link);

/* Give the attempt or the connection up: free id and queue. */
void verbs_connect_close(struct verbs_link *link, enum verbs_phase phase);

/* The connection is over: stop it at once, and free what it had a little later. */
void verbs_connect_lose(struct verbs_link *link);

/* Free what has waited until @p now. */
void verbs_connect_clear(struct verbs *v, uint64_t now);

/* Answer a request that came before the peer was known. */
void verbs_connect_attached(struct verbs_link *link);

/* The first message came in before the event that says so: the connection is up. */
void verbs_connect_established(struct verbs_link *link);
void verbs_connect_ready(struct fabric_source *source);
void verbs_connect_timer(struct fabric_source *source);

/* ---- verbs.c -------------------------------------------------------------------------------------------------- */

enum verbs_reasons { REASON_CONNECT = 1, REASON_BROKEN = 2, REASON_CUT = 4, REASON_ATTACHED = 8 };

struct verbs_link {
    struct fabric_link common;
    spin_lock lock;
    bool begun;              /* the polling thread knows that a connection is wanted */
    bool open;               /* connected: requests may be posted */
    bool closed;             /* broken or cut: nothing is posted any more */
    fabric_ticket posted;    /* the last ticket given */
    fabric_ticket signalled; /* the last ticket whose completion will tell */
    struct verbs_overflow overflow;
    struct verbs_queue *queue;
    _Alignas(64) _Atomic fabric_ticket done;
    _Atomic unsigned waiting; /* operations in overflow */

    /* To the polling thread. */
    _Atomic unsigned reasons;
    struct verbs_link *next; /* in the transport's list of links that want attention */
    char why[160];           /* of REASON_BROKEN */

    /* Of the polling thread. */
    enum verbs_phase phase;
    struct rdma_cm_id *id;
    uint8_t mtu;       /* that this node asked for */
    uint64_t deadline; /* of connecting */
    struct verbs_card card;
};

enum verbs_armed { ARMED_NOT, ARMED_SOLICITED, ARMED_ALL };

struct verbs {
    struct fabric_transport common;
    bool completing; /* the completion queue is being polled; the poller's */
    struct verbs_device device;
    struct ibv_context *context; /* librdmacm's */
    struct ibv_device_attr limits;
    size_t max_transfer; /* bytes of one request */
    struct ibv_pd *domain;
    struct ibv_mr *region;
    struct ibv_comp_channel *channel;
    struct ibv_cq *completions;
    unsigned depth;    /* of each send queue */
    unsigned grant;    /* credits for each peer */
    size_t ring_size;  /* of each queue */
    _Atomic int armed; /* enum verbs_armed */
    unsigned events_unacked;
    struct fabric_source completion_source, connect_source, timer_source;

    struct rdma_event_channel *connect_channel;
    struct rdma_cm_id *listener;
    struct verbs_held *held;
    struct verbs_buried *buried;
    unsigned connecting; /* links on their way to PHASE_UP */
    unsigned polls;

    _Atomic(struct verbs_link *) attention;
    _Alignas(64) _Atomic uint64_t signalled; /* requests whose completion was asked for, over all links */
    _Alignas(64) _Atomic uint64_t completed; /* of these */
    struct verbs_receiver receiver;
};

static inline struct verbs *verbs_of(const struct verbs_link *link)
{
    return (struct verbs *)link->common.fabric->verbs;
}

/* The peer's link if it is one of verbs, or NULL. */
static inline struct verbs_link *verbs_link_at(const fabric *f, int peer)
{
    struct fabric_link *link = atomic_load_explicit(&f->links[peer], memory_order_acquire);
    return link && link->ops == &verbs_transport ? (struct verbs_link *)link : NULL;
}

/* Have the polling thread look at a link. Any thread; wakes a sleeping one. */
void verbs_attend(struct verbs_link *link, unsigned reason);

/* Stop posting and have the polling thread declare the peer lost. Under the link's lock. */
void verbs_break(struct verbs_link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Declare the peer lost and free its queue. Under the poll lock, not under the link's. */
void verbs_lose(struct verbs_link *link, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

#endif
