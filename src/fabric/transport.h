/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transport.h
 * What fabric.c and the transports (shm.c, verbs.c) owe each other. Private to this folder.
 *
 * fabric.c checks arguments, keeps the table of peers, the region, the sleeping and the statistics. A transport moves bytes.
 * Each peer is reached over one *link*: a structure of its transport that starts with a struct fabric_link. The table
 * entry of a peer is the pointer to its link, so an operation costs one load, the checks, and one indirect call.
 *
 * Threads. Three kinds of calls reach a transport:
 * - `write read fence send done congested connect cut attach arm`: from any thread, also from within handlers. They must not
 *   take the poll lock, and must not call handlers.
 * - `poll` and the `ready` function of a source: under the poll lock, one at a time. Only these may call handlers
 *   (fabric_deliver(), fabric_link_lose()).
 * - `create destroy detach address`: nobody else is in any call.
 *
 * Life of a link. attach() makes it, fabric.c publishes it. Once lost it stays lost: a new address makes a new link, and the
 * old one is *retired*: gives back what costs memory, but stays valid to be posted to, since a thread may still hold
 * it. detach() frees it, in fabric_destroy().
 */
#ifndef BELAY_TRANSPORT_H
#define BELAY_TRANSPORT_H

#include "base/spin.h"
#include "fabric/fabric.h"

#include <pthread.h>
#include <stdatomic.h>

struct fabric_card;
struct fabric_transport;

/* One peer as its transport reaches it. */
struct fabric_link {
    const struct transport_ops *ops;
    fabric *fabric;
    struct fabric_link *retired; /* list of fabric.c */
    void *map;                   /* the peer's region in this process, or NULL */
    uint64_t region_size;        /* of the peer */
    uint64_t incarnation;        /* of the peer, from its card */
    int peer;
    _Atomic int state;    /* enum fabric_peer_state. Leaves LOST never */
    _Atomic bool drained; /* lost, and nothing that had arrived is left to be delivered */
};

struct transport_ops {
    const char *name;

    int (*create)(fabric *f, struct fabric_transport **out);
    void (*destroy)(struct fabric_transport *transport); /* all links are detached already */

    /* Fill this transport's part of the own card. Called once, for shm last: then the card is complete. */
    void (*address)(const struct fabric_transport *transport, struct fabric_card *card);

    /* Make a link to a peer whose card passed the common checks; fills ops .. state with fabric_link_init(). */
    int (*attach)(struct fabric_transport *transport, int peer, const struct fabric_card *card,
                  struct fabric_link **out);
    void (*retire)(struct fabric_link *link); /* lost; may be called again if a new address fails */
    void (*detach)(struct fabric_link *link);

    /* Begin to connect; 0 if connected or under way. The first post to a KNOWN link does the same by itself. */
    int (*connect)(struct fabric_link *link);

    /* The link has just become LOST by fabric_cut(): stop at once what the peer may do, drop what is queued. What had arrived is
     * still delivered by the next polls, which set `drained` when nothing is left. */
    void (*cut)(struct fabric_link *link);

    /* As the calls of fabric.h. The link is not LOST, ranges are checked, length > 0. write and read give BELAY_OK or
     * an error, send also FABRIC_AGAIN. The ticket is never NULL. */
    int (*write)(struct fabric_link *link, uint64_t remote_offset, const void *local, size_t length,
                 unsigned flags, fabric_ticket *ticket);
    int (*read)(struct fabric_link *link, uint64_t remote_offset, void *local, size_t length, unsigned flags,
                fabric_ticket *ticket);
    int (*fence)(struct fabric_link *link, fabric_ticket *ticket);
    int (*send)(struct fabric_link *link, const struct iovec *parts, int count, size_t length,
                unsigned flags);
    bool (*done)(const struct fabric_link *link, fabric_ticket ticket); /* ticket > 0 */
    bool (*congested)(const struct fabric_link *link);

    /* Make progress without a system call where possible. @return events handled. A bounded number at a time: a
     * busy peer must not starve the others. */
    int (*poll)(struct fabric_transport *transport);

    /* Nobody is going to poll: from now on every arrival must end the sleep, by a watched descriptor or by
     * fabric_wake(). fabric.c polls once more after it. May be called when armed already. NULL: nothing to do. */
    void (*arm)(struct fabric_transport *transport);

    /* One line about the device; NULL: "" */
    const char *(*device_text)(const struct fabric_transport *transport);
};

struct fabric_transport {
    const struct transport_ops *ops;
    fabric *fabric;
};

extern const struct transport_ops shm_transport;
extern const struct transport_ops verbs_transport; /* with HAVE_VERBS only */

/* ---- The address ---------------------------------------------------------------------------------------------- */

enum { FABRIC_PROTOCOL = 1, FABRIC_PROOF_SIZE = 16 };
#define FABRIC_MAGIC 0x6361667961654c42ull

enum fabric_card_transports { CARD_SHM = 1, CARD_VERBS = 2 };

/* What struct fabric_address holds. */
struct fabric_card {
    uint64_t magic;
    uint32_t protocol;
    uint32_t transports;    /* enum fabric_card_transports: what this node has */
    unsigned char host[16]; /* equal: the same boot of the same machine and the same pid namespace */
    uint64_t incarnation;   /* random, not 0: tells the lives of a node apart */
    uint64_t region_size;
    int32_t node;
    unsigned char reserved[44];
    unsigned char shm[64];
    unsigned char verbs[96];
};
_Static_assert(sizeof(struct fabric_card) == FABRIC_ADDRESS_SIZE, "the card fills the address");

/* What only a holder of the job's secret can compute from a card: a keyed hash (siphash.h) of the whole card. */
void fabric_proof(const fabric *f, const struct fabric_card *card, unsigned char proof[FABRIC_PROOF_SIZE]);

/* ---- What fabric.c gives to transports ------------------------------------------------------------------------ */

/* A descriptor whose readiness ends the sleep. `ready` runs under the poll lock, in the thread that slept, or about each
 * millisecond in a thread that polls while nobody sleeps. It must take what made the descriptor readable. */
struct fabric_source {
    int descriptor;
    void (*ready)(struct fabric_source *source);
};

/* The source must stay allocated until fabric_destroy(), also when it is no longer watched. Errors: SYSTEM. */
int fabric_watch(fabric *f, struct fabric_source *source);
void fabric_unwatch(fabric *f, struct fabric_source *source);

/*
 * Who attends to arrivals at this node. One word: the threads that poll (fabric_poller_enter), whether the progress
 * thread sleeps, and how often it has gone to sleep. A sender of the same host reads it after it has published a message,
 * and wakes this node if the thread sleeps and nobody polls. Written by this process only.
 */
#define ATTENTION_POLLER       1ull         /* bits 0-15: how many poll */
#define ATTENTION_ASLEEP       (1ull << 16) /* the thread is in fabric_sleep() */
#define ATTENTION_SLEEP        (1ull << 17) /* bits 17-63: number of this sleep */
#define ATTENTION_POLLERS_MASK (ATTENTION_ASLEEP - 1)

/*
 * Beside it: how many callers have stopped to poll for a message that they await. As long as it is 0 the sender of an
 * awaited message need not read the word, which its receiver changes with each call: the line would go back and forth.
 */

static inline bool attention_needs_wake(uint64_t word)
{
    return (word & (ATTENTION_ASLEEP | ATTENTION_POLLERS_MASK)) == ATTENTION_ASLEEP;
}

/* Figures that change seldom; transports add with fabric_count(). Writes, reads and messages are counted by fabric.c. */
struct fabric_counts {
    _Atomic uint64_t malformed, wakeups_sent, wakeups_taken, overflowed;
};

static inline void fabric_count(_Atomic uint64_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

struct fabric_thread_counts;

struct fabric {
    /* Read by every operation, written by none. */
    _Atomic(struct fabric_link *) *links; /* by peer; NULL: unknown */
    int peers_max;
    int node;
    unsigned char *region;
    size_t region_size;
    struct fabric_thread_counts *thread_counts;
    _Atomic uint64_t *attention;          /* in the control memory where there is shm */
    _Atomic uint64_t *callers_asleep;     /* likewise */
    struct fabric_transport *shm, *verbs; /* NULL: not set up */
    struct fabric_handler handler;
    void (*chosen)(void *context, const char *device, void *region, size_t size); /* or NULL */

    unsigned char secret[FABRIC_SECRET_SIZE];
    unsigned timeout_ms;
    const char *device; /* wanted by name, or NULL. Owned */
    struct fabric_card card;
    int region_file; /* memfd of the region */
    int epoll;
    struct fabric_source wake; /* the read end of the wake pipe */
    int wake_writer;           /* its write end; peers of this host open it too */
    _Atomic uint64_t attention_private, callers_asleep_private;
    pthread_mutex_t table_lock; /* of changes to links and the list of retired ones */
    struct fabric_link *retired;

    /* Written while polling. */
    _Alignas(64) spin_lock poll_lock;
    unsigned polls;
    uint64_t next_look; /* when to look at the descriptors again, if nobody sleeps */
    _Atomic bool wake_wanted;
    struct fabric_counts counts;
};

/* Fill the common part of a new link; its state is FABRIC_KNOWN. */
void fabric_link_init(struct fabric_link *link, const struct fabric_transport *transport, int peer,
                      const struct fabric_card *card);

/* KNOWN becomes CONNECTED. @return false if it was lost meanwhile. */
bool fabric_link_connected(struct fabric_link *link);

/* The peer is lost: tell the handler, once. Under the poll lock only. @return false if it was lost already. */
bool fabric_link_lose(struct fabric_link *link, const char *why);

/* Hand a message to the handler. Under the poll lock only. The length is checked by the transport. */
static inline void fabric_deliver(fabric *f, int peer, const void *message, size_t length)
{
    f->handler.message(f->handler.context, peer, message, length);
}

static inline int fabric_link_state(const struct fabric_link *link)
{
    return atomic_load_explicit(&link->state, memory_order_acquire);
}

#endif
