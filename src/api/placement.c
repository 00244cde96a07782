/* SPDX-License-Identifier: BSD-3-Clause */
#include "api/check.h"
#include "cache/cache.h"
#include "cache/operation.h"

static int check_partition(const char *call, const belay_cache *cache, int partition)
{
    int result = check_output(call, cache, "cache");
    if (result == BELAY_OK && (partition < 0 || (uint32_t)partition >= cache->partition_count))
        result = log_quiet(BELAY_ERR_INVALID, "%s: partition %d; there are %u", call, partition,
                           cache->partition_count);
    return result;
}

int belay_partition_count(const belay_cache *cache)
{
    return cache ? (int)cache->partition_count : BELAY_ERR_INVALID;
}

int belay_partition_of(const belay_cache *cache, const void *key, size_t key_length)
{
    int result = check_key("belay_partition_of", cache, key, key_length);
    return result == BELAY_OK ? (int)hash_partition(key_hash(key, key_length), cache->partition_count)
                              : result;
}

int belay_primary_of(const belay_cache *cache, int partition)
{
    int result = check_partition("belay_primary_of", cache, partition);
    if (result != BELAY_OK)
        return result;
    int primary = cache_primary(cache, (uint32_t)partition);
    return primary >= 0 ? primary : BELAY_ERR_PARTITION_LOST;
}

int belay_backups_of(const belay_cache *cache, int partition, int *nodes, int capacity)
{
    int result = check_partition("belay_backups_of", cache, partition);
    if (result == BELAY_OK && (capacity < 0 || (capacity > 0 && !nodes)))
        result = log_quiet(BELAY_ERR_INVALID, "belay_backups_of: room for %d nodes at %p", capacity,
                           (void *)nodes);
    if (result != BELAY_OK)
        return result;
    int count = 0;
    for (int i = 1; i < cache->places; ++i) {
        int holder = cache_holder(cache, (uint32_t)partition, i);
        if (holder >= 0 && count++ < capacity)
            nodes[count - 1] = holder;
    }
    return count;
}

int belay_is_primary(const belay_cache *cache, const void *key, size_t key_length)
{
    int partition = belay_partition_of(cache, key, key_length);
    return partition < 0 ? partition : cache_primary(cache, (uint32_t)partition) == cache->node->id;
}
