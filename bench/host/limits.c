/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file limits.c
 * What the machine can do at best: the loads, stores and copies that no cache between two processes could do without, and
 * nothing else. The memory is the follower's, of the same kind as a node's region, and has the same number of entries.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8, SLOTS_USED = 5, SMALL_COPIES = 1 << 18, LARGE = 64 * 1024, HUGE_SIZE = 1 << 20 };

struct limit_bucket {
    _Alignas(64) uint64_t slots[SLOTS];
};

/* As long as an entry of 64 bytes under a key of 16: no cache line holds it whole. */
struct limit_entry {
    uint64_t header[4];
    uint64_t key[2];
    uint64_t value[8]; /* the first word: which bucket comes next; the second: which of its slots */
};

struct limit_memory {
    struct limit_bucket *buckets;
    struct limit_entry *entries;
    unsigned char *copies; /* for copies of values */
    size_t copies_size, copied;
    uint64_t bucket, slot; /* where the walk is */
    uint32_t bucket_count, count;
    struct limit_entry kept;
};

static size_t bytes_of_buckets(uint32_t count)
{
    return (size_t)count * sizeof(struct limit_bucket);
}

/* One cycle through all entries in random order (Sattolo's algorithm). */
static void link_entries(struct limit_memory *m)
{
    uint64_t random = 7;
    uint32_t *order = malloc(m->count * sizeof *order);
    CHECK(order, "no memory");
    for (uint32_t i = 0; i < m->count; ++i)
        order[i] = i;
    for (uint32_t i = m->count - 1; i > 0; --i) {
        uint32_t j = (uint32_t)random_below(&random, i), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (uint32_t i = 0; i < m->count; ++i) {
        uint32_t next = order[(i + 1) % m->count];
        m->entries[order[i]].value[0] = next / SLOTS_USED;
        m->entries[order[i]].value[1] = next % SLOTS_USED;
    }
    free(order);
}

/* Entries lie in another order than their slots, as in a log. */
static void fill(struct limit_memory *m)
{
    uint64_t random = 11;
    uint32_t *places = malloc(m->count * sizeof *places);
    CHECK(places, "no memory");
    for (uint32_t i = 0; i < m->count; ++i)
        places[i] = i;
    for (uint32_t i = m->count - 1; i > 0; --i) {
        uint32_t j = (uint32_t)random_below(&random, i + 1), swapped = places[i];
        places[i] = places[j];
        places[j] = swapped;
    }
    link_entries(m);
    for (uint32_t i = 0; i < m->count; ++i)
        m->buckets[i / SLOTS_USED].slots[i % SLOTS_USED] = places[i];
    struct limit_entry *placed = malloc((size_t)m->count * sizeof *placed);
    CHECK(placed, "no memory");
    for (uint32_t i = 0; i < m->count; ++i)
        placed[places[i]] = m->entries[i];
    memcpy(m->entries, placed, (size_t)m->count * sizeof *placed);
    free(placed);
    free(places);
}

void limits_open(struct bench *bench)
{
    struct limit_memory *m = calloc(1, sizeof *m);
    CHECK(m, "no memory");
    bench->limits = m;
    m->count = bench->entries / SLOTS_USED * SLOTS_USED;
    m->bucket_count = m->count / SLOTS_USED;
    m->copies_size = bench->quick ? 64u << 20 : 256u << 20;
    m->buckets = pair_memory(bench->rank, bytes_of_buckets(m->bucket_count));
    m->entries = pair_memory(bench->rank, (size_t)m->count * sizeof *m->entries);
    m->copies = pair_memory(bench->rank, m->copies_size);
    if (bench->rank == 1) {
        fill(m);
        memset(m->copies, 1, m->copies_size);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (bench->rank == 0)
        for (size_t at = 0; at < m->copies_size; at += 4096) /* mapped here too */
            bench->sink += m->copies[at];
}

/* ---- Reads ---- */

void limit_dependent_reads(struct bench *bench, unsigned operations)
{
    struct limit_memory *m = bench->limits;
    uint64_t bucket = m->bucket, slot = m->slot;
    for (unsigned i = 0; i < operations; ++i) {
        const struct limit_entry *entry = &m->entries[m->buckets[bucket].slots[slot]];
        uint64_t value[8];
        memcpy(value, entry->value, sizeof value);
        memcpy(bench->buffer, value, sizeof value);
        bucket = value[0];
        slot = value[1];
    }
    m->bucket = bucket;
    m->slot = slot;
}

void limit_overlapped_reads(struct bench *bench, unsigned operations)
{
    struct limit_memory *m = bench->limits;
    for (unsigned done = 0; done < operations; ++done) { /* each of one batch */
        const uint32_t *drawn = &bench->drawn[done * GET_ALL_BATCH];
        const struct limit_entry *entries[GET_ALL_BATCH];
        for (unsigned i = 0; i < GET_ALL_BATCH; ++i)
            __builtin_prefetch(&m->buckets[drawn[i] / SLOTS_USED]);
        for (unsigned i = 0; i < GET_ALL_BATCH; ++i) {
            entries[i] = &m->entries[m->buckets[drawn[i] / SLOTS_USED].slots[drawn[i] % SLOTS_USED]];
            __builtin_prefetch(entries[i]);
            __builtin_prefetch((const unsigned char *)entries[i] + 64);
            __builtin_prefetch((const unsigned char *)entries[i] + sizeof *entries[i] - 1);
        }
        for (unsigned i = 0; i < GET_ALL_BATCH; ++i)
            memcpy(bench->buffer + i * sizeof entries[i]->value, entries[i]->value, sizeof entries[i]->value);
    }
}

/* ---- A cache line, there and back ---- */

static void answer_pings(void *context, uint64_t count)
{
    struct bench *bench = context;
    struct pair_shared *shared = bench->pair.shared;
    for (uint64_t i = 1; i <= count; ++i) {
        while (atomic_load_explicit(&shared->ping, memory_order_acquire) != i)
            ;
        atomic_store_explicit(&shared->pong, i, memory_order_release);
    }
}

void limit_ping_pong_begin(struct bench *bench, unsigned operations)
{
    atomic_store(&bench->pair.shared->ping, 0);
    atomic_store(&bench->pair.shared->pong, 0);
    bench->next_drawn = 0;
    pair_call(&bench->pair, answer_pings, operations);
}

void limit_ping_pong(struct bench *bench, unsigned operations)
{
    struct pair_shared *shared = bench->pair.shared;
    for (unsigned i = 0; i < operations; ++i) {
        uint64_t number = ++bench->next_drawn;
        atomic_store_explicit(&shared->ping, number, memory_order_release);
        while (atomic_load_explicit(&shared->pong, memory_order_acquire) != number)
            ;
    }
}

/* ---- Copies ---- */

static unsigned char *random_copy(struct bench *bench, size_t size)
{
    struct limit_memory *m = bench->limits;
    return m->copies + random_below(&bench->random, m->copies_size / size) * size;
}

/* Where the next @p size bytes of a log would go. */
static unsigned char *next_copy(struct limit_memory *m, size_t size)
{
    if (m->copied + size > m->copies_size)
        m->copied = 0;
    unsigned char *at = m->copies + m->copied;
    m->copied += size;
    return at;
}

static void copy_from_peer(struct bench *bench, unsigned operations, size_t size)
{
    for (unsigned i = 0; i < operations; ++i)
        memcpy(bench->buffer, random_copy(bench, size), size);
}

/* A value from its caller to the primary, and from there to the backup. */
static void copy_twice(struct bench *bench, unsigned operations, size_t size)
{
    for (unsigned i = 0; i < operations; ++i) {
        unsigned char *primary = next_copy(bench->limits, size);
        memcpy(primary, bench->buffer, size);
        memcpy(next_copy(bench->limits, size), primary, size);
    }
}

void limit_copy_from_peer_64k(struct bench *bench, unsigned operations)
{
    copy_from_peer(bench, operations, LARGE);
}

void limit_copy_from_peer_1m(struct bench *bench, unsigned operations)
{
    copy_from_peer(bench, operations, HUGE_SIZE);
}

void limit_copy_twice_64k(struct bench *bench, unsigned operations)
{
    copy_twice(bench, operations, LARGE);
}

void limit_copy_twice_1m(struct bench *bench, unsigned operations)
{
    copy_twice(bench, operations, HUGE_SIZE);
}

/* Key and value as a message, in the primary's log and in the backup's. */
void limit_copy_three_times_64(struct bench *bench, unsigned operations)
{
    struct limit_memory *m = bench->limits;
    enum { BYTES = KEY_SIZE + 64 };
    const struct store *store = &bench->mirrored;
    for (unsigned i = 0; i < operations; ++i) {
        unsigned char *message = next_copy(m, BYTES), *primary, *backup;
        memcpy(message, bench->drawn_keys[i].bytes, KEY_SIZE);
        memcpy(message + KEY_SIZE, store->value, 64);
        primary = next_copy(m, BYTES);
        memcpy(primary, message, BYTES);
        backup = next_copy(m, BYTES);
        memcpy(backup, primary, BYTES);
    }
}
