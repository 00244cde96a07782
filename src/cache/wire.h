/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of the cache layer's messages. All are followed by the bytes their lengths name. */
#ifndef BELAY_WIRE_H
#define BELAY_WIRE_H

#include "cluster/message.h"
#include "copy/keys.h"
#include "fabric/fabric.h"

#include <stddef.h>
#include <stdint.h>

/* MESSAGE_UPDATE; then key and, unless it lies in a reservation, value. Answer: struct operation_answer. With
 * header.call 0 it is asynchronous: `async_number` counts the sender's to this primary. header.flags: enum wire_flags. */
enum wire_flags {
    WIRE_REPEATED = 1, /* a primary that is lost may have applied it */
    WIRE_PLAIN = 2,    /* without the last two parts, which are 0: a short put is two cache lines */
    WIRE_TIMED = 4     /* with the last part; in MESSAGE_RESERVE: its update will be */
};

struct operation_answer {
    uint64_t version;   /* of the new entry */
    int64_t old_number; /* FETCH_ADD */
};

struct wire_update {
    uint8_t kind, sync;
    uint16_t key_length;
    uint32_t value_length;
    uint32_t number; /* the client's, for exactly-once */
    uint32_t async_number;
    /* Not in a plain one. */
    uint64_t argument; /* COMPARE_AND_SET: version; FETCH_ADD: delta */
    uint64_t entry_at; /* reservation, or 0 */
    /* Only in a timed one. */
    uint64_t time_to_live_ms;
};

static inline size_t wire_update_size(uint8_t flags)
{
    if (flags & WIRE_PLAIN)
        return offsetof(struct wire_update, argument);
    return flags & WIRE_TIMED ? sizeof(struct wire_update) : offsetof(struct wire_update, time_to_live_ms);
}

/* MESSAGE_INVOKE; then the function's name, key and argument. header.flags: WIRE_REPEATED. Answer: struct wire_invoked, then the
 * result; with TRUNCATED only the length that it would have. */
struct wire_invoke {
    uint8_t sync, name_length;
    uint16_t key_length;
    uint32_t argument_length, result_capacity;
    uint32_t number; /* this and the next as of an update */
    uint64_t time_to_live_ms;
};

struct wire_invoked {
    struct operation_answer answer;
    uint32_t result_length, reserved;
};
_Static_assert(sizeof(struct message_header) + sizeof(struct wire_invoke) + BELAY_FUNCTION_NAME_MAX +
                       BELAY_KEY_MAX + BELAY_INVOKE_ARGUMENT_MAX <=
                   FABRIC_MESSAGE_MAX,
               "an invocation is one message");

/* MESSAGE_GET; then the key. Answer: struct wire_value, then up to `wanted` bytes of the value from `from` on. */
struct wire_get {
    uint32_t key_length, wanted;
    uint64_t from;
    uint64_t version; /* of the value that the bytes must be of; 0: any */
};

struct wire_value {
    uint64_t version, value_length, ends_at;
};

/* MESSAGE_RESERVE; then the key. Answer: struct wire_place. */
struct wire_reserve {
    uint32_t key_length, value_length;
};

enum { WIRE_PLACE_SEGMENTS = 1024 };

struct wire_place {
    uint64_t entry_at, value_at;
    uint32_t first, count; /* logical segments listed */
    uint32_t physical[WIRE_PLACE_SEGMENTS];
};

/* MESSAGE_MAP: more of the list. Answer: struct wire_place. */
struct wire_map {
    uint32_t partition, first, count, reserved;
};

/* MESSAGE_ABANDON */
struct wire_abandon {
    uint64_t partition, entry_at;
};

/* MESSAGE_ASYNC_DONE, MESSAGE_ASYNC_FAILED (with header.status) */
struct wire_async {
    uint32_t async_number, partition;
};

/* MESSAGE_KEYS. Answer: struct wire_keys_answer, up to the last key. */
struct wire_keys {
    uint32_t partition;
    struct key_cursor cursor;
};

struct wire_keys_answer {
    struct key_cursor cursor; /* where to go on */
    unsigned char keys[FABRIC_MESSAGE_MAX - sizeof(struct message_header) - sizeof(struct key_cursor)];
};

/* MESSAGE_WATCH; then the prefix. */
struct wire_watch {
    uint32_t subscription; /* a number of the sender's; MESSAGE_UNWATCH has nothing but it */
    uint16_t prefix_length;
    uint8_t late; /* updates before this may have been missed */
    uint8_t reserved;
};

enum wire_change_kind {
    WIRE_CHANGE_BEGIN, /* what comes after `settled` is told from now on */
    WIRE_CHANGE_PUT,
    WIRE_CHANGE_REMOVED,
    WIRE_CHANGE_CLEARED,
    WIRE_CHANGE_GAP, /* something may be missing, and nothing more is told before this */
    WIRE_CHANGE_KINDS
};

/* MESSAGE_CHANGE; then the key and, if it fits, the value. */
struct wire_change {
    uint32_t subscription, partition;
    uint64_t version, settled; /* all updates up to it have been told */
    uint32_t value_length;
    uint16_t key_length;
    uint8_t kind, with_value;
};

/* MESSAGE_CATCH_UP. The changes come before the answer: struct wire_caught_up. */
struct wire_catch_up {
    uint32_t subscription, partition;
    uint64_t since, told; /* all up to the first is known; the newest that was told */
    struct key_cursor cursor;
};

struct wire_caught_up {
    struct key_cursor cursor; /* where to go on */
    uint64_t settled;
};

/* Bytes of key and value that fit beside the rest in one message. */
enum {
    WIRE_UPDATE_ROOM = FABRIC_MESSAGE_MAX - (int)sizeof(struct message_header) -
                       (int)sizeof(struct wire_update),
    WIRE_CHANGE_ROOM = FABRIC_MESSAGE_MAX - (int)sizeof(struct message_header) -
                       (int)sizeof(struct wire_change),
    WIRE_VALUE_ROOM = FABRIC_MESSAGE_MAX - (int)sizeof(struct message_header) - (int)sizeof(struct wire_value)
};

#endif
