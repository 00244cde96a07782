/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file copy_world.h
 * A copy, its mirror and a plain model of what they should hold, for tests. The mirror is fed by effects only, as a backup
 * is. Operations do what the layer above a copy does: attach, split, drain, clean until the copy takes the change.
 */
#ifndef BELAY_TEST_COPY_WORLD_H
#define BELAY_TEST_COPY_WORLD_H

#include "copy/copy.h"
#include "copy/reader.h"

enum { PRIMARY, MIRROR, WORLD_COPIES };

#define NO_KEY UINT32_MAX

struct world_options {
    size_t segment_size;
    uint32_t segments;   /* of each arena */
    uint32_t keys;       /* numbers of keys are below */
    uint32_t key_length; /* of all keys, or 0: by key number, 4 to BELAY_KEY_MAX */
    uint32_t own_keys;   /* those below are the library's own; with a key_length of 24 at least */
    bool seal_whole;
    bool no_mirror;
    bool ends;        /* most entries end, at a time that their value's seed gives */
    unsigned pending; /* changes that may wait for publication; 0: all are published at once */
};

/* What the model knows of a key. */
struct model_value {
    uint64_t version; /* of its last change */
    uint64_t seed;    /* of its bytes */
    uint32_t length;
    bool present;
};

struct pending_change {
    struct copy_change change;
    struct pending_change *next;
    uint32_t key;
    struct model_value value;
};

struct world {
    struct world_options options;
    void *region[WORLD_COPIES];
    size_t region_size;
    arena *arena[WORLD_COPIES];
    copy *copy[WORLD_COPIES];
    uint64_t descriptor_offset[WORLD_COPIES];
    struct arena_view view[WORLD_COPIES];

    struct model_value *newest, *published; /* by key */
    uint64_t entries;
    struct pending_change *pending; /* oldest first */
    unsigned pending_count;
    uint64_t random;
    unsigned urgent; /* segments attached in need */
    /* Called for every change with effects, before the mirror gets them. @return true: it does not get the last one. */
    bool (*watch)(struct world *w, const struct copy_change *change, void *context);
    void (*fence)(struct world *w, void *context); /* before segments are reused */
    void *watch_context;
    uint32_t changing_key; /* what the change being watched makes of a key; NO_KEY: nothing */
    struct model_value changing;
};

void world_open(struct world *w, const struct world_options *options, uint64_t seed);
void world_close(struct world *w);

uint64_t world_random(struct world *w);
uint32_t world_below(struct world *w, uint32_t limit);

size_t key_bytes(const struct world *w, uint32_t key,
                 void *to); /* at most BELAY_KEY_MAX; @return their number */
uint64_t key_hash(const struct world *w, uint32_t key);
void value_bytes(uint64_t seed, void *to, size_t length);
bool value_is(uint64_t seed, const void *bytes, size_t length);

/* Operations; results as of the copy. put and remove also check the model. */
int world_put(struct world *w, uint32_t key, uint32_t length);
int world_put_bytes(struct world *w, uint32_t key, const void *value, uint32_t length, uint64_t seed);
int world_put_reserved(struct world *w, uint32_t key, uint32_t length, bool commit);
int world_remove(struct world *w, uint32_t key);
int world_clear(struct world *w);
void world_publish(struct world *w, uint32_t index); /* the index-th oldest pending change */
void world_drain(struct world *w);
int world_clean(struct world *w, bool under_pressure); /* one step; BELAY_OK or COPY_NOTHING, or an error */
void world_collect(struct world *w);                   /* recycle what was freed */
bool world_sweep(struct world *w);                     /* make room; @return whether there is more of it */

/* Give a change to the mirror. */
void world_apply(struct world *w, const struct copy_change *change);
void world_apply_effect(struct world *w, int to, const struct copy_effect *effect);

/* Checks; they fail the test. */
void check_key(struct world *w, uint32_t key); /* copy_find, reader_get */
void check_all(struct world *w);               /* every key, copy_check */
void check_mirror(struct world *w);            /* byte by byte; nothing may be pending */
const struct copy_descriptor *world_descriptor(const struct world *w, int which);

#endif
