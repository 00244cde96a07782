/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file copy.h
 * One partition copy on one node: segments, index, entries, free space. No networking: a change is *staged* here, which
 * writes the new entry into this node's copy and lists the *effects* that make the backups equal; the layer above pushes
 * the effects, in order, and decides when to *publish*, which switches this copy's slot and shows the change to
 * one-sided readers.
 *
 * Until a change is published it is pending: later changes see it (copy_find() gives the newest state), readers do not.
 * Changes of one slot take effect in staging order: publishing an older change after a newer one was published does not
 * take the newer one back.
 *
 * Threads: the caller holds the partition's lock for all calls on a `copy`; readers (reader.h) need none.
 */
#ifndef BELAY_COPY_H
#define BELAY_COPY_H

#include "copy/arena.h"
#include "copy/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct copy copy;

/* Results beside the negative BELAY_ERR_*: what must happen before the same call can succeed. Nothing was changed. */
enum copy_result {
    COPY_NEEDS_SEGMENTS = 1, /* attach more segments on all copies: copy_wanted() tells which */
    COPY_NEEDS_SPLIT = 2,    /* call copy_split() for this hash */
    COPY_NEEDS_DRAIN = 3,    /* publish the pending changes first */
    COPY_NOTHING = 4,        /* copy_clean(): nothing worth cleaning */
    COPY_NEEDS_LOOKS = 5     /* copy_next_ended(), copy_evict_next(): call again */
};

enum {
    COPY_EFFECTS_MAX = 12,
    COPY_UNSLOTTED_MAX = 4096 /* see copy_rebuild() */
};

#define COPY_ROOT_ADDRESS                                                                                    \
    (1ull << 60) /* effects at or above it lie in copy_root, at address - COPY_ROOT_ADDRESS */

/*
 * One range that a backup must receive. `is_word`: the 8 bytes are in `word` (a slot not yet switched here, or a word of
 * the root); else they are this copy's own bytes at the logical address. A range may span consecutive logical segments.
 * `changes`: later changes may alter these bytes (index pages, directory, root, headers of reservations): take them while
 * the lock is held. All other ranges stay as they are until their segment comes out of copy_next_freed().
 */
struct copy_effect {
    uint64_t address;
    uint64_t length;
    uint64_t word;
    bool is_word, changes;
};

/* A staged change. Memory of the caller, who keeps it until it is published. */
struct copy_change {
    uint64_t version;
    uint64_t slot_at; /* logical address of the slot, 0 if the change switches none */
    slot_word slot;   /* what it becomes (0: removed) */
    unsigned effect_count;
    struct copy_effect
        effects[COPY_EFFECTS_MAX]; /* to be pushed in this order; the entry first, the slot last */
    /* of the copy layer: */
    uint64_t hash;
    uint64_t entry_at;
    bool superseded, staged;
    struct copy_change *newer, *older; /* pending changes of the copy */
};

struct copy_origin { /* who asked: kept in the entry for exactly-once */
    uint32_t client, number;
};

struct copy_found {
    uint64_t version;
    uint64_t entry_at; /* logical address */
    uint32_t value_length;
    uint64_t ends_at; /* 0: never */
    uint64_t pending; /* version of the pending change that this state depends on; 0: it is published */
};

/*
 * Create the private state of a copy whose descriptor lies (zeroed, or with a mirrored copy to be rebuilt later) at
 * @p descriptor_offset of the arena's region. @p seal_whole: seals cover key and value.
 */
int copy_create(arena *a, uint64_t descriptor_offset, uint32_t cache, uint32_t partition, bool seal_whole,
                copy **out);
void copy_destroy(copy *c); /* gives its segments back to the arena, and leaves the descriptor empty */

/* Let one-sided readers use this copy, or not. At first they may not. */
void copy_serve(copy *c, enum copy_serving whom);

/* Move the descriptor to another place. Nobody reads or writes it meanwhile. */
void copy_relocate(copy *c, uint64_t descriptor_offset);

/* ---- Segments: the same logical ones on every copy ---- */

/* Map a logical segment to a physical one of this node. May itself take a segment of the arena for the mapping table.
 * Errors: NO_SPACE (the number is beyond the largest copy, or no segment for the table), INVALID (already attached). */
int copy_attach(copy *c, uint32_t logical, uint32_t physical, enum arena_need need);

/* Physical segment of a logical one, or ARENA_NO_SEGMENT. */
uint32_t copy_physical(const copy *c, uint32_t logical);

/* One more than the highest logical segment ever attached. */
uint32_t copy_logical_end(const copy *c);

/* Let go of a logical segment that holds nothing (see copy_releasable()) and give the physical one to the arena. On a backup
 * the caller vouches for "holds nothing". */
int copy_detach(copy *c, uint32_t logical);

/* ---- Primary: looking ---- */

/* Newest state of a key, pending changes included. BELAY_OK, or NOT_FOUND with found->pending set. */
int copy_find(const copy *c, uint64_t hash, const void *key, size_t key_length, struct copy_found *found);

/* Copy bytes [from, from + length) of a value that copy_find() found. */
void copy_value(const copy *c, const struct copy_found *found, uint64_t from, void *buffer, size_t length);

uint64_t copy_version(const copy *c); /* of the newest staged change */
/* The next version will be above this, and above those that another primary may have shown and that were lost with it. */
void copy_raise_version(copy *c, uint64_t floor);
uint64_t copy_entries(const copy *c); /* newest state */
uint64_t copy_bytes_live(const copy *c);

/* ---- Primary: changing ---- */

/* Stage a put. @p ends_at: when the entry ends (see layout.h); 0: never. @return BELAY_OK, COPY_NEEDS_SEGMENTS,
 * COPY_NEEDS_SPLIT, COPY_NEEDS_DRAIN. */
int copy_put(copy *c, uint64_t hash, const void *key, size_t key_length, const void *value,
             size_t value_length, uint64_t ends_at, struct copy_origin origin, struct copy_change *change);

/* Stage the removal of a key that is there (else NOT_FOUND). */
int copy_remove(copy *c, uint64_t hash, const void *key, size_t key_length, struct copy_origin origin,
                struct copy_change *change);

/*
 * Stage what a function gave, for the caller to find if this primary dies before it could answer; the change itself is staged
 * behind it. Without a slot: publish it at once. @p length: up to BELAY_INVOKE_RESULT_MAX. @return BELAY_OK, COPY_NEEDS_SEGMENTS.
 */
int copy_keep_result(copy *c, struct copy_origin origin, const void *result, size_t length,
                     struct copy_change *change);

/*
 * Large values are filled in place by whoever writes them (possibly another node, one-sided): reserve the entry, fill the
 * value at *value_at, commit. A reservation's header is an effect too (log scans must get past it): push it. @p client: who
 * will fill it, as in struct copy_origin. @p ends: with room for the time when it ends.
 */
int copy_reserve(copy *c, const void *key, size_t key_length, size_t value_length, bool ends, uint32_t client,
                 uint64_t *entry_at, uint64_t *value_at, struct copy_change *change);
/* Write into a reservation; for callers on this node. @p from: offset in the value. Needs no lock. */
void copy_fill(copy *c, uint64_t value_at, uint64_t from, const void *bytes, size_t length);
/* Give the reserved entry a version and stage its slot. The caller names the key again; checked against the entry.
 * COPY_NEEDS_SPLIT and COPY_NEEDS_DRAIN as copy_put(). INVALID: no such reservation, or one without room for @p ends_at. */
int copy_commit(copy *c, uint64_t hash, const void *key, size_t key_length, uint64_t entry_at,
                uint64_t ends_at, struct copy_origin origin, struct copy_change *change);
int copy_abandon(copy *c, uint64_t entry_at, struct copy_change *change);
/* A reservation of this client. @return false: it has none. */
bool copy_reserved_by(const copy *c, uint32_t client, uint64_t *entry_at);

/* Split the page of @p hash. The effects are already true here; push them. COPY_NEEDS_SEGMENTS or COPY_NEEDS_DRAIN first. */
int copy_split(copy *c, uint64_t hash, struct copy_change *change);

/* Stage the removal of everything but the library's own keys (own_key.h), a few pages per call: call again until *finished, also after
 * COPY_NEEDS_*. Other changes may be made in between, and stay. No segment is freed until it is finished. */
int copy_clear(copy *c, struct copy_origin origin, struct copy_change *change, bool *finished);
bool copy_is_clearing(const copy *c); /* it has begun, and is not finished */

/* Show a staged change to readers. */
void copy_publish(copy *c, struct copy_change *change);

/* The entry that a change has written: header's fields; its key and then its value by copy_entry_bytes(), as long as it is not reused. */
struct copy_written {
    uint64_t version, entry_at;
    uint32_t value_length;
    uint16_t key_length;
    bool removes;
};
void copy_written(const copy *c, uint64_t entry_at, struct copy_written *written);
void copy_entry_bytes(const copy *c, const struct copy_written *written, void *buffer, size_t length);

/* Pending changes, oldest first, by copy_change.newer. */
struct copy_change *copy_oldest_pending(const copy *c);

/* ---- Primary: entries that end ---- */

/* Will any entry end? Then also when to look for the first, at the earliest. */
bool copy_has_endings(const copy *c, uint64_t *due_at);

struct copy_key {
    uint64_t hash;
    size_t length;
    unsigned char bytes[BELAY_KEY_MAX];
};

/* Look on for entries that ended before @p now, up to @p looks of them (counted down); whoever finds one removes it before the next call. A segment whose
 * entries could not all be removed is looked through again after a while. @return BELAY_OK: *key is that of one, as far as readers see; COPY_NOTHING: none is left for
 * now; COPY_NEEDS_LOOKS: there is more to look at. */
int copy_next_ended(copy *c, uint64_t now, unsigned *looks, struct copy_key *key);

/* ---- Primary: the oldest entries ---- */

/* Begin to give up the segments of the log that were written first: a share of them, at least one. @p thorough: the one that
 * is being written, too, if there is no other. @return false: there is none. */
bool copy_evict_begin(copy *c, bool thorough);

/* The next entry there; whoever gets one removes it before the next call, if he can. Results as of copy_next_ended(). */
int copy_evict_next(copy *c, unsigned *looks, struct copy_key *key);
/* The last one could not be removed just now: it comes next again. */
void copy_evict_again(copy *c);

/* ---- Primary: marks for the readers of transactions, see mark.h ---- */

uint64_t copy_mark(const copy *c, uint64_t hash);
void copy_mark_prepared(copy *c, uint64_t hash);
void copy_mark_settled(copy *c, uint64_t hash, bool changed); /* it was, or will not be */
void copy_mark_changing(copy *c, uint64_t hash);
/* Nobody is prepared; who knows a mark of another copy will find that it has changed. */
void copy_marks_reset(copy *c);

/* ---- Primary: room ---- */

/*
 * Which logical segments to attach next on all copies, so that an entry of @p bytes (0: an index page) can be staged: a run
 * [*first, *first + *count). *count 0: none needed.
 */
void copy_wanted(const copy *c, size_t bytes, uint32_t *first, uint32_t *count);

/* Entry bytes (header, key, value, end, padding) of a put. */
size_t copy_entry_size(size_t key_length, size_t value_length, bool ends);

/* True when the log holds enough dead bytes that cleaning pays; @p under_pressure: the arena is short of segments. */
bool copy_worth_cleaning(const copy *c, bool under_pressure);
/* Move one live entry out of the emptiest log segment: a staged change (publish it at once), or a freed segment without one
 * (change->effect_count 0), or COPY_NOTHING, COPY_NEEDS_SEGMENTS, COPY_NEEDS_DRAIN. */
int copy_clean(copy *c, bool under_pressure, struct copy_change *change);

/* It is in the middle of a segment, with some entries moved that it held. */
bool copy_is_cleaning(const copy *c);

/* Bytes of the entry that copy_clean() could not move for want of segments, for copy_wanted(). */
size_t copy_clean_bytes(const copy *c);

/* A segment without live entries comes out here once; it stays untouched until copy_recycle(): the caller first makes
 * sure that no push still reads from it, and that every backup has all effects of the changes published so far
 * (copy_rebuild() relies on it). @return false: none. */
bool copy_next_freed(copy *c, uint32_t *logical);
void copy_recycle(copy *c, uint32_t logical);
/* Those of a rebuilt copy that were in its log do not come out before this: what they tell of applied requests is needed no more. */
void copy_let_go(copy *c);

/* A recycled or never used logical segment that the copy can do without. @return false: none. */
bool copy_releasable(const copy *c, uint32_t *logical);

/* ---- Backup becoming primary, and proof ---- */

/*
 * Rebuild the private state of a backup's copy from its bytes, which may end anywhere in the primary's stream of effects,
 * in the middle of a range too. Slots are counted, a split that was begun is finished, and the newest changes whose entry came
 * but not their slot are applied: at most COPY_UNSLOTTED_MAX of them may be under way to a backup at any time.
 * @param[out] repaired words that had to be changed: other backups then need this copy's bytes again.
 * Errors: PROTOCOL (damaged: a slot without its entry), NO_MEMORY.
 */
int copy_rebuild(copy *c, uint64_t *repaired);
/* Forget what copy_rebuild() found out: this is a mirror again, whose primary alone decides what a segment is used for. */
void copy_mirror(copy *c);

/* A request that the log of a rebuilt copy tells of. */
struct copy_applied {
    uint32_t client, number;
    uint64_t version;                   /* of its entry */
    int64_t value;                      /* of an entry whose value has 8 bytes */
    uint64_t result_version, result_at; /* of the entry with its result; 0: there is none */
};

/* Copy the result that was kept of it, up to @p capacity bytes. @return its length. */
size_t copy_applied_result(const copy *c, const struct copy_applied *applied, void *buffer, size_t capacity);

/* Was this request applied before the copy was rebuilt? NULL: it was not, or long ago. */
const struct copy_applied *copy_applied_find(const copy *c, struct copy_origin origin);

/* 64-bit XXH3 of an attached segment's bytes; of the root for UINT32_MAX. */
uint64_t copy_digest(const copy *c, uint32_t logical);

struct copy_check {
    uint64_t entries, damaged;
};
/* Check every slot and entry: addresses, lengths, key hash, place in the index, seal. */
void copy_check(const copy *c, struct copy_check *check);

#endif
