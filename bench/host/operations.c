/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <string.h>

/* The value begins with the next key. */
void get_dependent(struct bench *bench, unsigned operations)
{
    belay_cache *cache = bench->store->cache;
    size_t capacity = bench->store->value_size, length;
    for (unsigned i = 0; i < operations; ++i) {
        int result = belay_get(cache, bench->at.bytes, KEY_SIZE, bench->buffer, capacity, &length);
        CHECK(result == BELAY_OK, "get: %s", belay_strerror(result));
        memcpy(bench->at.bytes, bench->buffer, KEY_SIZE);
    }
}

static const struct key *next_key(struct bench *bench)
{
    return &bench->drawn_keys[bench->next_drawn++ & (DRAWN_MAX - 1)];
}

void get_drawn(struct bench *bench, unsigned operations)
{
    size_t capacity = bench->store->value_size, length;
    for (unsigned i = 0; i < operations; ++i) {
        const struct key *key = next_key(bench);
        int result = belay_get(bench->store->cache, key->bytes, KEY_SIZE, bench->buffer, capacity, &length);
        CHECK(result == BELAY_OK, "get: %s", belay_strerror(result));
    }
}

/* @p operations: calls of GET_ALL_BATCH keys each */
void get_all_drawn(struct bench *bench, unsigned operations)
{
    belay_get_item items[GET_ALL_BATCH];
    size_t size = bench->store->value_size;
    for (unsigned done = 0; done < operations; ++done) {
        for (unsigned i = 0; i < GET_ALL_BATCH; ++i)
            items[i] = (belay_get_item){.key = {next_key(bench)->bytes, KEY_SIZE},
                                        .buffer = bench->buffer + i * size,
                                        .capacity = size};
        int result = belay_get_all(bench->store->cache, items, GET_ALL_BATCH);
        CHECK(result == BELAY_OK && items[GET_ALL_BATCH - 1].status == BELAY_OK, "get_all: %s",
              belay_strerror(result));
    }
}

void put_drawn(struct bench *bench, unsigned operations)
{
    const struct store *store = bench->store;
    belay_write_options options = {.sync = bench->sync};
    for (unsigned i = 0; i < operations; ++i) {
        int result = belay_put(store->cache, next_key(bench)->bytes, KEY_SIZE, store->value,
                               store->value_size, &options);
        CHECK(result == BELAY_OK, "put: %s", belay_strerror(result));
    }
}

void flush(struct bench *bench)
{
    int result = belay_flush(bench->node);
    CHECK(result == BELAY_OK, "flush: %s", belay_strerror(result));
}
