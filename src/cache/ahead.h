/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking early for the memory that an update will touch, see ahead.c. */
#ifndef BELAY_AHEAD_H
#define BELAY_AHEAD_H

#include "belay.h"
#include "copy/reader.h"

enum { AHEAD_BUCKETS = 2 /* messages between a bucket's prefetch and that of its entry */ };

struct ahead_bucket {
    const slot_word *home; /* NULL: nothing is known */
    const struct copy_descriptor *descriptor;
    uint64_t hash;
};

/* Under the state lock. */
struct messages_ahead {
    struct ahead_bucket buckets[AHEAD_BUCKETS];
    unsigned seen;
};

/* Ask for the bucket of a key, if this node is its primary. */
void ahead_prefetch(belay_cache *cache, uint64_t hash, struct ahead_bucket *bucket);

void ahead_register(belay_node *node);

#endif
