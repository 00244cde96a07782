/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file locations.h
 * Where entries on other hosts were found last: slot words by hash. A guess, nothing more: a get reads the bucket and the guessed
 * entry at once and believes the entry only if the bucket names it, so a repeated get takes one round trip where
 * the first one took two. What was guessed wrong costs the bytes of one READ.
 *
 * Threads: any. Each place is one word of this process; whoever comes last wins.
 */
#ifndef BELAY_LOCATIONS_H
#define BELAY_LOCATIONS_H

#include "copy/layout.h"

struct locations;

/* @return NULL: no memory. */
struct locations *locations_make(void);
void locations_free(struct locations *locations);

/* @return the slot that was kept for the hash, or 0. */
slot_word locations_recall(const struct locations *locations, uint64_t hash);
void locations_keep(struct locations *locations, uint64_t hash, slot_word slot);

#endif
