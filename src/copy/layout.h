/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file layout.h
 * What a copy looks like in memory. Everything here is read one-sided by peers and must be checked before it is
 * believed: lengths and addresses may come from recycled memory.
 *
 * A copy is a *logical* space of segments; each node maps logical segments to segments of its own arena (*physical*).
 * Logical addresses are byte offsets: segment * segment_size + offset. Mirrors have equal bytes at equal logical
 * addresses. Three things live in logical segments:
 *
 * - the log: entries in append order. A log segment starts with a segment_header; an entry may continue in the next
 *   logical segment (behind that one's header) when that number is free, which lets values be larger than a segment.
 * - index pages: PAGE_BUCKETS buckets of one cache line with 8 slots each. Extendible hashing over the top bits of the
 *   page hash: the directory maps a prefix to a page; a full page is split, its slots keep their places within the page.
 *   A key's slot is in its home bucket or in that bucket's neighbour (bucket ^ 1), which is the adjacent line.
 * - directory segments, once the directory has outgrown the root.
 *
 * An index page or directory segment is one for as long as the copy exists, and every directory reference, outdated ones
 * too, is 0 or a page: whatever root a reader holds, a slot it finds through it is a slot. That is why the directory
 * only takes sizes that fill their place (2^8 references in the root, then 1, 2, 4 or 8 whole segments).
 *
 * Consistency for one-sided readers: an entry never changes while a slot points to it. A reader loads the slot, checks
 * the key, copies the value, then loads the slot and the entry's version again: if both are as before, the value is
 * whole and was current in between (whoever recycles memory writes an entry's header before its body). On verbs
 * the entry's seal says the same. A reader that finds nothing checks that the root's generation did not change
 * meanwhile (it is odd while a split moves slots): only then is the key absent.
 */
#ifndef BELAY_LAYOUT_H
#define BELAY_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLOTS_PER_BUCKET = 8,
    BUCKET_SIZE = 64,
    PAGE_SIZE_BYTES = 4096,
    PAGE_BUCKETS = PAGE_SIZE_BYTES / BUCKET_SIZE,
    PAGE_SLOTS = PAGE_SIZE_BYTES / 8,
    ROOT_DEPTH_INLINE =
        8, /* directories of up to 2^8 pages lie in the root: larger ones cost a get another cache miss */
    ROOT_DIRECTORY_INLINE = 1 << ROOT_DEPTH_INLINE,
    ROOT_DIRECTORY_SEGMENTS = 16,
    TABLE_DIRECT = 128, /* logical segments whose mapping lies in the descriptor itself */
    TABLE_INDIRECT = 16,
    MARK_WORDS = 32,
    DESCRIPTOR_SIZE = 2048
};

#define SEGMENT_LOG_MAGIC 0x474f4c42u /* "BLOG" */

/* The part of a descriptor that is mirrored: how to find a key's page. Written under the partition lock. */
struct copy_root {
    _Atomic uint64_t generation; /* odd while slots move between pages; 0: never written */
    uint32_t depth;              /* the directory has 2^depth page references; 0: no page yet */
    uint32_t
        directory_segments; /* n; 0: the directory is the inline one. One word with depth: switched together */
    uint32_t directory[ROOT_DIRECTORY_INLINE];
    uint32_t directory_segment[ROOT_DIRECTORY_SEGMENTS]; /* logical; the present n are at [n - 1, 2n - 1) */
};

/* Whom a copy serves: readers keep off what does not serve them. */
enum copy_serving {
    COPY_SERVES_NOBODY,
    COPY_SERVES, /* it is the primary's, and ready */
    COPY_MIRRORS /* it is a backup's, and complete: for those who take what may be slightly old */
};

/* One copy at one node. Lies in the arena; `root` is mirrored, the rest is this node's own. */
struct copy_descriptor {
    struct copy_root root;
    uint32_t cache, partition;                 /* whose copy this is: readers check it */
    _Atomic uint32_t serving;                  /* enum copy_serving */
    _Atomic uint32_t direct[TABLE_DIRECT];     /* logical segment -> physical + 1; 0: not attached */
    _Atomic uint32_t indirect[TABLE_INDIRECT]; /* physical + 1 of segments full of further mappings */
    _Atomic uint64_t marks[MARK_WORDS];        /* of transactions, see mark.h */
};
_Static_assert(sizeof(struct copy_descriptor) <= DESCRIPTOR_SIZE, "descriptor outgrew its place");

/* First bytes of a logical segment used by the log. */
struct segment_header {
    uint32_t magic;
    uint32_t first_entry; /* offset of the first entry that starts in this segment; 0: none does */
    uint64_t sequence;    /* order in which log segments were opened, from 1 */
    uint64_t
        version; /* the copy's newest when it was opened: entries up to it, unless moved, are of an earlier use */
};

enum entry_kind {
    ENTRY_NONE,
    ENTRY_VALUE,
    ENTRY_REMOVE,   /* a tombstone: key only */
    ENTRY_CLEAR,    /* everything with a lower version is gone: no key, no value */
    ENTRY_RESERVED, /* space being filled by a caller; lengths are valid, nothing else */
    ENTRY_DEAD,     /* a reservation that was given up */
    ENTRY_RESULT /* what a function gave that was applied for (client, number), whose change follows: no key */
};

enum entry_flags {
    ENTRY_SEALED_WHOLE = 1, /* the seal covers the value too (jobs with verbs, and short entries) */
    ENTRY_MOVED = 2,        /* relocated by the cleaner: version and value are those of an older place */
    ENTRY_ENDS = 4          /* behind the value lies the time when it ends */
};

/* When an entry ends: nanoseconds of CLOCK_REALTIME, which hosts have in common; 0: never. To the seal, and to whoever copies an
 * entry, it is a part of the value. */
enum { ENTRY_END_BYTES = 8 };

/* An entry: header, key, value, perhaps its end, padding to 8 bytes. `seal` is an XXH3 of the header's other fields, the entry's
 * logical address, the key and, where flagged, the value; it is never 0. An entry whose seal leaves out the value is
 * written to backups value first, header last, so that a valid seal still says that all of it is there. */
struct entry_header {
    uint64_t version; /* per partition, growing by 1 with every update; never 0 */
    uint64_t seal;
    uint32_t value_length;
    uint16_t key_length;
    uint8_t kind;
    uint8_t flags;
    uint32_t client; /* node id + 1 of the caller: (client, number) names the request for exactly-once */
    uint32_t number;
};
_Static_assert(sizeof(struct entry_header) == 32, "entries are laid out in memory of several nodes");

/* Bytes of the value, and of its end. */
static inline size_t entry_value_bytes(const struct entry_header *header)
{
    return (size_t)header->value_length + (header->flags & ENTRY_ENDS ? ENTRY_END_BYTES : 0);
}

/* Without the padding. */
static inline size_t entry_length(const struct entry_header *header)
{
    return sizeof *header + header->key_length + entry_value_bytes(header);
}

/* The address @p bytes further in an entry: the headers of the segments in between are stepped over. */
static inline uint64_t log_advance(uint64_t address, uint64_t bytes, uint32_t segment_size)
{
    uint64_t left = segment_size - (address & (segment_size - 1));
    if (bytes < left)
        return address + bytes;
    uint64_t room = segment_size - sizeof(struct segment_header); /* of a whole segment */
    bytes -= left;
    return address + left + bytes / room * segment_size + sizeof(struct segment_header) + bytes % room;
}

/*
 * A slot: one word, switched atomically.
 *   bits  0-15 fingerprint, 16-51 logical address / 8, 52-59 length class, 60-63 tag
 * The tag counts: it starts with the low bits of the version and goes up by one with every move of the entry, so that a
 * reader that slept notices when an entry has come back to its old place. The length class bounds the entry's length
 * from above (at most 1/8 too long) so that one READ fetches it.
 */
typedef uint64_t slot_word;

static inline uint16_t slot_fingerprint(slot_word slot)
{
    return (uint16_t)slot;
}

static inline uint64_t slot_address(slot_word slot)
{
    return (slot >> 16 & ((1ull << 36) - 1)) * 8;
}

/* The longest an entry behind this slot can be, in bytes. Classes up to 15 are the length in units of 8 bytes; beyond,
 * floating-point numbers with 3 bits of mantissa, rounded up. */
static inline size_t slot_length_bound(slot_word slot)
{
    unsigned class = slot >> 52 & 255;
    if (class < 16)
        return class * 8;
    unsigned exponent = (class - 9) / 8;
    return (size_t)(class - 8 * exponent) << exponent << 3;
}

/* Directory references: 0 is none, else the page's number + 1. */
static inline uint64_t page_reference_address(uint32_t reference)
{
    return (uint64_t)(reference - 1) * PAGE_SIZE_BYTES;
}

/* How the 64-bit XXH3 of a key is used: partition from the top, then page prefix, bucket and fingerprint from the
 * rest, disjoint as long as there are at most 2^16 partitions. */
static inline uint32_t hash_partition(uint64_t hash, uint32_t partitions) /* a power of two */
{
    return (uint32_t)(hash >> 48) & (partitions - 1);
}

static inline uint32_t hash_prefix(uint64_t hash, uint32_t depth) /* index into the directory */
{
    uint32_t page_bits = (uint32_t)(hash >> 22) & ((1u << 26) - 1);
    return depth == 0 ? 0 : page_bits >> (26 - depth);
}

static inline uint32_t hash_bucket(uint64_t hash)
{
    return (uint32_t)(hash >> 16) & (PAGE_BUCKETS - 1);
}

static inline uint16_t hash_fingerprint(uint64_t hash)
{
    return (uint16_t)hash;
}

#endif
