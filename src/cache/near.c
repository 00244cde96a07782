/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/near.h"

#include "base/spin.h"

#include <stdlib.h>
#include <string.h>

enum {
    STRIPES = 16,        /* keys are spread over them, each has a lock */
    LIVE_PER_RECORD = 4, /* a value takes at most this part of a stripe */
    BYTES_PER_INDEX = 128
};

/* In the ring: this, the key, the value, padding to 8 bytes. */
struct record {
    struct near_proof proof;
    uint64_t hash;
    uint32_t key_length, reserved;
};

/* Positions count bytes ever written and never go back: a record lies at position % size, whole as long as no more than
 * `size` bytes were written since. The index names the last record of each hash, by position + 1. */
struct stripe {
    _Alignas(64) spin_lock lock;
    uint64_t end; /* position behind the last record */
    uint64_t *index;
    unsigned char *ring;
};

struct near {
    struct stripe stripes[STRIPES];
    size_t ring_size, index_size; /* of a stripe; the index a power of two */
    unsigned char *memory;
};

struct near *near_make(size_t size)
{
    size_t share = size / STRIPES / 8 * 8, index_size = 1;
    while (index_size * 2 * BYTES_PER_INDEX <= share)
        index_size *= 2;
    struct near *near = aligned_alloc(64, sizeof *near);
    unsigned char *memory = calloc(STRIPES, share);
    if (!near || !memory) {
        free(near);
        free(memory);
        return NULL;
    }
    memset(near, 0, sizeof *near);
    near->memory = memory;
    near->index_size = index_size;
    near->ring_size = share - index_size * sizeof(uint64_t);
    for (int i = 0; i < STRIPES; ++i) {
        near->stripes[i].index = (uint64_t *)(void *)(memory + (size_t)i * share);
        near->stripes[i].ring = (unsigned char *)(near->stripes[i].index + index_size);
    }
    return near;
}

void near_free(struct near *near)
{
    if (near)
        free(near->memory);
    free(near);
}

static struct stripe *stripe_of(struct near *near, uint64_t hash)
{
    return &near->stripes[hash >> 16 & (STRIPES - 1)];
}

static uint64_t *index_of(const struct near *near, struct stripe *stripe, uint64_t hash)
{
    return &stripe->index[(hash >> 20 ^ hash) & (near->index_size - 1)];
}

static struct record *find(struct near *near, struct stripe *stripe, const struct read_key *key)
{
    uint64_t named = *index_of(near, stripe, key->hash);
    if (named == 0 || stripe->end - (named - 1) > near->ring_size)
        return NULL;
    struct record *record = (void *)(stripe->ring + (named - 1) % near->ring_size);
    bool same = record->hash == key->hash && record->key_length == key->length &&
                memcmp(record + 1, key->data, key->length) == 0;
    return same ? record : NULL;
}

bool near_find(struct near *near, const struct read_key *key, struct near_proof *proof)
{
    struct stripe *stripe = stripe_of(near, key->hash);
    spin_acquire(&stripe->lock);
    const struct record *record = find(near, stripe, key);
    if (record)
        *proof = record->proof;
    spin_release(&stripe->lock);
    return record != NULL;
}

bool near_take(struct near *near, const struct read_key *key, const struct near_proof *proof, void *buffer)
{
    struct stripe *stripe = stripe_of(near, key->hash);
    spin_acquire(&stripe->lock);
    const struct record *record = find(near, stripe, key);
    bool same = record && record->proof.version == proof->version && record->proof.slot == proof->slot;
    if (same && proof->value_length > 0)
        memcpy(buffer, (const unsigned char *)(record + 1) + key->length, proof->value_length);
    spin_release(&stripe->lock);
    return same;
}

/* Room for a record at the end of the ring, in one piece. */
static struct record *append(const struct near *near, struct stripe *stripe, size_t size)
{
    size_t at = stripe->end % near->ring_size;
    if (at + size > near->ring_size)
        stripe->end += near->ring_size - at;
    struct record *record = (void *)(stripe->ring + stripe->end % near->ring_size);
    stripe->end += size;
    return record;
}

void near_keep(struct near *near, const struct read_key *key, const struct near_proof *proof,
               const void *value)
{
    struct stripe *stripe = stripe_of(near, key->hash);
    size_t size = (sizeof(struct record) + key->length + proof->value_length + 7) & ~(size_t)7;
    if (size > near->ring_size / LIVE_PER_RECORD)
        return;
    spin_acquire(&stripe->lock);
    struct record *record = append(near, stripe, size);
    *record = (struct record){.proof = *proof, .hash = key->hash, .key_length = (uint32_t)key->length};
    memcpy(record + 1, key->data, key->length);
    if (proof->value_length > 0)
        memcpy((unsigned char *)(record + 1) + key->length, value, proof->value_length);
    *index_of(near, stripe, key->hash) = stripe->end - size + 1;
    spin_release(&stripe->lock);
}
