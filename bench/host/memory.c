/* SPDX-License-Identifier: BSD-3-Clause */
/* What an entry costs in memory: all segments of the copies, divided by the entries. */
#include "bench.h"

static void held_by_follower(void *context, uint64_t offset)
{
    struct bench *bench = context;
    belay_cache_stats stats;
    const struct store *store = (const struct store *)(const void *)((const char *)bench + offset);
    CHECK(belay_stats(store->cache, &stats) == BELAY_OK, "stats: %s", belay_last_error());
    bench->pair.shared->count = stats.bytes_held;
}

void print_memory(struct bench *bench)
{
    const struct store *store = &bench->walk;
    struct figure bytes = {.name = "memory_per_entry_64", .unit = "B"};
    struct figure limit = {.name = "key_and_value", .unit = "B"};
    pair_call(&bench->pair, held_by_follower, STORE(walk));
    pair_wait(&bench->pair);
    figure_add(&bytes, (double)bench->pair.shared->count / store->count);
    figure_add(&limit, (double)(KEY_SIZE + store->value_size));
    figure_print(bench->suite, &bytes, &limit);
}
