/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of the messages of transactions. header.cache names the cache, header.call the call to be answered. */
#ifndef BELAY_TRANSACTION_WIRE_H
#define BELAY_TRANSACTION_WIRE_H

#include "cluster/message.h"
#include "fabric/fabric.h"

#include <stdint.h>

enum wire_transaction_flags {
    WIRE_TX_ALONE = 1,    /* there is no other participant */
    WIRE_TX_REPEATED = 2, /* a primary that is lost may have done it */
    WIRE_TX_EXCLUSIVE = 4 /* LOCK */
};

/* All messages to a participant; LOCK: then the key; PART, PREPARE, CHECK: then bytes of the record from `offset` on. Answers, if
 * called: the status; with OPERATION_LOCKED and CONFLICT struct wire_locked; to OUTCOME the uint32_t enum record_outcome. */
struct wire_transaction {
    uint64_t id;
    uint32_t partition;
    uint32_t offset, total;
    uint32_t sequence, reserved;
    uint16_t lane;
    uint8_t sync, flags;
};

struct wire_locked {
    uint64_t holder; /* the transaction that has the lock; 0: none is named */
    uint32_t action; /* PREPARE, CHECK: of the record, whose key it is */
    uint32_t reserved;
};

/* MESSAGE_TX_ASK. Answer: uint32_t enum record_outcome, OPEN: it is still at it. MESSAGE_TX_WAITS. Answer: uint64_t, 0: for nobody. */
struct wire_question {
    uint64_t id;
};

enum {
    WIRE_TX_ROOM = FABRIC_MESSAGE_MAX - (int)sizeof(struct message_header) -
                   (int)sizeof(struct wire_transaction)
};

#endif
