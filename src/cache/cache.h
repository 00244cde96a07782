/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file cache.h
 * One cache at one node, and the registry of all caches of the node.
 *
 * What every get and put looks at is fixed when the cache is opened and stands in the first lines of struct belay_cache.
 */
#ifndef BELAY_CACHE_H
#define BELAY_CACHE_H

#include "cache/ahead.h"
#include "cache/counters.h"
#include "cache/function.h"
#include "cache/locations.h"
#include "cache/near.h"
#include "cache/timings.h"
#include "cache/watch.h"
#include "cluster/node.h"
#include "copy/reader.h"
#include "mirror/partition.h"

#include <pthread.h>

/* A descriptor fetched from a partition's primary on another host. */
struct fetched_descriptor {
    spin_lock lock;
    bool valid;
    struct copy_descriptor descriptor;
};

/* Where a node on another host has its descriptors: offset in its region; 0: not known yet. */
struct known_block {
    _Atomic uint64_t offset;
};

/* How this node reads a peer's copies of one cache. */
struct holder {
    _Atomic(const struct copy_descriptor *)
        descriptors; /* mapped, by partition; NULL: not known yet, or other host */
};

struct belay_cache {
    belay_node *node;
    uint16_t number;
    uint8_t sync; /* belay_sync */
    int copies;   /* of each partition, as configured */
    int places; /* holders that a partition can have: one more, for a node that joined and will replace another */
    uint32_t partition_count;
    atomic_int *holders; /* node ids: [partition * places + i], the primary first; -1: nobody. See map.h */
    struct partition *partitions;
    struct holder *peers; /* by node id */
    struct counters *counters;
    struct timings *timings;
    struct fetched_descriptor *fetched; /* by partition; NULL: every primary is mapped */
    struct known_block *blocks;         /* by node; where `fetched` is */
    struct locations *locations;        /* as well */
    struct near *near;                  /* as well; NULL: none is configured */

    atomic_uint lost_count; /* partitions that are lost */
    atomic_bool *lost;      /* by partition */

    uint32_t view; /* in which its map begins */
    bool ready;    /* the coordinator has said that all servers have made it; under the state lock */
    bool
        disturbed; /* another view came while it was not ready: others may write here even if it is given up */
    struct cache_settings settings;
    uint32_t block_first, block_segments; /* descriptors of the copies here; none: ARENA_NO_SEGMENT */
    uint64_t block_offset;
    int open_count; /* handles; under the registry's lock */
    struct watch watch;
    belay_cache *retired; /* the next one that was given up */
};

static inline int cache_holder(const belay_cache *cache, uint32_t partition, int i)
{
    return atomic_load_explicit(&cache->holders[partition * (uint32_t)cache->places + (uint32_t)i],
                                memory_order_acquire);
}

static inline int cache_primary(const belay_cache *cache, uint32_t partition)
{
    return cache_holder(cache, partition, 0);
}

static inline bool cache_is_transactional(const belay_cache *cache)
{
    return cache->settings.atomicity_mode == BELAY_TRANSACTIONAL;
}

/* Transactions check their reads against the primary, so those are read there. */
static inline bool cache_reads_backups(const belay_cache *cache)
{
    return cache->settings.read_from_backup == BELAY_ON && !cache_is_transactional(cache);
}

static inline bool cache_is_lost(const belay_cache *cache, uint32_t partition)
{
    return atomic_load_explicit(&cache->lost[partition], memory_order_acquire);
}

/* The partition's descriptor at a peer (or here), if it can be read by loads; else NULL. */
const struct copy_descriptor *cache_mapped_descriptor(belay_cache *cache, int peer, uint32_t partition);

/* The partition has another primary: what was kept of the former one's descriptor is of no use. */
void cache_forget_descriptor(belay_cache *cache, uint32_t partition);

/* A cache of this node by its number; NULL: there is none. */
belay_cache *cache_find(belay_node *node, uint16_t number);

enum arena_view_state { ARENA_VIEW_UNKNOWN, ARENA_VIEW_BEING_MADE, ARENA_VIEW_MADE, ARENA_VIEW_BAD };

struct peer_arena {
    atomic_int state; /* enum arena_view_state */
    struct arena_view view;
};

enum { STAGING_KEPT = 64, FAILED_OPENS_KEPT = 8 };

struct registered;   /* a cache as the coordinator knows it */
struct open_outcome; /* what became of opening one */
struct request;      /* of another node, in work here */

struct cache_registry {
    pthread_mutex_t lock; /* of opening and closing; not held while waiting for peers */
    belay_cache *_Atomic caches[BELAY_CACHES_MAX];
    struct peer_arena *arenas;                       /* by node id */
    struct registered *registered[BELAY_CACHES_MAX]; /* under the state lock */
    struct messages_ahead ahead;                     /* of ahead.c; under the state lock */
    struct open_outcome *failed[FAILED_OPENS_KEPT];  /* the last ones; under the state lock */
    unsigned failed_count;
    belay_cache *retired;          /* not opened after all: calls on their way know their partitions */
    struct request *free_requests; /* of request.c; under the state lock */
    int free_request_count;
    spin_lock staging_lock;
    uint32_t staging[STAGING_KEPT]; /* unused staging segments */
    int staging_count;
    atomic_uint next_number; /* of a request of this node, see request_number() */
    struct sweep *sweep;
    struct expiry *expiry;
    struct functions functions;
    belay_subscription *subscriptions; /* this and the next under the state lock */
    uint32_t last_subscription;
    atomic_uint own_changes;                   /* messages of watch.c to this node itself, not handled yet */
    atomic_bool changes_owed;                  /* by some watcher */
    uint32_t standby_cache, standby_partition; /* of standby.c: the next to look at; under the state lock */
    struct coordinator_state *coordinator;     /* of the transactions that this node coordinates */
};

/* View of a node's arena: own, or of a peer whose region is mapped; NULL if it is not mapped, or bad. */
const struct arena_view *cache_arena_of(belay_node *node, int peer);

int registry_create(belay_node *node);
void registry_destroy(belay_node *node); /* all caches with it */

int registry_open(belay_node *node, const belay_cache_config *config, belay_cache **out);
void registry_close(belay_cache *cache);

/* What another node's registry told this one, which joined: if it is a server, it has all caches from now on. */
int registry_adopt(belay_node *node, const void *bytes, size_t length);

#endif
