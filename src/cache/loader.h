/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file loader.h
 * Many puts in a row, LOADER_DEPTH of them on their way at once, each to all copies. The loader has copies of their keys and
 * values, so that the caller can go on to make the next; of long values it has none, and waits for them.
 *
 * Puts are answered by their primaries, so that what dies with one is repeated as any other call is, and not applied twice.
 * Puts of one key follow each other: the second waits for the first.
 */
#ifndef BELAY_LOADER_H
#define BELAY_LOADER_H

#include "cache/client.h"

enum { LOADER_DEPTH = 64, LOADER_COPIED_MAX = 64 * 1024 };

struct load; /* one put on its way */

struct belay_loader {
    belay_cache *cache;
    struct load *loads;            /* LOADER_DEPTH */
    uint64_t hashes[LOADER_DEPTH]; /* of the keys on their way */
    bool under_way[LOADER_DEPTH];
    unsigned next;      /* the oldest, and the place of the next one */
    int failure;        /* the first since the last flush */
    atomic_bool in_use; /* a thread is in a call */
    _Atomic uint64_t added, added_bytes, done, done_bytes, failed;
};

int loader_create(belay_cache *cache, struct belay_loader **out);
void loader_destroy(struct belay_loader *loader); /* nothing is on its way */

/* @return BELAY_OK, NO_MEMORY, or the failure of an earlier one, since when nothing is taken. */
int loader_add(struct belay_loader *loader, const void *key, size_t key_length, const void *value,
               size_t value_length);

/* Wait for all. @return the first failure since the last time. */
int loader_flush(struct belay_loader *loader);

#endif
