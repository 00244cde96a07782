/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file large.h
 * Values that no message carries: the primary reserves their place in its log, the caller writes them there one-sided, and the
 * update then only names the place.
 */
#ifndef BELAY_LARGE_H
#define BELAY_LARGE_H

#include "cache/operation.h"

/* Values longer than this are filled in without the partition's lock when the caller is the primary. */
enum { LARGE_HERE = 16 * 1024 };

/* Put the operation's value in place; sets operation->entry_at. */
int large_place_here(struct partition *partition, struct operation *operation, uint64_t deadline);
int large_place_remote(belay_cache *cache, uint32_t partition, int primary, struct operation *operation,
                       uint64_t deadline);

/* The update could not be sent: give the place up. */
void large_abandon_remote(belay_cache *cache, uint32_t partition, int primary, uint64_t entry_at);

#endif
