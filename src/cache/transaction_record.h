/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transaction_record.h
 * What a transaction does at one partition, as bytes: sent by its coordinator, kept by the partition's primary, and, while the
 * outcome is open, an entry of the partition's copy, so that every backup has it.
 *
 * The entry lies under a key that users cannot have (own_key.h), with coordinator and lane in it. A coordinator uses a lane for one
 * transaction at a time, and for the next one only when all participants have finished; so an entry is overwritten when nobody can
 * want it any more, and need not be removed. Who still finds a record prepared, of a transaction that is over by the lane's sequence
 * elsewhere, knows that it was committed: an abort is on all copies before it is over.
 *
 * Layout: struct record_header; `participants` struct record_place; `actions` times struct record_action with key and value.
 */
#ifndef BELAY_TRANSACTION_RECORD_H
#define BELAY_TRANSACTION_RECORD_H

#include "belay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum record_state {
    RECORD_PREPARED = 1, /* the coordinator decides, or recovery */
    RECORD_DECIDED,      /* to be committed: one participant alone */
    RECORD_COMMITTED,    /* done; nothing but the header */
    RECORD_ABORTED       /* the same */
};

enum record_check {
    RECORD_UNCHECKED,
    RECORD_VERSION, /* the key has this version, or is absent as it was: it is locked since */
    RECORD_CHANGES  /* and if it was absent, it has not been there in between */
};

enum record_kind { RECORD_READ, RECORD_PUT, RECORD_REMOVE };

struct record_header {
    uint64_t id; /* of the transaction: (coordinator's node id + 1) << 32 | number */
    uint32_t participants, actions;
    uint16_t lane;
    uint8_t state, sync;
    uint32_t sequence; /* of the commits of this coordinator: a later one has a higher one, modulo 2^32 */
};

struct record_place {
    uint32_t cache, partition;
};

struct record_action {
    uint64_t version; /* that was read; 0: the key was absent */
    uint32_t value_length;
    uint32_t changes; /* mark_changes() before it was read as absent */
    uint16_t key_length;
    uint8_t kind;  /* enum record_kind */
    uint8_t check; /* enum record_check */
    uint32_t reserved;
};

enum { RECORD_KEY_LENGTH = 24 };

/* No transaction has a longer one: it may have read as many keys as there may be, each as long as it may be, of one partition. */
enum {
    RECORD_BYTES_MAX = sizeof(struct record_header) + BELAY_TX_BYTES_MAX +
                       BELAY_TX_KEYS_MAX *
                           (sizeof(struct record_place) + sizeof(struct record_action) + BELAY_KEY_MAX)
};

void record_key(unsigned char key[RECORD_KEY_LENGTH], uint64_t id, uint16_t lane);

/* Walking through a record. Everything is checked: it may come from a peer. */
struct record_reader {
    const unsigned char *bytes;
    size_t length, at;
    struct record_header header;
    uint32_t actions_left;
};

bool record_open(struct record_reader *reader, const void *bytes, size_t length);
struct record_place record_participant(const struct record_reader *reader, uint32_t i);
/* The next action; @p key and @p value point into the record. @return false: there is none, or the record is malformed. */
bool record_next(struct record_reader *reader, struct record_action *action, const unsigned char **key,
                 const unsigned char **value);
/* The first of them all again. */
void record_rewind(struct record_reader *reader);
/* Are all of them well formed? */
bool record_sound(const struct record_reader *reader);

/* Building one, in memory that grows. */
struct record_builder {
    unsigned char *bytes; /* malloc(); NULL: none, or no memory */
    size_t length, capacity;
    bool failed; /* no memory */
};

void record_append(struct record_builder *builder, const void *bytes, size_t length);
void record_add(struct record_builder *builder, const struct record_action *action, const void *key,
                const void *value);

#endif
