/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file lookup.h
 * Reading a key one-sided from its primary, without the primary's processor: by loads where its arena is mapped, else by RDMA
 * READs. What cannot be read one-sided (torn again and again, or an own asynchronous write may be on its way) is asked of the
 * primary as a request.
 *
 * Threads: any. A lookup is memory of its caller.
 */
#ifndef BELAY_LOOKUP_H
#define BELAY_LOOKUP_H

#include "cache/cache.h"

/* Get a key. @p buffer may be NULL with capacity 0. @return BELAY_OK, NOT_FOUND, TRUNCATED (result set), or an error. */
int lookup_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
               struct read_result *result);

/* The same when a first attempt did not get through: waits while the primary changes over. */
int lookup_settled(belay_cache *cache, const struct read_key *key, void *buffer, size_t capacity,
                   struct read_result *result);

/* Get a key of a cache with `read_from_backup` from a backup that is mapped, if its primary is not. @return BELAY_OK, or READ_AGAIN:
 * read it from the primary. */
int lookup_backup(belay_cache *cache, const struct read_key *key, uint32_t partition, void *buffer,
                  size_t capacity, struct read_result *result);

/* ---- RDMA reads in flight (lookup_remote.c) ---- */

enum lookup_state {
    LOOKUP_HEADER,     /* of the peer's arena */
    LOOKUP_DESCRIPTOR, /* of the partition's copy */
    LOOKUP_REFERENCE,  /* directory entry */
    LOOKUP_BUCKET,
    LOOKUP_GUESS, /* bucket, and the entry where it was last */
    LOOKUP_NEAR,  /* bucket, and the header of the entry whose value the near cache has */
    LOOKUP_ENTRY,
    LOOKUP_LARGE,   /* value in pieces */
    LOOKUP_CONFIRM, /* large value: is the slot still the same? */
    LOOKUP_MISS     /* nothing found: did the index move meanwhile? */
};

struct lookup {
    belay_cache *cache;
    struct read_key key;
    void *buffer;
    size_t capacity;
    uint32_t partition;
    int peer;
    enum lookup_state state;
    fabric_ticket ticket;
    uint32_t staging; /* segment of the own arena, for what is fetched */
    unsigned tries;
    struct read_result result;

    struct copy_descriptor descriptor; /* as fetched last */
    uint64_t page_at;
    slot_word guess; /* 0: none */
    struct near_proof near;
    slot_word matches[16];
    unsigned positions[16];
    unsigned match_count, match;
    bool ends;           /* a large value has its end behind it */
    size_t fetched;      /* bytes of the entry in staging */
    uint64_t value_done; /* bytes of a large value copied out */
    size_t piece;        /* bytes of it being fetched */
};

/* Begin; fills in everything. @return FABRIC_AGAIN: reads are in flight, use lookup_step(); else the result: BELAY_OK, NOT_FOUND,
 * TRUNCATED, READ_AGAIN (ask the primary), or an error. After any other result than FABRIC_AGAIN the lookup holds nothing. */
int lookup_begin(struct lookup *lookup, belay_cache *cache, const struct read_key *key, uint32_t partition,
                 int peer, void *buffer, size_t capacity);
int lookup_step(struct lookup *lookup);
/* Give up: waits until no read is in flight into its staging. */
void lookup_cancel(struct lookup *lookup);

#endif
