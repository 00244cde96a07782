/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file copy_private.h
 * The state of a copy that only its owner has, and what the files of this folder offer each other:
 * segments.c what each logical segment is used for; entry.c how an entry is written and sealed; log.c where it goes
 * and what is still alive; index.c pages and slots; pending.c changes that readers do not see yet; change.c, reserve.c,
 * clear.c, split.c, cleaner.c the operations; ending.c entries whose time is over, evict.c the oldest ones; rebuild.c and check.c the bytes taken at
 * their word.
 *
 * A job has hundreds of copies per node and cache, most of them small: state is a few hundred bytes, and 24 bytes per
 * segment.
 */
#ifndef BELAY_COPY_PRIVATE_H
#define BELAY_COPY_PRIVATE_H

#include "base/log.h"
#include "copy/address.h"
#include "copy/copy.h"

#define NO_SEGMENT UINT32_MAX
#define NO_ADDRESS UINT64_MAX

enum {
    LOG_FIRST = sizeof(struct segment_header),
    ENTRY_HEADER = sizeof(struct entry_header),
    /* Entries up to this length are always sealed whole: it costs a few ns and keeps a put at one range. */
    SEAL_WHOLE_BYTES = 1024
};

enum segment_use {
    SEGMENT_NONE, /* not attached */
    SEGMENT_FREE,
    SEGMENT_LOG,
    SEGMENT_HELD,       /* a log segment without live entries that was there when the copy was rebuilt */
    SEGMENT_EMPTIED,    /* the same, to come out of copy_next_freed() */
    SEGMENT_HANDED_OUT, /* it came out */
    SEGMENT_INDEX,
    SEGMENT_DIRECTORY
};

struct segment {
    uint32_t
        live; /* log: bytes of live and reserved entries; emptied: low bits of the version behind that time's */
    uint32_t next, prev; /* in the list of its kind (free, held, emptied) */
    uint32_t pins : 24;  /* reservations that it holds bytes of */
    uint32_t use : 7;    /* enum segment_use */
    uint32_t stuck : 1;  /* the cleaner could not empty it; until one of its entries dies */
    uint64_t due_at;     /* log: no entry that begins here ends earlier; 0: none ends */
};

struct segment_list {
    uint32_t first, last, count;
};

struct reservation {
    uint64_t entry_at;
    uint32_t value_length, client;
    uint16_t key_length;
    bool ends;
};

struct applied {
    struct copy_applied *table;
    size_t capacity, count; /* a power of two, or 0 */
};

/* Where somebody is who looks at the entries that begin in a log segment, one after the other. */
struct log_walk {
    uint64_t at; /* of the next one; NO_ADDRESS: through */
    uint64_t sequence;
    uint32_t segment;
};

struct copy {
    struct copy_descriptor *descriptor;
    struct arena_view view; /* of the own arena */
    arena *arena;
    bool seal_whole;

    uint64_t version, entries;
    struct copy_change *oldest, *newest; /* pending */

    /* segments.c */
    struct segment *segments;
    uint32_t segment_capacity, segment_limit; /* allocated; the largest number a copy can have, + 1 */
    uint32_t logical_end;
    uint32_t lowest_none; /* no smaller number is unattached */
    struct segment_list free, held, emptied;
    uint64_t held_sequence; /* segments up to this one are held when they are emptied; 0: none */

    /* log.c */
    uint32_t tail, tail_offset; /* where the next entry goes; NO_SEGMENT: nowhere yet */
    uint32_t gap, gap_offset;   /* the end of an earlier tail; NO_SEGMENT: none */
    uint64_t sequence;          /* of the last log segment that was opened */
    uint32_t log_segments;
    uint64_t live; /* bytes, sum over log segments */

    /* index.c */
    uint32_t page_segment, pages_used; /* where new pages come from */
    uint32_t directory_wanted;         /* segments that a split lacked for the directory */

    /* reserve.c */
    struct reservation *reservations;
    uint32_t reservation_count, reservation_capacity;

    /* cleaner.c */
    uint32_t victim;
    uint64_t clean_at;
    size_t clean_bytes;

    /* ending.c */
    uint64_t due_at;        /* the earliest of the segments'; 0: no entry ends */
    uint32_t ending;        /* the segment being looked through, or the next one */
    bool ending_begun;      /* it is */
    uint64_t ending_due_at; /* when to look there again, as far as it is known */
    struct log_walk ending_walk;

    /* evict.c */
    uint32_t evict_left;     /* segments that are still to be given up, the one at hand included */
    uint64_t evict_sequence; /* of the last one; older ones have had their turn */
    struct log_walk evict_walk;
    uint64_t evict_at; /* the entry that was handed out last */

    struct applied applied; /* applied.c */

    /* clear.c */
    bool clearing;
    uint32_t clear_next; /* prefix of the next page, with the directory's largest depth */
    uint64_t clear_version;
};

static inline void *at_address(const copy *c, uint64_t address)
{
    return memory_at(&c->view, c->descriptor, address);
}

static inline struct segment *segment_at(const copy *c, uint64_t address)
{
    return &c->segments[segment_of(&c->view, address)];
}

static inline size_t log_payload(const copy *c) /* of a segment */
{
    return c->view.segment_size - LOG_FIRST;
}

/* ---- segments.c ---- */

static inline enum segment_use segment_use(const copy *c, uint32_t logical)
{
    return logical < c->logical_end ? (enum segment_use)c->segments[logical].use : SEGMENT_NONE;
}

/* Begin again: every attached segment is free. */
void segments_reset(copy *c);
/* Take a free segment for a use (not FREE, NONE). */
void segment_claim(copy *c, uint32_t logical, enum segment_use use);
/* A log segment holds nothing live any more. */
void segment_emptied(copy *c, uint32_t logical);

/* ---- entry.c ---- */

size_t entry_size(size_t key_length, size_t value_length); /* with padding */
slot_word slot_make(uint64_t hash, uint64_t entry_at, size_t entry_bytes, unsigned tag);

static inline unsigned slot_tag(slot_word slot)
{
    return (unsigned)(slot >> 60);
}

/* What is to be written as an entry. The value may be NULL: left to be filled later. */
struct entry_draft {
    uint64_t version;
    const void *key, *value;
    uint32_t value_length;
    uint16_t key_length;
    uint8_t kind;
    bool ends; /* there is room for ends_at */
    struct copy_origin origin;
    uint64_t ends_at; /* 0: never */
};

/* Write an entry at an address, sealed. */
void entry_write(const copy *c, uint64_t entry_at, const struct entry_draft *draft);
/* The same in steps: header; key and value by entry_fill(); seal. */
void entry_begin(const copy *c, uint64_t entry_at, const struct entry_header *header);
void entry_end(const copy *c, uint64_t entry_at);
/* Write the entry of one address at another, marked as moved. */
void entry_move(const copy *c, uint64_t from_at, uint64_t to_at);
/* The seal that an entry in memory should have, from its bytes; 0 if they are not all there. */
uint64_t entry_seal(const struct arena_view *view, const struct copy_descriptor *descriptor,
                    uint64_t entry_at, const struct entry_header *header);
/* Lengths and kind are possible and all of it lies in attached segments. */
bool entry_fits(const struct arena_view *view, const struct copy_descriptor *descriptor, uint64_t entry_at,
                const struct entry_header *header);
uint64_t entry_ends_at(const copy *c, uint64_t entry_at); /* 0: never */
bool entry_has_key(const copy *c, uint64_t entry_at, const void *key, size_t key_length);
uint64_t entry_hash(const copy *c, uint64_t entry_at); /* of its key */
/* Copy bytes [from, from + length) of an entry. */
void entry_read(const copy *c, uint64_t entry_at, uint64_t from, void *to, size_t length);
void entry_fill(const copy *c, uint64_t entry_at, uint64_t from, const void *bytes, size_t length);

static inline const struct entry_header *entry_at_address(const copy *c, uint64_t entry_at)
{
    return at_address(c, entry_at);
}

static inline size_t entry_bytes(const struct entry_header *header)
{
    return entry_size(header->key_length, entry_value_bytes(header));
}

/* ---- log.c ---- */

/* Where the next entry of a size goes. */
struct log_place {
    uint32_t segment, offset;
    uint32_t further; /* segments after the first */
    bool open;        /* the first one is opened for it */
};

/* @return BELAY_OK, COPY_NEEDS_SEGMENTS, or NO_SPACE: no copy can get that large. */
int log_plan(const copy *c, size_t bytes, struct log_place *place);
/* Go ahead with a plan: open segments, move the tail, count the bytes as live. @return the entry's address. */
uint64_t log_take(copy *c, const struct log_place *place, size_t bytes);
/* The segments to attach for a plan that failed. */
void log_wanted(const copy *c, size_t bytes, uint32_t *first, uint32_t *count);

/* Count an entry of a rebuilt copy as live. @return false: it does not lie in the log. */
bool log_live(copy *c, uint64_t entry_at, size_t bytes);
/* Count an entry as dead; segments that hold nothing else are emptied. */
void log_dead(copy *c, uint64_t entry_at, size_t bytes);
/* All log segments of a rebuilt copy are held when they hold nothing live, as some do already. */
void log_hold(copy *c);
void log_pin(copy *c, uint64_t entry_at, size_t bytes);
void log_unpin(copy *c, uint64_t entry_at, size_t bytes);
/* Log segments but the tail and the one with the gap, and their bytes that hold nothing live. */
uint32_t log_sealed_segments(const copy *c);
uint64_t log_dead_bytes(const copy *c);
/* Where the entry behind this one starts: in the same segment, or as the next one's header says (which may be of a later
 * use, or say none). @return its address, or NO_ADDRESS. */
uint64_t log_next(const copy *c, uint64_t entry_at, const struct entry_header *header);

/* Begin with a log segment. Behind what was written there lies what an earlier use left: what matters is whether a slot points to an
 * entry. */
void log_walk_begin(const copy *c, uint32_t logical, struct log_walk *walk);
/* @return the next entry's header; NULL: through, or the segment has been given another use since the last call. */
const struct entry_header *log_walk_next(const copy *c, struct log_walk *walk, uint64_t *entry_at);
/* Nothing goes to the end of the tail any more. */
void log_close_tail(copy *c);

static inline const struct segment_header *log_header(const copy *c, uint32_t logical)
{
    return at_address(c, address_of(&c->view, logical, 0));
}

/* ---- index.c ---- */

/* A key's place in the index. */
struct index_place {
    uint64_t slot_at; /* NO_ADDRESS: not there */
    slot_word slot;
};

enum { DEPTH_MAX = 26 };

uint64_t index_page(const copy *c, uint64_t hash); /* address, or NO_ADDRESS */
uint32_t index_depth(const copy *c);
uint32_t *index_reference(const copy *c, uint32_t prefix); /* the directory's word */
uint32_t page_reference(uint64_t page_at);
/* The published slot of a key. @return its entry's header, or NULL. */
const struct entry_header *index_find(const copy *c, uint64_t hash, const void *key, size_t key_length,
                                      struct index_place *place);
/* The slot that points to an entry; NO_ADDRESS: none does. */
uint64_t index_slot_of(const copy *c, uint64_t hash, uint64_t entry_at);
/* A slot for a new key that neither memory nor a pending change uses, or NO_ADDRESS. */
uint64_t index_vacant(const copy *c, uint64_t hash);

static inline slot_word *slot_memory(const copy *c, uint64_t slot_at)
{
    return at_address(c, slot_at);
}

static inline bool index_has_spare_page(const copy *c)
{
    return c->page_segment != NO_SEGMENT && c->pages_used < c->view.segment_size / PAGE_SIZE_BYTES;
}

/* The distinct pages in hash order. *prefix: 0 at first. @return false: no more. */
bool index_next_page(const copy *c, uint32_t *prefix, uint64_t *page_at);

/* ---- split.c ---- */

/* Slots are going to move; they have. */
void change_root_odd(copy *c, struct copy_change *change);
void change_root_even(copy *c, struct copy_change *change);

/* ---- pending.c ---- */

void pending_add(copy *c, struct copy_change *change);
void pending_remove(copy *c, struct copy_change *change);
/* The newest pending change of a key, or NULL. */
struct copy_change *pending_find(const copy *c, uint64_t hash, const void *key, size_t key_length);
bool pending_uses_slot(const copy *c, uint64_t slot_at);
bool pending_uses_page(const copy *c, uint64_t page_at);
bool pending_uses_entry(const copy *c, uint64_t entry_at);
/* The slot's older changes will not be published: a newer one was. */
void pending_supersede(struct copy_change *by);

/* ---- ending.c ---- */

/* An entry was written that ends then. */
void ending_note(copy *c, uint64_t entry_at, uint64_t ends_at);
/* An entry was found that may end: when is read only when it is looked for. */
static inline void ending_note_found(copy *c, uint64_t entry_at, const struct entry_header *header)
{
    if (header->flags & ENTRY_ENDS)
        ending_note(c, entry_at, 1);
}
void ending_reset(copy *c);

/* An entry as those are told of it who asked for such. */
void entry_describe(const copy *c, uint64_t entry_at, struct copy_key *key);

/* ---- clear.c ---- */

/* Clear the slots of a page whose entries are older than a version, and not the library's own. @return how many. */
unsigned clear_page(copy *c, uint64_t page_at, uint64_t version);

/* Is its key the library's own? */
bool entry_is_own(const copy *c, uint64_t entry_at);

/* ---- applied.c ---- */

/* An entry of a copy that is being rebuilt. Errors: NO_MEMORY. */
int applied_note(copy *c, uint64_t entry_at, const struct entry_header *header);
void applied_forget(copy *c);

/* ---- check.c ---- */

/* The header of an entry that may be believed: lengths, place and seal are right. NULL: it may not. */
const struct entry_header *check_entry(const copy *c, uint64_t entry_at);
/* The same of an entry that fits, in a copy whose slots are counted: what a slot points to came before the slot. So the values of most
 * entries are not read, which would be most of the work of a promotion. */
bool check_whole(const copy *c, uint64_t entry_at);

/* ---- change.c ---- */

void change_begin(struct copy_change *change, uint64_t version);
void change_range(struct copy_change *change, uint64_t address, uint64_t length, bool changes);
void change_word(struct copy_change *change, uint64_t address, uint64_t word);
/* The effects of an entry just taken and written by a plan. */
void change_entry(const copy *c, struct copy_change *change, const struct log_place *place, uint64_t entry_at,
                  size_t bytes);
/* Address range of the first bytes of an entry, with the segment headers within. */
uint64_t entry_span(const copy *c, uint64_t entry_at, size_t bytes);
void change_entry_dead(copy *c, uint64_t entry_at);
/* Stage the switch of a slot, the last effect. */
void change_slot(copy *c, struct copy_change *change, uint64_t slot_at, slot_word slot);

int change_check_lengths(const void *key, size_t key_length, size_t value_length);

/* Newest state of a key: where it is or would go. */
struct key_state {
    uint64_t slot_at;  /* NO_ADDRESS: a new slot is needed */
    uint64_t entry_at; /* of the newest value; NO_ADDRESS: not there */
    uint64_t pending;  /* version; 0: published */
};
void key_state(const copy *c, uint64_t hash, const void *key, size_t key_length, struct key_state *state);

#endif
