/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file lookup_remote.c
 * A get by RDMA READs: bucket, then entry; what leads there (arena header, descriptor, directory) is fetched once and kept.
 * Where an entry was found last it is read together with the bucket (locations.h), behind it as ever; of one whose value is kept
 * here (near.h) only the header.
 *
 * What was kept may be outdated: the index may have moved, segments may have been recycled. A key that is found proves
 * itself (key, seal); one that is not found is believed only after the root's generation has been read again. Everything
 * outdated costs another round with a fresh descriptor, a bounded number of times.
 */
#include "cache/lookup.h"

#include "base/log.h"
#include "cache/staging.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRIES_MAX = 16,
    /* Staging: fixed places for the small things, the entry behind them. */
    STAGE_WORD = 0,
    STAGE_END = 8,
    STAGE_BUCKET = 128,
    STAGE_ENTRY = 4096
};

static unsigned char *staged(const struct lookup *lookup, size_t at)
{
    return (unsigned char *)arena_segment(lookup->cache->node->arena, lookup->staging) + at;
}

static size_t entry_room(const struct lookup *lookup)
{
    return arena_segment_size(lookup->cache->node->arena) - STAGE_ENTRY;
}

static int finish(struct lookup *lookup, int status)
{
    staging_give(lookup->cache->node, lookup->staging);
    lookup->staging = ARENA_NO_SEGMENT;
    return status;
}

static const struct arena_view *view_of(const struct lookup *lookup)
{
    return &lookup->cache->node->caches->arenas[lookup->peer].view;
}

static int post_read(struct lookup *lookup, uint64_t offset, size_t length, size_t to, unsigned flags)
{
    return fabric_read(lookup->cache->node->fabric, lookup->peer, offset, staged(lookup, to), length, flags,
                       &lookup->ticket);
}

static int read_to(struct lookup *lookup, uint64_t offset, size_t length, size_t to, enum lookup_state next)
{
    lookup->state = next;
    return post_read(lookup, offset, length, to, 0);
}

/* @return FABRIC_AGAIN when a read is in flight, or the result. */
static int in_flight(struct lookup *lookup, int posted)
{
    return posted == BELAY_OK ? FABRIC_AGAIN : finish(lookup, posted);
}

/* ---- Descriptor: kept per partition ---- */

static bool recall_descriptor(struct lookup *lookup)
{
    struct fetched_descriptor *kept = &lookup->cache->fetched[lookup->partition];
    spin_acquire(&kept->lock);
    bool valid = kept->valid;
    if (valid)
        memcpy(&lookup->descriptor, &kept->descriptor, sizeof lookup->descriptor);
    spin_release(&kept->lock);
    return valid;
}

static void keep_descriptor(struct lookup *lookup)
{
    struct fetched_descriptor *kept = &lookup->cache->fetched[lookup->partition];
    spin_acquire(&kept->lock);
    memcpy(&kept->descriptor, &lookup->descriptor, sizeof kept->descriptor);
    kept->valid = true;
    spin_release(&kept->lock);
}

void cache_forget_descriptor(belay_cache *cache, uint32_t partition)
{
    struct fetched_descriptor *kept = &cache->fetched[partition];
    spin_acquire(&kept->lock);
    kept->valid = false;
    spin_release(&kept->lock);
}

static uint64_t descriptor_offset(const struct lookup *lookup)
{
    return atomic_load_explicit(&lookup->cache->blocks[lookup->peer].offset, memory_order_acquire) +
           (uint64_t)lookup->partition * DESCRIPTOR_SIZE;
}

static int fetch_header(struct lookup *lookup)
{
    return in_flight(lookup, read_to(lookup, 0, sizeof(struct arena_header), STAGE_ENTRY, LOOKUP_HEADER));
}

static int fetch_descriptor(struct lookup *lookup)
{
    if (++lookup->tries > TRIES_MAX)
        return finish(lookup, READ_AGAIN);
    return in_flight(lookup, read_to(lookup, descriptor_offset(lookup), sizeof(struct copy_descriptor),
                                     STAGE_ENTRY, LOOKUP_DESCRIPTOR));
}

static int take_header(struct lookup *lookup)
{
    belay_cache *cache = lookup->cache;
    struct peer_arena *known = &cache->node->caches->arenas[lookup->peer];
    const struct arena_header *header = (const struct arena_header *)staged(lookup, STAGE_ENTRY);
    struct arena_view view;
    size_t size = fabric_peer_region_size(cache->node->fabric, lookup->peer);
    int result = arena_view_make(NULL, size, header, &view);
    uint64_t block = header->cache_block[cache->number];
    uint64_t length = (uint64_t)cache->partition_count * DESCRIPTOR_SIZE;
    if (result != BELAY_OK || block == 0 || block > size || length > size - block)
        return finish(lookup,
                      log_error(BELAY_ERR_PROTOCOL, "node %d has a damaged arena header", lookup->peer));
    int unknown = ARENA_VIEW_UNKNOWN;
    if (atomic_compare_exchange_strong(&known->state, &unknown, ARENA_VIEW_BEING_MADE)) {
        known->view = view;
        atomic_store_explicit(&known->state, ARENA_VIEW_MADE, memory_order_release);
    }
    while (atomic_load_explicit(&known->state, memory_order_acquire) == ARENA_VIEW_BEING_MADE)
        sched_yield(); /* another thread is between the two lines above */
    atomic_store_explicit(&cache->blocks[lookup->peer].offset, block, memory_order_release);
    return fetch_descriptor(lookup);
}

/* ---- Translation ---- */

/* @return 1, 0 when a mapping word must be fetched first at *table_at, or negative: outdated. */
static int translate(const struct lookup *lookup, uint64_t address, uint64_t *offset, size_t *contiguous,
                     uint64_t *table_at)
{
    return descriptor_translate(view_of(lookup), &lookup->descriptor, address, offset, contiguous, table_at);
}

/* Mappings beyond the descriptor are asked of the primary rather than fetched word by word: copies that large are rare. */
static int locate(struct lookup *lookup, uint64_t address, uint64_t *offset, size_t *contiguous)
{
    uint64_t table_at;
    int known = translate(lookup, address, offset, contiguous, &table_at);
    return known == 1 ? BELAY_OK : known == 0 ? READ_AGAIN : BELAY_ERR_NOT_FOUND;
}

/* An address that leads nowhere: the descriptor is outdated. */
static int not_located(struct lookup *lookup, int located)
{
    return located == READ_AGAIN ? finish(lookup, READ_AGAIN) : fetch_descriptor(lookup);
}

/* ---- Bucket ---- */

/* Read up to @p length bytes of the log from @p address on, without the segment headers in between, to @p to. The segments
 * behind may not exist: then it is less. @return bytes asked for; the last ticket covers them all. */
static size_t read_log(struct lookup *lookup, uint64_t address, size_t length, size_t to,
                       enum lookup_state next)
{
    uint32_t segment_size = view_of(lookup)->segment_size;
    size_t asked = 0;
    while (asked < length) {
        uint64_t offset;
        size_t contiguous;
        if (asked > 0 && address % segment_size == 0)
            address += sizeof(struct segment_header);
        if (locate(lookup, address, &offset, &contiguous) != BELAY_OK)
            break;
        size_t piece = segment_size - address % segment_size;
        if (piece > length - asked)
            piece = length - asked;
        if (read_to(lookup, offset, piece, to + asked, next) != BELAY_OK)
            break;
        address += piece;
        asked += piece;
    }
    return asked;
}

/* The entry that the bucket will name, unless it has changed since; not if it is to be fetched in pieces. */
static slot_word guess_slot(const struct lookup *lookup)
{
    slot_word slot = lookup->tries == 0 ? locations_recall(lookup->cache->locations, lookup->key.hash) : 0;
    return slot && slot_length_bound(slot) <= entry_room(lookup) ? slot : 0;
}

/* The bucket, and behind it some bytes from where the entry was. */
static int fetch_both(struct lookup *lookup, uint64_t bucket_at, size_t length, enum lookup_state next)
{
    int posted = post_read(lookup, bucket_at, 2 * BUCKET_SIZE, STAGE_BUCKET, FABRIC_MORE);
    if (posted != BELAY_OK)
        return finish(lookup, posted);
    lookup->fetched = read_log(lookup, slot_address(lookup->guess), length, STAGE_ENTRY, next);
    return FABRIC_AGAIN;
}

static bool is_near(struct lookup *lookup)
{
    struct near *near = lookup->cache->near;
    return near && lookup->tries == 0 && near_find(near, &lookup->key, &lookup->near);
}

static int fetch_bucket(struct lookup *lookup)
{
    uint64_t offset, guessed_offset;
    size_t contiguous;
    bool near = is_near(lookup);
    int located = locate(lookup, bucket_pair_address(lookup->page_at, lookup->key.hash), &offset,
                         &contiguous);
    if (located != BELAY_OK)
        return not_located(lookup, located);
    lookup->guess = near ? lookup->near.slot : guess_slot(lookup);
    if (lookup->guess &&
        locate(lookup, slot_address(lookup->guess), &guessed_offset, &contiguous) == BELAY_OK)
        return fetch_both(lookup, offset,
                          near ? sizeof(struct entry_header) : slot_length_bound(lookup->guess),
                          near ? LOOKUP_NEAR : LOOKUP_GUESS);
    return in_flight(lookup, read_to(lookup, offset, 2 * BUCKET_SIZE, STAGE_BUCKET, LOOKUP_BUCKET));
}

static int find_page(struct lookup *lookup)
{
    uint64_t reference_at, offset;
    size_t contiguous;
    uint32_t segment_size = view_of(lookup)->segment_size;
    if (lookup->descriptor.root.generation == 0) /* nothing was ever put */
        return in_flight(lookup, read_to(lookup, descriptor_offset(lookup), sizeof(struct copy_descriptor),
                                         STAGE_ENTRY, LOOKUP_MISS));
    int known = root_page(&lookup->descriptor.root, segment_size, lookup->key.hash, &lookup->page_at,
                          &reference_at);
    if (known < 0)
        return fetch_descriptor(lookup);
    if (known == 1)
        return fetch_bucket(lookup);
    int located = locate(lookup, reference_at, &offset, &contiguous);
    if (located != BELAY_OK)
        return not_located(lookup, located);
    return in_flight(lookup, read_to(lookup, offset, sizeof(uint32_t), STAGE_WORD, LOOKUP_REFERENCE));
}

static int take_descriptor(struct lookup *lookup)
{
    memcpy(&lookup->descriptor, staged(lookup, STAGE_ENTRY), sizeof lookup->descriptor);
    /* Or it is empty: the peer does not know yet that it holds the partition. */
    if (lookup->descriptor.serving != COPY_SERVES)
        return finish(lookup, READ_AGAIN);
    if (lookup->descriptor.cache != lookup->cache->number ||
        lookup->descriptor.partition != lookup->partition)
        return finish(lookup, log_error(BELAY_ERR_PROTOCOL, "node %d does not hold partition %u",
                                        lookup->peer, lookup->partition));
    keep_descriptor(lookup);
    return find_page(lookup);
}

static int take_reference(struct lookup *lookup)
{
    uint32_t reference;
    memcpy(&reference, staged(lookup, STAGE_WORD), sizeof reference);
    lookup->page_at = page_reference_address(reference);
    return fetch_bucket(lookup);
}

/* ---- Entry ---- */

static int fetch_entry(struct lookup *lookup)
{
    slot_word slot = lookup->matches[lookup->match];
    size_t bound = slot_length_bound(slot);
    size_t room = entry_room(lookup);
    lookup->fetched = read_log(lookup, slot_address(slot), bound < room ? bound : room, STAGE_ENTRY,
                               LOOKUP_ENTRY);
    return lookup->fetched >= sizeof(struct entry_header) ? FABRIC_AGAIN : fetch_descriptor(lookup);
}

static int fetch_generation(struct lookup *lookup)
{
    return in_flight(lookup, read_to(lookup, descriptor_offset(lookup), sizeof(struct copy_descriptor),
                                     STAGE_ENTRY, LOOKUP_MISS));
}

static int next_match(struct lookup *lookup)
{
    return lookup->match < lookup->match_count ? fetch_entry(lookup) : fetch_generation(lookup);
}

static void match_bucket(struct lookup *lookup)
{
    lookup->match_count = bucket_pair_match((const slot_word *)staged(lookup, STAGE_BUCKET), lookup->key.hash,
                                            lookup->matches, lookup->positions);
    lookup->match = 0;
}

static int take_bucket(struct lookup *lookup)
{
    match_bucket(lookup);
    return next_match(lookup);
}

static int take_miss(struct lookup *lookup)
{
    uint64_t before = lookup->descriptor.root.generation;
    const struct copy_descriptor *now = (const struct copy_descriptor *)staged(lookup, STAGE_ENTRY);
    if (now->root.generation == before && before % 2 == 0)
        return finish(lookup, BELAY_ERR_NOT_FOUND);
    if (++lookup->tries > TRIES_MAX)
        return finish(lookup, READ_AGAIN);
    return take_descriptor(lookup);
}

/* The value itself is in staging, whole and checked. */
static int deliver(struct lookup *lookup, const struct entry_header *header)
{
    if (header->value_length > lookup->capacity)
        return finish(lookup, BELAY_ERR_TRUNCATED);
    const unsigned char *value = (const unsigned char *)header + sizeof *header + header->key_length;
    if (header->value_length)
        memcpy(lookup->buffer, value, header->value_length);
    return finish(lookup, BELAY_OK);
}

/* ---- Large values: piece by piece, then the slot and the version once more ---- */

static bool fits(const struct lookup *lookup)
{
    return lookup->result.value_length <= lookup->capacity;
}

static uint64_t value_address(const struct lookup *lookup, uint64_t from)
{
    uint32_t segment_size = view_of(lookup)->segment_size;
    return log_advance(slot_address(lookup->matches[lookup->match]),
                       sizeof(struct entry_header) + lookup->key.length + from, segment_size);
}

static int fetch_confirmation(struct lookup *lookup)
{
    uint64_t offset;
    size_t contiguous;
    slot_word slot = lookup->matches[lookup->match];
    uint64_t slot_at = bucket_pair_address(lookup->page_at, lookup->key.hash) +
                       lookup->positions[lookup->match] * sizeof(slot_word);
    if (locate(lookup, slot_at, &offset, &contiguous) != BELAY_OK ||
        read_to(lookup, offset, sizeof slot, STAGE_WORD, LOOKUP_CONFIRM) != BELAY_OK ||
        read_log(lookup, slot_address(slot), sizeof(struct entry_header), STAGE_ENTRY, LOOKUP_CONFIRM) <
            sizeof(struct entry_header))
        return fetch_descriptor(lookup);
    if (lookup->ends && read_log(lookup, value_address(lookup, lookup->result.value_length), ENTRY_END_BYTES,
                                 STAGE_END, LOOKUP_CONFIRM) < ENTRY_END_BYTES)
        return fetch_descriptor(lookup);
    return FABRIC_AGAIN;
}

static int fetch_piece(struct lookup *lookup)
{
    uint64_t left = lookup->result.value_length - lookup->value_done;
    size_t room = entry_room(lookup);
    size_t wanted = left < room ? left : room;
    if (wanted == 0)
        return fetch_confirmation(lookup);
    lookup->piece = read_log(lookup, value_address(lookup, lookup->value_done), wanted, STAGE_ENTRY,
                             LOOKUP_LARGE);
    return lookup->piece > 0 ? FABRIC_AGAIN : fetch_descriptor(lookup);
}

static int take_piece(struct lookup *lookup)
{
    memcpy((unsigned char *)lookup->buffer + lookup->value_done, staged(lookup, STAGE_ENTRY), lookup->piece);
    lookup->value_done += lookup->piece;
    return fetch_piece(lookup);
}

static int take_confirmation(struct lookup *lookup)
{
    slot_word slot;
    const struct entry_header *header = (const struct entry_header *)staged(lookup, STAGE_ENTRY);
    memcpy(&slot, staged(lookup, STAGE_WORD), sizeof slot);
    if (lookup->ends)
        memcpy(&lookup->result.ends_at, staged(lookup, STAGE_END), sizeof lookup->result.ends_at);
    if (slot == lookup->matches[lookup->match] && header->version == lookup->result.version)
        return finish(lookup, fits(lookup) ? BELAY_OK : BELAY_ERR_TRUNCATED);
    lookup->result.retries++;
    return ++lookup->tries > TRIES_MAX ? finish(lookup, READ_AGAIN) : fetch_bucket(lookup);
}

/* The entry is longer than the staging: its key must be there already. */
static int take_large(struct lookup *lookup, const struct entry_header *header)
{
    const unsigned char *key = (const unsigned char *)header + sizeof *header;
    if (header->key_length != lookup->key.length || memcmp(key, lookup->key.data, lookup->key.length) != 0) {
        lookup->match++;
        return next_match(lookup);
    }
    lookup->result.version = header->version;
    lookup->result.value_length = header->value_length;
    lookup->result.ends_at = 0;
    lookup->ends = header->flags & ENTRY_ENDS;
    lookup->value_done = 0;
    if (!fits(lookup)) {
        lookup->value_done = header->value_length;
        return fetch_confirmation(lookup);
    }
    return fetch_piece(lookup);
}

/* For the next get of the key. */
static void remember(struct lookup *lookup, const struct entry_header *header, slot_word slot)
{
    struct near *near = lookup->cache->near;
    struct near_proof proof = {slot, header->version, header->value_length, lookup->result.ends_at};
    locations_keep(lookup->cache->locations, lookup->key.hash, slot);
    if (near)
        near_keep(near, &lookup->key, &proof, (const unsigned char *)(header + 1) + header->key_length);
}

static int take_entry(struct lookup *lookup)
{
    slot_word slot = lookup->matches[lookup->match];
    const struct entry_header *header = (const struct entry_header *)staged(lookup, STAGE_ENTRY);
    if (entry_header_plausible(header, slot)) {
        size_t length = entry_length(header);
        if (length > entry_room(lookup))
            return take_large(lookup, header);
        if (length <= lookup->fetched) {
            int checked = entry_check(header, lookup->fetched, slot_address(slot), &lookup->key);
            if (checked == BELAY_ERR_NOT_FOUND) {
                lookup->match++;
                return next_match(lookup);
            }
            if (checked == BELAY_OK) {
                lookup->result.version = header->version;
                lookup->result.value_length = header->value_length;
                lookup->result.ends_at = entry_fetched_end(header);
                remember(lookup, header, slot);
                return deliver(lookup, header);
            }
        }
    }
    /* Torn, recycled, or found by an outdated mapping. */
    lookup->result.retries++;
    return fetch_descriptor(lookup);
}

/* Does the bucket name the guessed entry? Then that is the first to be looked at: it has arrived as well. */
static bool guess_matches(struct lookup *lookup)
{
    match_bucket(lookup);
    for (unsigned i = 0; i < lookup->match_count; ++i) {
        if (lookup->matches[i] != lookup->guess)
            continue;
        unsigned position = lookup->positions[i];
        lookup->matches[i] = lookup->matches[0];
        lookup->positions[i] = lookup->positions[0];
        lookup->matches[0] = lookup->guess;
        lookup->positions[0] = position;
        return true;
    }
    return false;
}

static int take_guess(struct lookup *lookup)
{
    return guess_matches(lookup) ? take_entry(lookup) : next_match(lookup);
}

/* No other entry has had this version: where it still stands is the key that it was read for. */
static bool is_proved(const struct lookup *lookup)
{
    const struct entry_header *header = (const struct entry_header *)staged(lookup, STAGE_ENTRY);
    return lookup->fetched >= sizeof *header && entry_header_plausible(header, lookup->guess) &&
           header->version == lookup->near.version && header->value_length == lookup->near.value_length;
}

static int take_near(struct lookup *lookup)
{
    if (!guess_matches(lookup) || !is_proved(lookup))
        return next_match(lookup);
    bool fits_in = lookup->near.value_length <= lookup->capacity;
    if (fits_in && !near_take(lookup->cache->near, &lookup->key, &lookup->near, lookup->buffer))
        return next_match(lookup);
    counter_add(lookup->cache->counters, counter_shard(), COUNT_GETS_NEAR, 1);
    lookup->result.version = lookup->near.version;
    lookup->result.value_length = lookup->near.value_length;
    lookup->result.ends_at = lookup->near.ends_at;
    return finish(lookup, fits_in ? BELAY_OK : BELAY_ERR_TRUNCATED);
}

/* ---- Steps ---- */

static int arrived(struct lookup *lookup)
{
    switch (lookup->state) {
    case LOOKUP_HEADER: return take_header(lookup);
    case LOOKUP_DESCRIPTOR: return take_descriptor(lookup);
    case LOOKUP_REFERENCE: return take_reference(lookup);
    case LOOKUP_BUCKET: return take_bucket(lookup);
    case LOOKUP_GUESS: return take_guess(lookup);
    case LOOKUP_NEAR: return take_near(lookup);
    case LOOKUP_ENTRY: return take_entry(lookup);
    case LOOKUP_LARGE: return take_piece(lookup);
    case LOOKUP_CONFIRM: return take_confirmation(lookup);
    case LOOKUP_MISS: return take_miss(lookup);
    }
    return finish(lookup, BELAY_ERR_INVALID);
}

int lookup_begin(struct lookup *lookup, belay_cache *cache, const struct read_key *key, uint32_t partition,
                 int peer, void *buffer, size_t capacity)
{
    lookup->cache = cache;
    lookup->key = *key;
    lookup->buffer = buffer;
    lookup->capacity = capacity;
    lookup->partition = partition;
    lookup->peer = peer;
    lookup->tries = 0;
    lookup->result = (struct read_result){0};
    if (!cache->blocks) /* all memory is mapped, or is just being mapped by another thread */
        return READ_AGAIN;
    lookup->staging = staging_take(cache->node);
    if (lookup->staging == ARENA_NO_SEGMENT)
        return READ_AGAIN;
    int made = atomic_load_explicit(&cache->node->caches->arenas[peer].state, memory_order_acquire);
    if (made != ARENA_VIEW_MADE ||
        atomic_load_explicit(&cache->blocks[peer].offset, memory_order_acquire) == 0)
        return fetch_header(lookup);
    return recall_descriptor(lookup) ? find_page(lookup) : fetch_descriptor(lookup);
}

int lookup_step(struct lookup *lookup)
{
    fabric *f = lookup->cache->node->fabric;
    if (!fabric_done(f, lookup->peer, lookup->ticket)) {
        if (fabric_peer_state(f, lookup->peer) != FABRIC_LOST)
            return FABRIC_AGAIN;
        return finish(lookup, log_quiet(BELAY_ERR_NODE_FAILED, "get: node %d failed", lookup->peer));
    }
    return arrived(lookup);
}

void lookup_cancel(struct lookup *lookup)
{
    fabric *f = lookup->cache->node->fabric;
    struct node_wait wait;
    node_wait_begin(&wait, lookup->cache->node, 0);
    while (!fabric_done(f, lookup->peer, lookup->ticket) && fabric_peer_state(f, lookup->peer) != FABRIC_LOST)
        node_wait_more(&wait);
    node_wait_end(&wait);
    finish(lookup, READ_AGAIN);
}
