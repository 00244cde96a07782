/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file ahead.c
 * Updates that will be handled soon. An update of a random key waits for two cache misses, its bucket and its old entry. In
 * a burst of messages both are asked for some messages before, so the misses of several are waited for at once: the
 * bucket when a message is first seen, the entry when a later one is, for by then the bucket has come.
 *
 * Nothing here decides anything: what a message says may be wrong, and what is read from the index may be torn.
 */
#include "cache/ahead.h"

#include "cache/cache.h"
#include "cache/operation.h"
#include "cache/wire.h"

#include <string.h>

void ahead_prefetch(belay_cache *cache, uint64_t hash, struct ahead_bucket *bucket)
{
    belay_node *node = cache->node;
    uint32_t partition = hash_partition(hash, cache->partition_count);
    bucket->home = NULL;
    if (cache_primary(cache, partition) != node->id)
        return;
    bucket->hash = hash;
    bucket->descriptor = cache_mapped_descriptor(cache, node->id, partition);
    if (bucket->descriptor)
        bucket->home = reader_prefetch_bucket(&node->caches->arenas[node->id].view, bucket->descriptor, hash);
}

static void prefetch_entry(const belay_node *node, struct ahead_bucket *bucket)
{
    if (bucket->home)
        reader_prefetch_entry(&node->caches->arenas[node->id].view, bucket->descriptor, bucket->home,
                              bucket->hash);
    bucket->home = NULL;
}

static void see(belay_node *node, const struct message_header *header, const void *body, size_t length)
{
    struct messages_ahead *ahead = &node->caches->ahead;
    struct ahead_bucket *bucket = &ahead->buckets[ahead->seen++ % AHEAD_BUCKETS];
    size_t wire_size = wire_update_size(header->flags);
    prefetch_entry(node, bucket);
    if (header->type != MESSAGE_UPDATE || length < wire_size)
        return;
    struct wire_update wire = {0};
    memcpy(&wire, body, wire_size);
    belay_cache *cache = cache_find(node, header->cache);
    if (cache && wire.key_length > 0 && wire.key_length <= length - wire_size)
        ahead_prefetch(cache, key_hash((const unsigned char *)body + wire_size, wire.key_length), bucket);
}

void ahead_register(belay_node *node)
{
    node->see_ahead = see;
}
