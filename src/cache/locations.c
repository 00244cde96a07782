/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/locations.h"

#include <stdlib.h>

/* The table is mapped as it is used. Its index is of bits that the fingerprint, which a slot carries, leaves out. */
enum { LOCATION_BITS = 16 };

struct locations {
    _Atomic slot_word slots[1 << LOCATION_BITS];
};

static unsigned place_of(uint64_t hash)
{
    return (unsigned)((hash >> 16 ^ hash >> 40) & ((1u << LOCATION_BITS) - 1));
}

struct locations *locations_make(void)
{
    return calloc(1, sizeof(struct locations));
}

void locations_free(struct locations *locations)
{
    free(locations);
}

slot_word locations_recall(const struct locations *locations, uint64_t hash)
{
    slot_word slot = atomic_load_explicit(&locations->slots[place_of(hash)], memory_order_relaxed);
    return slot_fingerprint(slot) == hash_fingerprint(hash) ? slot : 0;
}

void locations_keep(struct locations *locations, uint64_t hash, slot_word slot)
{
    atomic_store_explicit(&locations->slots[place_of(hash)], slot, memory_order_relaxed);
}
