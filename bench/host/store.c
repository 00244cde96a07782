/* SPDX-License-Identifier: BSD-3-Clause */
/* The caches that are measured, and what is in them. */
#include "bench.h"
#include "support/zipf.h"

#include <stdlib.h>
#include <string.h>

enum { FOLLOWER = 1 };

static struct key key_of(uint64_t number)
{
    struct key key;
    uint64_t words[2] = {number, random_mix(number)};
    memcpy(key.bytes, words, sizeof words);
    return key;
}

/* Keys whose primary is the follower. */
static void choose_keys(struct store *store)
{
    store->keys = malloc(store->count * sizeof *store->keys);
    CHECK(store->keys, "no memory for %u keys", store->count);
    uint64_t number = 0;
    for (uint32_t i = 0; i < store->count; ++number) {
        store->keys[i] = key_of(number);
        int partition = belay_partition_of(store->cache, store->keys[i].bytes, KEY_SIZE);
        i += belay_primary_of(store->cache, partition) == FOLLOWER;
    }
}

/* The order of the walk: one cycle through all keys (Sattolo's algorithm). */
static uint32_t *make_cycle(uint32_t count)
{
    uint64_t random = 3;
    uint32_t *next = malloc(count * sizeof *next);
    CHECK(next, "no memory");
    for (uint32_t i = 0; i < count; ++i)
        next[i] = i;
    for (uint32_t i = count - 1; i > 0; --i) {
        uint32_t j = (uint32_t)random_below(&random, i), swapped = next[i];
        next[i] = next[j];
        next[j] = swapped;
    }
    return next;
}

static void put_all(struct bench *bench, struct store *store, const uint32_t *next)
{
    for (uint32_t i = 0; i < store->count; ++i) {
        memcpy(store->value, store->keys[next[i]].bytes, KEY_SIZE);
        int result = belay_put(store->cache, store->keys[i].bytes, KEY_SIZE, store->value, store->value_size,
                               NULL);
        CHECK(result == BELAY_OK, "put: %s (%s)", belay_strerror(result), belay_last_error());
    }
    CHECK(belay_flush(bench->node) == BELAY_OK, "flush: %s", belay_last_error());
}

static void open_store(struct bench *bench, struct store *store, const char *name, unsigned backups,
                       size_t value_size, uint32_t count)
{
    *store = (struct store){.value_size = value_size, .count = count};
    belay_cache_config config = {.name = name, .backups = backups};
    int result = belay_cache_open(bench->node, &config, &store->cache);
    CHECK(result == BELAY_OK, "cache %s: %s", name, belay_last_error());
    choose_keys(store);
    store->value = malloc(value_size);
    CHECK(store->value, "no memory for a value of %zu bytes", value_size);
    memset(store->value, 'v', value_size);
    if (bench->rank == FOLLOWER) {
        uint32_t *next = make_cycle(count);
        put_all(bench, store, next);
        free(next);
    }
    sleeping_barrier();
}

void stores_open(struct bench *bench)
{
    uint32_t entries = bench->entries, divided = bench->quick || bench->remote ? 4 : 1;
    open_store(bench, &bench->walk, "walk", 0, 64, entries);
    open_store(bench, &bench->plain, "plain", 0, 64, bench->remote ? entries / divided : entries);
    open_store(bench, &bench->mirrored, "mirrored", 1, 64, bench->remote ? entries / divided : entries);
    if (bench->ranks > 2)
        open_store(bench, &bench->twice, "twice", 2, 64, entries / divided);
    open_store(bench, &bench->large, "large", 1, 64 * 1024, bench->remote ? 64 : 4096 / divided);
    if (!bench->remote) {
        open_store(bench, &bench->kilo, "kilo", 1, 1024, entries / 8 / divided);
        open_store(bench, &bench->huge, "huge", 1, 1024 * 1024, 256 / divided);
    }
    bench->at = bench->walk.keys[0];
    bench->buffer = malloc(2 << 20);
    CHECK(bench->buffer, "no memory");
    memset(bench->buffer, 1, 2 << 20);
}

static void close_store(struct store *store)
{
    if (!store->cache)
        return;
    belay_cache_close(store->cache);
    free(store->keys);
    free(store->value);
}

void stores_close(struct bench *bench)
{
    close_store(&bench->walk);
    close_store(&bench->plain);
    close_store(&bench->mirrored);
    close_store(&bench->twice);
    close_store(&bench->kilo);
    close_store(&bench->large);
    close_store(&bench->huge);
    free(bench->buffer);
}

/* ---- Which keys ---- */

static uint32_t range(const struct bench *bench)
{
    return bench->store ? bench->store->count : bench->entries / 5 * 5;
}

static void take_keys(struct bench *bench, unsigned operations)
{
    const struct store *store = bench->store ? bench->store : &bench->mirrored;
    for (unsigned i = 0; i < operations; ++i)
        bench->drawn_keys[i] = store->keys[bench->drawn[i]];
    bench->next_drawn = 0;
}

void draw_uniform(struct bench *bench, unsigned operations)
{
    for (unsigned i = 0; i < operations; ++i)
        bench->drawn[i] = (uint32_t)random_below(&bench->random, range(bench));
    take_keys(bench, operations);
}

void draw_few(struct bench *bench, unsigned operations)
{
    for (unsigned i = 0; i < operations; ++i)
        bench->drawn[i] = (uint32_t)random_below(&bench->random, 64);
    take_keys(bench, operations);
}

void draw_zipfian(struct bench *bench, unsigned operations)
{
    static struct zipf zipf;
    if (zipf.count != range(bench))
        zipf_init(&zipf, range(bench));
    for (unsigned i = 0; i < operations; ++i)
        bench->drawn[i] = (uint32_t)zipf_scattered(&zipf, &bench->random);
    take_keys(bench, operations);
}
