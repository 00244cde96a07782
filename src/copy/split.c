/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file split.c
 * The index grows: a page without a vacant slot for a key is split in two, and when the directory cannot tell the halves
 * apart, it is replaced by a larger one. Extendible hashing (Fagin, Nievergelt, Pippenger, Strong 1979).
 *
 * The order in which it happens, here and on backups: generation odd; the new page, or the new directory, which nothing
 * refers to yet; the references; the old page without the slots that moved; generation even. Whoever looks meanwhile, or
 * a backup that saw only the beginning, finds every slot somewhere (rebuild.c finishes what was begun).
 */
#include "copy/copy_private.h"

#include <string.h>

/* ---- Room ---- */

static bool page_available(const copy *c)
{
    return index_has_spare_page(c) || c->free.count > 0;
}

static uint64_t take_page(copy *c)
{
    if (!index_has_spare_page(c)) {
        c->page_segment = c->free.first;
        c->pages_used = 0;
        segment_claim(c, c->page_segment, SEGMENT_INDEX);
    }
    return address_of(&c->view, c->page_segment, c->pages_used++ * PAGE_SIZE_BYTES);
}

/* ---- Effects ---- */

static void root_range(struct copy_change *change, size_t from, size_t length)
{
    change_range(change, COPY_ROOT_ADDRESS + from, length, true);
}

static uint64_t *root_size_word(struct copy_root *root)
{
    _Static_assert(offsetof(struct copy_root, depth) % 8 == 0 &&
                       offsetof(struct copy_root, directory_segments) ==
                           offsetof(struct copy_root, depth) + 4,
                   "depth and directory_segments are switched as one word");
    return (uint64_t *)(void *)&root->depth;
}

/* Switch the directory to another place and size at once. */
static void switch_directory(copy *c, struct copy_change *change, uint32_t depth, uint32_t segments)
{
    uint32_t pair[2] = {depth, segments};
    uint64_t word;
    memcpy(&word, pair, sizeof word);
    store64_release(root_size_word(&c->descriptor->root), word);
    change_word(change, COPY_ROOT_ADDRESS + offsetof(struct copy_root, depth), word);
}

void change_root_odd(copy *c, struct copy_change *change)
{
    _Atomic uint64_t *generation = &c->descriptor->root.generation;
    uint64_t odd = atomic_load_explicit(generation, memory_order_relaxed) | 1;
    atomic_store_explicit(generation, odd, memory_order_relaxed);
    racy_begin();
    change_word(change, COPY_ROOT_ADDRESS, odd);
}

void change_root_even(copy *c, struct copy_change *change)
{
    _Atomic uint64_t *generation = &c->descriptor->root.generation;
    uint64_t even = atomic_load_explicit(generation, memory_order_relaxed) + 1;
    atomic_store_explicit(generation, even, memory_order_release);
    change_word(change, COPY_ROOT_ADDRESS, even);
}

/* ---- The first page ---- */

static int first_page(copy *c, struct copy_change *change)
{
    if (!page_available(c))
        return COPY_NEEDS_SEGMENTS;
    struct copy_root *root = &c->descriptor->root;
    change_begin(change, c->version);
    change_root_odd(c, change);
    uint64_t page_at = take_page(c);
    racy_zero(at_address(c, page_at), PAGE_SIZE_BYTES);
    change_range(change, page_at, PAGE_SIZE_BYTES, true);
    for (uint32_t i = 0; i < ROOT_DIRECTORY_INLINE; ++i)
        store32(&root->directory[i], page_reference(page_at));
    root_range(change, offsetof(struct copy_root, directory), sizeof root->directory);
    switch_directory(c, change, ROOT_DEPTH_INLINE, 0);
    change_root_even(c, change);
    return BELAY_OK;
}

/* ---- A larger directory ---- */

static uint32_t depth_of_segments(const copy *c, uint32_t segments)
{
    return (uint32_t)__builtin_ctz(table_words(&c->view)) + (uint32_t)__builtin_ctz(segments);
}

/* Fill one segment of the new directory from the present one. */
static void spread(copy *c, uint32_t logical, uint32_t first, uint32_t depth)
{
    uint32_t *words = at_address(c, address_of(&c->view, logical, 0));
    for (uint32_t i = 0; i < table_words(&c->view); ++i)
        store32(&words[i], *index_reference(c, (first + i) >> (depth - index_depth(c))));
}

static int grow_directory(copy *c, struct copy_change *change)
{
    struct copy_root *root = &c->descriptor->root;
    uint32_t segments = root->directory_segments ? 2 * root->directory_segments : 1;
    uint32_t depth = depth_of_segments(c, segments);
    if (2 * segments - 1 > ROOT_DIRECTORY_SEGMENTS || depth > DEPTH_MAX)
        return log_quiet(BELAY_ERR_NO_SPACE,
                         "the directory of cache %u partition %u cannot get larger: use more partitions",
                         c->descriptor->cache, c->descriptor->partition);
    if (c->free.count < segments) {
        c->directory_wanted = segments;
        return COPY_NEEDS_SEGMENTS;
    }
    change_begin(change, c->version);
    change_root_odd(c, change);
    for (uint32_t i = 0; i < segments; ++i) {
        uint32_t logical = c->free.first;
        segment_claim(c, logical, SEGMENT_DIRECTORY);
        spread(c, logical, i * table_words(&c->view), depth);
        change_range(change, address_of(&c->view, logical, 0), c->view.segment_size, true);
        store32(&root->directory_segment[segments - 1 + i], logical);
    }
    root_range(change, offsetof(struct copy_root, directory_segment), sizeof root->directory_segment);
    switch_directory(c, change, depth, segments);
    change_root_even(c, change);
    return BELAY_OK;
}

/* ---- Splitting ---- */

/* The aligned run of references to the page of a prefix. @return its length. */
static uint32_t run_of(const copy *c, uint32_t prefix, uint32_t *first)
{
    uint32_t reference = *index_reference(c, prefix), end = 1u << index_depth(c), length = 1;
    while (length < end && *index_reference(c, prefix ^ length) == reference)
        length *= 2, prefix &= ~(length - 1);
    *first = prefix;
    return length;
}

/* Which slots of a page go to its new half: those whose keys' prefix has @p bit. All entries are brought into the cache
 * first: they lie anywhere. */
static void choose_moving(const copy *c, const slot_word *page, uint32_t bit, bool *moving)
{
    for (unsigned i = 0; i < PAGE_SLOTS; ++i)
        if (page[i])
            __builtin_prefetch(entry_at_address(c, slot_address(page[i])));
    for (unsigned i = 0; i < PAGE_SLOTS; ++i)
        moving[i] = page[i] && (hash_prefix(entry_hash(c, slot_address(page[i])), index_depth(c)) & bit);
}

static void note_references(const copy *c, struct copy_change *change, uint32_t first, uint32_t count)
{
    const struct copy_root *root = &c->descriptor->root;
    uint32_t words = table_words(&c->view);
    if (root->directory_segments == 0) {
        root_range(change, offsetof(struct copy_root, directory) + first * sizeof(uint32_t),
                   count * sizeof(uint32_t));
        return;
    }
    for (uint32_t piece; count > 0; first += piece, count -= piece) {
        uint32_t logical = root->directory_segment[root->directory_segments - 1 + first / words];
        piece = count < words ? count : words; /* both powers of two, and `first` is aligned to count */
        change_range(change, address_of(&c->view, logical, first % words * (uint32_t)sizeof(uint32_t)),
                     piece * sizeof(uint32_t), true);
    }
}

static void split_page(copy *c, struct copy_change *change, uint64_t old_at, uint32_t first, uint32_t half)
{
    slot_word *old = at_address(c, old_at);
    bool moving[PAGE_SLOTS];
    choose_moving(c, old, half, moving);

    change_begin(change, c->version);
    change_root_odd(c, change);
    uint64_t new_at = take_page(c);
    slot_word *new = at_address(c, new_at);
    for (unsigned i = 0; i < PAGE_SLOTS; ++i)
        store64(&new[i], moving[i] ? old[i] : 0);
    change_range(change, new_at, PAGE_SIZE_BYTES, true);
    racy_begin();
    for (uint32_t i = 0; i < half; ++i)
        store32(index_reference(c, first + half + i), page_reference(new_at));
    note_references(c, change, first + half, half);
    racy_begin();
    for (unsigned i = 0; i < PAGE_SLOTS; ++i)
        if (moving[i])
            store64(&old[i], 0);
    change_range(change, old_at, PAGE_SIZE_BYTES, true);
    change_root_even(c, change);
}

int copy_split(copy *c, uint64_t hash, struct copy_change *change)
{
    uint64_t page_at = index_page(c, hash);
    c->directory_wanted = 0;
    if (page_at == NO_ADDRESS)
        return first_page(c, change);
    if (pending_uses_page(c, page_at))
        return COPY_NEEDS_DRAIN;
    uint32_t first, length = run_of(c, hash_prefix(hash, index_depth(c)), &first);
    if (length == 1)
        return grow_directory(c, change);
    if (!page_available(c))
        return COPY_NEEDS_SEGMENTS;
    split_page(c, change, page_at, first, length / 2);
    return BELAY_OK;
}
