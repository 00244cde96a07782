/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file request.h
 * Requests of one peer to one partition are handled in the order they came. What cannot go on yet is parked at its
 * partition with a copy of its message, and everything that comes later for that partition lines up behind it.
 * All of this runs under the state lock.
 */
#ifndef BELAY_REQUEST_H
#define BELAY_REQUEST_H

#include "cache/cache.h"
#include "cache/operation.h"
#include "cache/wire.h"

/* One request in work, from its arrival to its answer. */
struct request {
    struct parked parked; /* first: how the partition knows it */
    struct partition *partition;
    int peer;
    struct message_header header;
    union {
        struct wire_update update;
        struct wire_get get;
        struct wire_reserve reserve;
    } wire;
    const void *key; /* in the message, or in `bytes` */
    const void *value;
    size_t key_length;
    uint64_t hash;
    uint32_t failures_seen;
    bool was_parked;
    unsigned char *bytes; /* own copy of key and value; NULL: the message's */
    struct operation operation;
    struct invoked invoked; /* of a MESSAGE_INVOKE; its result is the request's */
    struct request *next_free;
};

/* NULL: no memory, logged. */
struct request *request_new(struct partition *partition, int peer, const struct message_header *header);
void request_free(struct request *request);

/* A request about a key that a message ends with. NULL: refused, or no memory; the sender has been told. */
struct request *request_of_key(belay_node *node, int peer, const struct message_header *header,
                               const void *key, size_t key_length);

/* Attempt a new request, or line it up behind those that wait already. */
void request_begin(struct request *request, size_t value_length);

void request_refuse(belay_node *node, int peer, const struct message_header *header, int status);

/* The partition of a key; that this node is its primary is checked under its lock. NULL: no such cache. */
struct partition *partition_of_key(belay_node *node, uint16_t number, uint64_t hash);
/* A partition by number. NULL: there is none. */
struct partition *partition_by_number(belay_node *node, uint16_t number, uint64_t index);

/* Its sender has a view that does not hold here yet: wait for it. */
bool request_is_ahead(const struct request *request);

/* Why a request to this partition can not be served at all; BELAY_OK: it can, perhaps later. The lock is held. */
int partition_not_here(const struct partition *partition);
/* The same for a question that is not parked. */
int partition_not_ready(const struct partition *partition);

#endif
