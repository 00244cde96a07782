/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file node.h
 * This process as a member of the job: its fabric, arena and view, the calls in flight, and who handles which message.
 *
 * Upper layers register handlers; the cluster layer knows nothing of caches. Handlers and hooks run under the state
 * lock, one at a time, in whichever thread makes progress: they must not wait. Lock order: state lock, then a
 * partition's lock, then locks of the fabric. A thread that holds a partition's lock never makes progress.
 */
#ifndef BELAY_NODE_H
#define BELAY_NODE_H

#include "base/parts.h"
#include "base/spin.h"
#include "belay.h"
#include "cluster/calls.h"
#include "cluster/eventcount.h"
#include "cluster/events.h"
#include "cluster/join_listener.h"
#include "cluster/liveness.h"
#include "cluster/membership.h"
#include "cluster/message.h"
#include "cluster/settings.h"
#include "cluster/settlement.h"
#include "cluster/view.h"
#include "copy/arena.h"
#include "fabric/fabric.h"

#include <pthread.h>
#include <stdatomic.h>

enum { NODE_HOOKS_MAX = 16 };

/* @p body follows the header and has @p length bytes. A negative result means malformed: the peer is cut off. */
typedef int (*message_handler)(belay_node *node, int peer, const struct message_header *header,
                               const void *body, size_t length);

/* Called in the round of progress after a node_attend(), and now and then. @return how many things were done. *busy is set
 * while more is to come without any event from the fabric: then it is called in the next round too. */
typedef int (*progress_hook)(belay_node *node, bool *busy);

/* A peer cannot be reached any more; the view without it comes later. */
typedef void (*lost_hook)(belay_node *node, int peer);

/* A new view holds, or this node has been excluded. */
typedef void (*view_hook)(belay_node *node);

struct self_message;
struct ask_question;

struct belay_node {
    int id;
    struct node_settings settings;
    settings_file *config_file; /* NULL: none */
    struct view *view;
    struct membership membership;
    struct liveness liveness;
    struct settlement settlement;
    atomic_bool excluded; /* left out of the job */
    atomic_bool guarded;  /* excluded, or bound to a lease: operations look more closely */
    atomic_bool left;     /* in good order: all live nodes have */
    fabric *fabric;
    arena *arena;
    bool verbs; /* some peers are reached by verbs: seals must cover whole entries */
    struct calls calls;

    message_handler handlers[MESSAGE_TYPES];
    progress_hook progress_hooks[NODE_HOOKS_MAX];
    lost_hook lost_hooks[NODE_HOOKS_MAX];
    view_hook view_hooks[NODE_HOOKS_MAX];
    int progress_hook_count, lost_hook_count, view_hook_count;

    spin_lock state_lock;     /* of handlers and hooks */
    struct eventcount events; /* callers that have waited long sleep here */
    struct events event_queue;
    atomic_bool busy;  /* the hooks have something to do */
    atomic_int nap_ms; /* the longest the progress thread sleeps before it calls them; 0: for ever */

    spin_lock self_lock; /* messages of this node to itself, oldest first */
    struct self_message *self_first, **self_last;
    atomic_bool self_waiting;
    spin_lock self_dispatch; /* who handles them */

    pthread_t thread;
    bool thread_running;
    atomic_bool stop;
    int progress_cpu; /* logical cpu the thread is bound to, or -1 */
    char device[64];  /* the RDMA device in use; "": none */

    struct node_set ending; /* lost peers whose calls are still to end; under the state lock */
    atomic_bool calls_end;  /* there are some */

    atomic_uint_fast64_t malformed; /* messages dropped */

    /* leaving */
    atomic_bool closing;
    uint8_t *close_wanted; /* coordinator: nodes that want to leave, and the call to answer */
    uint32_t *close_calls;

    /* for processes that join */
    unsigned char secret[FABRIC_SECRET_SIZE];
    struct introduction *introductions; /* by id */
    struct fabric_address *addresses;   /* by id */
    struct join_listener listener;
    bool joined; /* this one did: it leaves by itself */
    /* What the upper layers have to tell a process that joins: to be freed. */
    int (*tell_joiner)(belay_node *node, void **bytes, size_t *length);
    /* Answers processes outside, see ask.h. Called in a thread that may wait. */
    int (*answer_question)(belay_node *node, const struct ask_question *question, void **answer,
                           size_t *length);
    /* A message that will be handled soon, to prefetch what it needs. Under the state lock. */
    void (*see_ahead)(belay_node *node, const struct message_header *header, const void *body, size_t length);
    /* Is every copy complete, by all that this node can find out? */
    bool (*copies_complete)(belay_node *node);

    struct mirror *mirror;             /* of the mirror layer */
    struct cache_registry *caches;     /* of the cache layer */
    struct async_state *async;         /* of the cache layer */
    void (*release)(belay_node *node); /* gives back what the upper layers have; NULL: nothing */
};

/* ---- Progress and waiting ---- */

/* One round: fabric, messages to oneself, hooks. @return things done; 0 at once while another thread is at it. */
int node_progress(belay_node *node);

/* The hooks will have something to do: do not go to sleep. From handlers, hooks, and callers of the upper layers. */
void node_attend(belay_node *node);

/* A waiting caller: brackets polling, so that peers need not wake the progress thread meanwhile.
 * Usage: for (node_wait_begin(&w, node, deadline); !done && node_wait_more(&w);) ; node_wait_end(&w); */
struct node_wait {
    belay_node *node;
    uint64_t deadline; /* CLOCK_MONOTONIC nanoseconds; 0: none */
    unsigned rounds, idle_rounds;
    uint32_t announced; /* of the eventcount, while about to sleep */
    bool about_to_sleep;
};
void node_wait_begin(struct node_wait *wait, belay_node *node, uint64_t deadline);
bool node_wait_more(struct node_wait *wait); /* makes progress; false when the deadline has passed */
void node_wait_end(struct node_wait *wait);

/* Does it hold copies, or may it? */
static inline bool node_is_server(const belay_node *node)
{
    return node->settings.role != BELAY_ROLE_CLIENT;
}

uint64_t node_deadline(const belay_node *node);

int node_start_thread(belay_node *node);
void node_stop_thread(belay_node *node);

/* ---- Messages ---- */

/* Send a message; parts[0] is the body's first part. To oneself it is queued. FABRIC_AGAIN as fabric_send(). */
int node_send(belay_node *node, int peer, const struct message_header *header, const struct iovec *parts,
              int count, unsigned flags);

/* Answer a call; never fails for lack of room (a lost peer needs no answer). */
void node_reply(belay_node *node, int peer, uint32_t call, int status, const void *body, size_t length);
void node_answer(belay_node *node, int peer, const struct message_header *header, const struct iovec *parts,
                 int count);

/* Register @p call and send its message, waiting for room until the deadline. For callers, not for handlers.
 * On failure the call is not registered. */
int node_call(belay_node *node, int peer, struct message_header header, const struct iovec *parts, int count,
              struct call *call, uint64_t deadline);

/* The same from a handler or hook: queued, never waits. */
int node_call_queued(belay_node *node, int peer, struct message_header header, const void *body,
                     size_t length, struct call *call);

/* A call whose caller waits for it. */
struct waited_call {
    struct call call;
    atomic_bool done;
    int status;
    void *answer; /* the body is copied here, up to capacity */
    size_t capacity, length;
};

/* Call and wait. @return the answer's status, TIMEOUT or NODE_FAILED (both quietly logged with @p what). */
int node_call_wait(belay_node *node, int peer, struct message_header header, const struct iovec *parts,
                   int count, struct waited_call *call, uint64_t deadline, const char *what);

/* Wait for a waited_call that node_call() began; on the deadline it is cancelled. */
int node_finish_call(belay_node *node, struct waited_call *call, uint64_t deadline, const char *what);
void waited_call_init(struct waited_call *call, int peer, void *answer, size_t capacity);

/* ---- Membership ---- */

void node_handle(belay_node *node, enum message_type type, message_handler handler);
void node_add_progress_hook(belay_node *node, progress_hook hook);
void node_add_lost_hook(belay_node *node, lost_hook hook);
void node_add_view_hook(belay_node *node, view_hook hook);

static inline bool node_excluded(const belay_node *node)
{
    return atomic_load_explicit(&node->excluded, memory_order_relaxed);
}

/* What a call on an excluded node gives, with a message. */
int node_refuse(const belay_node *node);

/* Wait until every live node wants to leave. */
int node_leave(belay_node *node);
/* Wait until what this node sent has arrived, or its peer is gone. */
void node_drain(belay_node *node);
void node_register_leave(belay_node *node);

/* What bootstrap.c makes and node.c gives back. */
int node_create(const struct node_settings *settings, belay_node **out);
void node_destroy(belay_node *node);

#endif
