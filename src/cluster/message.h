/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file message.h
 * The envelope of every message between nodes, and the list of all message types.
 *
 * Bodies are plain structs in the sender's byte order (a job has one), described where they are handled. A receiver
 * checks lengths and ranges before it believes a field; a malformed message is counted and its sender cut off.
 */
#ifndef BELAY_MESSAGE_H
#define BELAY_MESSAGE_H

#include <stdint.h>

enum message_type {
    MESSAGE_NONE,
    MESSAGE_REPLY, /* answers a call: header.call, header.status */
    /* cluster */
    MESSAGE_CLOSE,        /* call: the sender wants to leave; answered when all live nodes do */
    MESSAGE_BEAT,         /* the sender lives; when it heard from the receiver last */
    MESSAGE_SUSPECT,      /* the sender has lost a node */
    MESSAGE_JOIN_ID,      /* call: an id for a process that wants to join; answered with it */
    MESSAGE_JOIN_KNOW,    /* call: the process and its address */
    MESSAGE_JOIN,         /* let it in with the next view */
    MESSAGE_TRIM,         /* what was copied to nodes that joined can be given up elsewhere */
    MESSAGE_GOODBYE,      /* call: the sender is about to leave in good order; without a call number: now */
    MESSAGE_RESET,        /* call: begin lost partitions of a cache anew, with the next view */
    MESSAGE_VIEW_PREPARE, /* agreement on the next view, see membership.c */
    MESSAGE_VIEW_PROMISE,
    MESSAGE_VIEW_ACCEPT,
    MESSAGE_VIEW_ACCEPTED,
    MESSAGE_VIEW_COMMIT,
    MESSAGE_SETTLED, /* the sender repeats no more calls to nodes that are not of this view, see settlement.h */
    /* cache */
    MESSAGE_CACHE_OPEN,    /* call: settings; answered with the cache's number */
    MESSAGE_CACHE_READY,   /* call: the sender's copies stand; answered when all servers' do */
    MESSAGE_CACHE_STANDS,  /* to a new coordinator: what the former one has told the sender of a cache */
    MESSAGE_UPDATE,        /* call, or without a call number an asynchronous update */
    MESSAGE_INVOKE,        /* call: apply a function */
    MESSAGE_GET,           /* call: read at the primary */
    MESSAGE_RESERVE,       /* call: space for a large value */
    MESSAGE_MAP,           /* call: where more of a reservation lies */
    MESSAGE_ABANDON,       /* a reservation is given up */
    MESSAGE_FLUSH,         /* call: answered when all earlier updates of the sender are on every copy */
    MESSAGE_ASYNC_DONE,    /* asynchronous updates up to a number are applied */
    MESSAGE_ASYNC_FAILED,  /* one asynchronous update failed */
    MESSAGE_CLEAR,         /* call: clear the partitions whose primary is the receiver */
    MESSAGE_SIZE,          /* call: entries in a partition whose primary is the receiver */
    MESSAGE_SIZES,         /* call: entries in partitions whose primary is the receiver */
    MESSAGE_KEYS,          /* call: list keys of a partition */
    MESSAGE_STATE,         /* call: copies of a partition, as its primary knows them */
    MESSAGE_LOST,          /* no holder of a partition has a complete copy */
    MESSAGE_SWEEP,         /* call: clean and release what you can, an arena is full; answered when through */
    MESSAGE_WATCH,         /* call: the sender wants to be told of changes, see watch.h */
    MESSAGE_UNWATCH,       /* no more */
    MESSAGE_CHANGE,        /* a change */
    MESSAGE_CATCH_UP,      /* call: those that the sender may have missed */
    MESSAGE_OBSERVE_NODE,  /* call: the receiver, see observe.h */
    MESSAGE_OBSERVE_SHARE, /* call: its part in a cache */
    /* transactions, see transaction_wire.h */
    MESSAGE_TX_LOCK, /* call: lock a key */
    MESSAGE_TX_PART, /* a part of what a transaction does at a partition */
    MESSAGE_TX_PREPARE, /* call: the last part; lock, check, be ready to commit, or commit if there is nobody else */
    MESSAGE_TX_CHECK,   /* call: the last part; has what was read changed? */
    MESSAGE_TX_COMMIT,  /* call */
    MESSAGE_TX_ABORT,   /* call */
    MESSAGE_TX_RELEASE, /* the sender's transaction is over: its locks */
    MESSAGE_TX_OUTCOME, /* call: of a transaction at another participant */
    MESSAGE_TX_ASK,     /* call: of a transaction at its coordinator */
    MESSAGE_TX_WAITS,   /* call: for whom does the receiver's transaction wait? */
    /* mirror */
    MESSAGE_SEGMENTS,    /* call: attach segments to a backup copy */
    MESSAGE_RELEASE,     /* detach segments from a backup copy */
    MESSAGE_DIGEST,      /* call: digests of a copy */
    MESSAGE_COPY_QUERY,  /* call: how far does the receiver's copy go? */
    MESSAGE_COPY_ADOPT,  /* call: its segments and their digests */
    MESSAGE_COPY_BEGIN,  /* call: a new copy comes */
    MESSAGE_COPY_FINISH, /* call: it is complete */
    MESSAGE_COPY_PULL,   /* call: send your copy */
    MESSAGE_COPY_DROP,   /* the receiver's copy is not needed any more */
    MESSAGE_TYPES
};

struct message_header {
    uint8_t type;
    uint8_t flags;
    uint16_t cache; /* number of the cache, where one is meant */
    uint32_t call;  /* the sender's call number, 0: no answer wanted */
    int32_t status; /* of a reply */
    uint32_t view;  /* number of the sender's view */
};
_Static_assert(sizeof(struct message_header) == 16, "the envelope is laid out for the wire");

#endif
