/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file rebuild.c
 * A backup becomes primary: private state out of bytes that may end anywhere in the old primary's stream of effects.
 *
 * 1. Directory. The references of a page are an aligned run. A split that was cut off while its references were written
 *    leaves some old ones in the upper half: they are set to the new page, which came before them.
 * 2. Index. Every slot is counted. One that belongs to another page was moved by a split whose last step is missing.
 * 3. Log. Every change has an entry with its version, and entries come in order, each before its slot. So the changes
 *    that may lack their slot are the newest ones, without a gap: a version that is in no segment any more had its slot
 *    switched, as had all before it, when its segment was reused (copy_next_freed() sees to that). They are applied in
 *    order of version; those that had been applied before change nothing.
 */
#include "copy/copy_private.h"
#include "copy/seal.h"

#include <stdlib.h>

/* An entry of the log. */
struct found {
    uint64_t version, entry_at, hash;
    bool
        moved; /* or a result: says that there was such a version; a slot points to it, has gone on, or never did */
    bool superseded; /* by a newer change of its key, or a clear */
};

enum { KEYS = 2 * COPY_UNSLOTTED_MAX };

struct rebuilding {
    copy *c;
    uint64_t repaired;
    bool no_memory;
    struct found newest[COPY_UNSLOTTED_MAX]; /* by version modulo their number */
    uint16_t by_key[KEYS]; /* open addressing by hash: index in `newest` + 1 of the key's last change */
};

static int damaged(const copy *c, const char *what, uint64_t where)
{
    return log_error(BELAY_ERR_PROTOCOL, "the copy of cache %u partition %u is damaged: %s at %llu",
                     c->descriptor->cache, c->descriptor->partition, what, (unsigned long long)where);
}

/* ---- 1. Directory ---- */

static void take_segment(copy *c, uint32_t logical, enum segment_use use)
{
    if (segment_use(c, logical) == SEGMENT_FREE)
        segment_claim(c, logical, use);
}

static int check_directory(copy *c)
{
    const struct copy_root *root = &c->descriptor->root;
    uint32_t n = root->directory_segments;
    if (n == 0)
        return root->depth == 0 || root->depth == ROOT_DEPTH_INLINE
                   ? BELAY_OK
                   : damaged(c, "directory size", root->depth);
    if (2 * (uint64_t)n - 1 > ROOT_DIRECTORY_SEGMENTS || root->depth > DEPTH_MAX ||
        (uint64_t)n * table_words(&c->view) != 1ull << root->depth)
        return damaged(c, "directory size", root->depth);
    for (uint32_t i = 0; i < 2 * n - 1; ++i) /* the outdated ones too */
        take_segment(c, root->directory_segment[i], SEGMENT_DIRECTORY);
    for (uint32_t i = n - 1; i < 2 * n - 1; ++i)
        if (segment_use(c, root->directory_segment[i]) != SEGMENT_DIRECTORY)
            return damaged(c, "directory segment", root->directory_segment[i]);
    return BELAY_OK;
}

static uint32_t count_in(const copy *c, uint32_t first, uint32_t length, uint32_t reference)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < first + length; ++i)
        count += *index_reference(c, i) == reference;
    return count;
}

/* The block [first, first + length) refers to one page and the one behind it to that page here and there: make all of
 * that refer to the new page. */
static int finish_references(struct rebuilding *r, uint32_t first, uint32_t length)
{
    copy *c = r->c;
    uint32_t old = *index_reference(c, first), new = 0;
    for (uint32_t i = first + length; i < first + 2 * length; ++i)
        if (*index_reference(c, i) != old)
            new = *index_reference(c, i);
    if (count_in(c, first + length, length, old) + count_in(c, first + length, length, new) != length)
        return damaged(c, "directory", first);
    for (uint32_t i = first + length; i < first + 2 * length; ++i) {
        r->repaired += *index_reference(c, i) != new;
        store32(index_reference(c, i), new);
    }
    return BELAY_OK;
}

static int repair_directory(struct rebuilding *r)
{
    copy *c = r->c;
    uint32_t end = index_depth(c) ? 1u << index_depth(c) : 0, length;
    for (uint32_t first = 0; first < end; first += length) {
        uint32_t reference = *index_reference(c, first);
        length = 1;
        while (first % (2 * length) == 0 && first + 2 * length <= end &&
               count_in(c, first + length, length, reference) == length)
            length *= 2;
        if (first % (2 * length) != 0 || first + 2 * length > end ||
            count_in(c, first + length, length, reference) == 0)
            continue;
        int result = finish_references(r, first, length);
        if (result != BELAY_OK)
            return result;
    }
    return BELAY_OK;
}

/* Index segments; new pages come from the one with the most pages to spare. */
static int find_pages(copy *c)
{
    uint32_t prefix = 0, pages = c->view.segment_size / PAGE_SIZE_BYTES;
    uint64_t page_at;
    while (index_next_page(c, &prefix, &page_at)) {
        uint32_t logical = segment_of(&c->view, page_at);
        take_segment(c, logical, SEGMENT_INDEX);
        if (page_at >> c->view.segment_shift > UINT32_MAX || segment_use(c, logical) != SEGMENT_INDEX)
            return damaged(c, "page", page_at);
        uint32_t used = offset_of(&c->view, page_at) / PAGE_SIZE_BYTES + 1;
        if (used > c->segments[logical].live)
            c->segments[logical].live = used;
    }
    c->pages_used = pages;
    for (uint32_t s = 0; s < c->logical_end; ++s) {
        if (c->segments[s].use == SEGMENT_INDEX && c->segments[s].live < c->pages_used) {
            c->page_segment = s;
            c->pages_used = c->segments[s].live;
        }
    }
    return BELAY_OK;
}

/* ---- 2. Index ---- */

static void find_log(copy *c)
{
    for (uint32_t s = 0; s < c->logical_end; ++s) {
        if (segment_use(c, s) != SEGMENT_FREE)
            continue;
        const struct segment_header *header = log_header(c, s);
        uint32_t first = header->first_entry;
        bool first_fits = first == 0 || (first >= LOG_FIRST && first % 8 == 0 &&
                                         first <= c->view.segment_size - ENTRY_HEADER);
        if (header->magic != SEGMENT_LOG_MAGIC || header->sequence == 0 || !first_fits)
            continue;
        segment_claim(c, s, SEGMENT_LOG);
        c->segments[s].pins = 1; /* until all is counted */
        c->log_segments++;
        if (header->sequence > c->sequence)
            c->sequence = header->sequence;
        if (header->version > c->version)
            c->version = header->version;
    }
}

/* An entry that a slot points to. Its seal is not checked: it came before the slot. */
static const struct entry_header *slotted_entry(const copy *c, uint64_t entry_at)
{
    if (segment_use(c, segment_of(&c->view, entry_at)) != SEGMENT_LOG ||
        piece_at(&c->view, entry_at) < ENTRY_HEADER)
        return NULL;
    const struct entry_header *header = entry_at_address(c, entry_at);
    bool fits = header->kind == ENTRY_VALUE && header->version != 0 &&
                entry_fits(&c->view, c->descriptor, entry_at, header);
    return fits ? header : NULL;
}

static int count_slot(struct rebuilding *r, uint64_t page_at, unsigned position)
{
    copy *c = r->c;
    slot_word *slot = (slot_word *)at_address(c, page_at) + position;
    uint64_t entry_at = slot_address(*slot);
    const struct entry_header *header = slotted_entry(c, entry_at);
    if (!header)
        return damaged(c, "slot without entry", page_at + position * sizeof *slot);
    uint64_t hash = entry_hash(c, entry_at);
    if (hash_fingerprint(hash) != slot_fingerprint(*slot))
        return damaged(c, "slot of another key", page_at + position * sizeof *slot);
    if (index_page(c, hash) != page_at) {
        store64(slot, 0);
        r->repaired++;
        return BELAY_OK;
    }
    if (!log_live(c, entry_at, entry_bytes(header)))
        return damaged(c, "entry", entry_at);
    ending_note_found(c, entry_at, header);
    c->entries++;
    if (header->version > c->version)
        c->version = header->version;
    return BELAY_OK;
}

static int count_slots(struct rebuilding *r)
{
    copy *c = r->c;
    uint32_t prefix = 0;
    uint64_t page_at;
    while (index_next_page(c, &prefix, &page_at)) {
        const slot_word *page = at_address(c, page_at);
        for (unsigned i = 0; i < PAGE_SLOTS; ++i)
            if (page[i])
                __builtin_prefetch(at_address(c, slot_address(page[i])));
        for (unsigned i = 0; i < PAGE_SLOTS; ++i) {
            int result = page[i] ? count_slot(r, page_at, i) : BELAY_OK;
            if (result != BELAY_OK)
                return result;
        }
    }
    return BELAY_OK;
}

/* ---- 3. Log ---- */

static void note_entry(struct rebuilding *r, uint64_t entry_at, const struct entry_header *header)
{
    copy *c = r->c;
    bool moved = header->flags & ENTRY_MOVED;
    bool result = header->kind == ENTRY_RESULT;
    bool change = header->kind == ENTRY_VALUE || header->kind == ENTRY_REMOVE ||
                  header->kind == ENTRY_CLEAR || result;
    /* c->version is at least that of all slots by now; older entries need not be looked at closely. */
    if (!change || header->version + COPY_UNSLOTTED_MAX <= c->version)
        return;
    if (!moved && header->version <= log_header(c, segment_of(&c->view, entry_at))->version)
        return; /* of an earlier use of the segment */
    if (!check_whole(c, entry_at))
        return;
    struct found *found = &r->newest[header->version % COPY_UNSLOTTED_MAX];
    if (header->version > found->version || (header->version == found->version && found->moved))
        *found = (struct found){.version = header->version, .entry_at = entry_at, .moved = moved || result};
    if (header->version > c->version)
        c->version = header->version;
}

/* By lengths: an entry whose header was being rewritten (a commit cut off) must not hide those behind it. */
static void scan_segment(struct rebuilding *r, uint32_t logical)
{
    copy *c = r->c;
    uint32_t first = log_header(c, logical)->first_entry;
    uint64_t entry_at = first ? address_of(&c->view, logical, first) : NO_ADDRESS;
    while (entry_at != NO_ADDRESS && segment_of(&c->view, entry_at) == logical) {
        const struct entry_header *header = entry_at_address(c, entry_at);
        if (!entry_fits(&c->view, c->descriptor, entry_at, header))
            return;
        note_entry(r, entry_at, header);
        if (applied_note(r->c, entry_at, header) != BELAY_OK)
            r->no_memory = true;
        entry_at = log_next(c, entry_at, header);
    }
}

/* Whose last change is which: the others of the same key need not be applied. */
static void note_key(struct rebuilding *r, struct found *found)
{
    copy *c = r->c;
    const struct entry_header *header = entry_at_address(c, found->entry_at);
    unsigned char key[BELAY_KEY_MAX];
    entry_read(c, found->entry_at, ENTRY_HEADER, key, header->key_length);
    found->hash = XXH3_64bits(key, header->key_length);
    uint32_t at = found->hash % KEYS;
    for (; r->by_key[at]; at = (at + 1) % KEYS) {
        struct found *older = &r->newest[r->by_key[at] - 1];
        if (older->hash == found->hash && entry_has_key(c, older->entry_at, key, header->key_length)) {
            older->superseded = true;
            break;
        }
    }
    r->by_key[at] = (uint16_t)(found - r->newest + 1);
}

static void unslot(struct rebuilding *r, uint64_t slot_at)
{
    slot_word *slot = slot_memory(r->c, slot_at);
    change_entry_dead(r->c, slot_address(*slot));
    store64_release(slot, 0);
    r->c->entries--;
}

static void apply_clear(struct rebuilding *r, uint64_t version)
{
    uint32_t prefix = 0;
    uint64_t page_at;
    while (index_next_page(r->c, &prefix, &page_at))
        r->repaired += clear_page(r->c, page_at, version);
}

/* A vacant slot for a key; the old primary had one, so a split is hardly ever needed. */
static uint64_t provide_slot(struct rebuilding *r, uint64_t hash)
{
    struct copy_change change;
    uint64_t slot_at;
    while ((slot_at = index_vacant(r->c, hash)) == NO_ADDRESS && copy_split(r->c, hash, &change) == BELAY_OK)
        r->repaired++;
    return slot_at;
}

static int apply(struct rebuilding *r, const struct found *found)
{
    copy *c = r->c;
    const struct entry_header *header = entry_at_address(c, found->entry_at);
    unsigned char key[BELAY_KEY_MAX];
    entry_read(c, found->entry_at, ENTRY_HEADER, key, header->key_length);
    struct index_place place;
    const struct entry_header *present = index_find(c, found->hash, key, header->key_length, &place);
    bool remove = header->kind == ENTRY_REMOVE;
    if (present ? present->version >= header->version : remove)
        return BELAY_OK;
    r->repaired++;
    if (present)
        unslot(r, place.slot_at);
    if (remove)
        return BELAY_OK;
    size_t bytes = entry_bytes(header);
    uint64_t slot_at = present ? place.slot_at : provide_slot(r, found->hash);
    if (slot_at == NO_ADDRESS || !log_live(c, found->entry_at, bytes))
        return damaged(c, "entry without place", found->entry_at);
    slot_word slot = slot_make(found->hash, found->entry_at, bytes, (unsigned)header->version);
    store64_release(slot_memory(c, slot_at), slot);
    ending_note_found(c, found->entry_at, header);
    c->entries++;
    return BELAY_OK;
}

/* The first of the newest versions that are there without a gap. */
static uint64_t first_without_gap(const struct rebuilding *r)
{
    uint64_t newest = r->c->version, first = newest + 1;
    while (first > 1 && newest + 1 - first < COPY_UNSLOTTED_MAX &&
           r->newest[(first - 1) % COPY_UNSLOTTED_MAX].version == first - 1)
        --first;
    return first;
}

static int apply_unslotted(struct rebuilding *r)
{
    copy *c = r->c;
    for (uint32_t s = 0; s < c->logical_end; ++s)
        if (segment_use(c, s) == SEGMENT_LOG)
            scan_segment(r, s);
    uint64_t first = first_without_gap(r), after_clear = first;
    for (uint64_t version = first; version <= c->version; ++version) {
        struct found *found = &r->newest[version % COPY_UNSLOTTED_MAX];
        if (entry_at_address(c, found->entry_at)->kind == ENTRY_CLEAR)
            after_clear = version + 1;
        else if (!found->moved)
            note_key(r, found);
    }
    if (after_clear > first)
        apply_clear(r, after_clear - 1);
    for (uint64_t version = first; version <= c->version; ++version) {
        const struct found *found = &r->newest[version % COPY_UNSLOTTED_MAX];
        bool cleared = version < after_clear && !entry_is_own(c, found->entry_at);
        int result = found->moved || found->superseded || cleared ? BELAY_OK : apply(r, found);
        if (result != BELAY_OK)
            return result;
    }
    return BELAY_OK;
}

/* ---- All of it ---- */

static void begin(copy *c)
{
    segments_reset(c);
    applied_forget(c);
    c->version = c->entries = c->sequence = c->live = 0;
    c->oldest = c->newest = NULL;
    c->tail = c->gap = c->page_segment = c->victim = NO_SEGMENT;
    c->log_segments = c->pages_used = c->directory_wanted = c->reservation_count = 0;
    c->clearing = false;
    ending_reset(c);
    c->evict_left = 0;
    c->evict_sequence = 0;
}

static void finish(struct rebuilding *r)
{
    copy *c = r->c;
    _Atomic uint64_t *generation = &c->descriptor->root.generation;
    uint64_t now = atomic_load_explicit(generation, memory_order_relaxed);
    if (now % 2 != 0) {
        atomic_store_explicit(generation, now + 1, memory_order_release);
        r->repaired++;
    }
    for (uint32_t s = 0; s < c->logical_end; ++s)
        c->segments[s].pins = 0;
    log_hold(c);
}

static int rebuild(struct rebuilding *r)
{
    int result = check_directory(r->c);
    if (result == BELAY_OK)
        result = repair_directory(r);
    if (result == BELAY_OK)
        result = find_pages(r->c);
    if (result != BELAY_OK)
        return result;
    find_log(r->c);
    result = count_slots(r);
    if (result == BELAY_OK)
        result = apply_unslotted(r);
    if (result == BELAY_OK && r->no_memory)
        result = BELAY_ERR_NO_MEMORY;
    if (result == BELAY_OK)
        finish(r);
    return result;
}

void copy_mirror(copy *c)
{
    begin(c);
}

int copy_rebuild(copy *c, uint64_t *repaired)
{
    struct rebuilding *r = calloc(1, sizeof *r);
    if (!r)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to rebuild a copy");
    r->c = c;
    begin(c);
    int result = rebuild(r);
    if (result == BELAY_OK)
        *repaired = r->repaired;
    free(r);
    return result;
}
