/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file load.h
 * The work that goes on while ranks die: threads that call all there is and note on the board what they know.
 */
#ifndef TESTS_LOAD_H
#define TESTS_LOAD_H

#include "../support/key.h"
#include "../support/value.h"
#include "board.h"

enum {
    HOT_NUMBERS = 3, /* keys with values of 8 bytes: fetch_add works */
    HOT_KEYS = 6,
    VALUE_LONGEST = 60 * 1000 /* over a message, and over several segments */
};

enum load_cache { CACHE_FULL_SYNC, CACHE_PRIMARY_SYNC, CACHE_FULL_ASYNC, CACHE_CLEARED, LOAD_CACHES };

struct load {
    const struct job *job;
    struct board *board;
    belay_node *node;
    belay_cache *caches[LOAD_CACHES];
    atomic_bool stop;
    uint64_t longest_pause; /* of a FULL_SYNC write, nanoseconds */
};

struct worker {
    struct load *load;
    unsigned thread; /* up to WRITERS - 1: FULL_SYNC; WRITERS: the weaker modes and whole caches */
    struct random_source random;
    unsigned char *value, *buffer; /* VALUE_LONGEST each */
    uint64_t longest_pause;
    uint64_t known_value[HOT_KEYS], known_version[HOT_KEYS]; /* last seen by this thread */
};

/* ---- Keys: every user has numbers of its own ---- */

enum own_key {
    OWN_ADDS,
    OWN_SETS,
    OWN_APPLIED,
    OWN_VALUES,
    OWN_RELAXED = OWN_VALUES + OWN_KEYS,
    OWN_SPAN = 128
};

static inline uint64_t own_key(int rank, unsigned thread, unsigned which)
{
    return 1000 + ((uint64_t)rank * (WRITERS + 1) + thread) * OWN_SPAN + which;
}

/* ---- Threads ---- */

/* Use hot keys that no other group uses: before the first step. */
void hot_choose(unsigned group);
/* One operation on a hot key, recorded. @return false: there is no room for more records. */
bool hot_step(struct worker *w);
/* Read every hot key, recorded: with nobody else at work, their last values. */
void hot_read_all(struct worker *w);

/* Functions that the work applies: before it begins. */
void own_register(belay_node *node);

/* A write to what this thread alone writes, with FULL_SYNC. */
void own_step(struct worker *w);

/* Writes in the weaker modes, or a flush. */
void relaxed_step(struct worker *w);

/* A call about a whole cache. */
void whole_step(struct worker *w);

/* ---- Afterwards, by one survivor ---- */

/* Sequence of the value that a key has now, 0 for none. By one thread. */
uint64_t read_sequence(const struct load *load, enum load_cache cache, uint64_t number);

void check_hot(struct load *load);
void check_own(struct load *load);
void check_relaxed(struct load *load);

#endif
