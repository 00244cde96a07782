/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file client.h
 * A caller's operation on its way: here when this node is the primary, else as a request to the primary. Blocking calls are
 * begin and finish in one go, with the request on the stack; `_nb` calls keep it on the heap in between.
 */
#ifndef BELAY_CLIENT_H
#define BELAY_CLIENT_H

#include "cache/lookup.h"
#include "cache/operation.h"

enum request_state {
    REQUEST_DONE,   /* status is valid */
    REQUEST_CALL,   /* the primary will answer */
    REQUEST_HERE,   /* carried out here, on its way to the backups */
    REQUEST_LOOKUP, /* one-sided reads are in flight */
    REQUEST_AGAIN   /* its primary is lost, or not ready: it will be sent again */
};

struct belay_request {
    belay_cache *cache;
    uint32_t partition;
    int primary;
    enum request_state state;
    int status;
    uint64_t deadline;
    uint64_t again_at;          /* REQUEST_AGAIN: not before; clock_now() */
    struct operation operation; /* of an update */
    struct call call;
    atomic_bool answered; /* operation.status and .answer are set */
    struct lookup lookup; /* of a get */
    size_t *value_length;
    int64_t *old_number;
    struct invoked invoked;
};

/* Begin an update; the operation's kind, key, value and what else the kind needs are set. FULL_ASYNC puts and removes are
 * done when this returns. */
void client_begin(struct belay_request *request, belay_cache *cache, const belay_write_options *options);

/* Has it completed? Does not make progress. */
bool client_completed(struct belay_request *request);

/* Wait for it. @return the operation's result. */
int client_finish(struct belay_request *request);

/* Set a value and get the old one. *old: buffer and capacity are set by the caller, the length (BELAY_NO_VALUE: none) here, also
 * with TRUNCATED. */
struct old_value {
    void *buffer;
    size_t capacity, length;
};
int client_get_and_put(struct belay_request *request, belay_cache *cache, const belay_write_options *options,
                       struct old_value *old);

/* Begin and wait. */
int client_update(struct belay_request *request, belay_cache *cache, const belay_write_options *options);

/* Set up the operation of a request. */
void client_operation(struct belay_request *request, enum operation_kind kind, const void *key,
                      size_t key_length, const void *value, size_t value_length);

/* The same for a function; @p result: its buffer. */
void client_invocation(struct belay_request *request, const void *key, size_t key_length,
                       const char *function, const struct iovec *argument, const struct iovec *result);
/* It is over: *result_length (may be NULL) is set if there is one. @return @p status, with a message. */
int client_invoked(const struct belay_request *request, int status, size_t *result_length);

/* Send it to request->primary. For client.c. */
int client_send_invoke(struct belay_request *request);
/* An update is answered: struct operation_answer. (struct call.answered) */
void client_answered(struct call *call, int status, const void *body, size_t length);

/* Begin a get; the result comes from client_finish(). */
void client_begin_get(struct belay_request *request, belay_cache *cache, const void *key, size_t key_length,
                      void *buffer, size_t capacity, size_t *value_length);

#endif
