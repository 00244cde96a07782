/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy_world.h"

#include "base/own_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- Chance ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

uint64_t world_random(struct world *w)
{
    return mix(w->random += 0x9e3779b97f4a7c15ull);
}

uint32_t world_below(struct world *w, uint32_t limit)
{
    return (uint32_t)(world_random(w) % limit);
}

/* ---- Keys and values ---- */

static void fill(uint64_t seed, unsigned char *to, size_t length)
{
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = mix(seed + i);
        memcpy(to + i, &word, length - i < 8 ? length - i : 8);
    }
}

size_t key_bytes(const struct world *w, uint32_t key, void *to)
{
    static const uint16_t lengths[] = {4, 5, 8, 15, 16, 17, 24, 31, 32, 33, 64, 100, 200, 777, 2000, 4096};
    size_t length = w->options.key_length ? w->options.key_length : lengths[mix(key) % 16];
    size_t number_at = key < w->options.own_keys ? OWN_KEY_PREFIX_LENGTH : 0;
    fill(key, to, length);
    memcpy(to, OWN_KEY_PREFIX, number_at);
    memcpy((unsigned char *)to + number_at, &key, sizeof key);
    return length;
}

uint64_t key_hash(const struct world *w, uint32_t key)
{
    unsigned char bytes[BELAY_KEY_MAX];
    size_t length = key_bytes(w, key, bytes);
    return XXH3_64bits(bytes, length);
}

void value_bytes(uint64_t seed, void *to, size_t length)
{
    fill(seed, to, length);
}

bool value_is(uint64_t seed, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = mix(seed + i);
        if (memcmp(&word, at + i, length - i < 8 ? length - i : 8) != 0)
            return false;
    }
    return true;
}

/* ---- Begin and end ---- */

static void open_copy(struct world *w, int which)
{
    w->region[which] = mmap(NULL, w->region_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(w->region[which], MAP_FAILED);
    assert_int_equal(
        arena_create(w->region[which], w->region_size, w->options.segment_size, &w->arena[which]), BELAY_OK);
    uint32_t run = arena_take_run(w->arena[which], 1);
    assert_int_not_equal(run, ARENA_NO_SEGMENT);
    w->descriptor_offset[which] = arena_segment_offset(w->arena[which], run);
    assert_int_equal(copy_create(w->arena[which], w->descriptor_offset[which], 1, 2, w->options.seal_whole,
                                 &w->copy[which]),
                     BELAY_OK);
    copy_serve(w->copy[which], true);
    assert_int_equal(
        arena_view_make(w->region[which], w->region_size, arena_header_of(w->arena[which]), &w->view[which]),
        BELAY_OK);
}

void world_open(struct world *w, const struct world_options *options, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->options = *options;
    w->random = seed;
    w->changing_key = NO_KEY;
    w->region_size = (options->segments + 2) * options->segment_size;
    w->newest = calloc(options->keys, sizeof *w->newest);
    w->published = calloc(options->keys, sizeof *w->published);
    for (int which = 0; which < WORLD_COPIES; ++which)
        if (which == PRIMARY || !options->no_mirror)
            open_copy(w, which);
}

void world_close(struct world *w)
{
    world_drain(w);
    for (int which = 0; which < WORLD_COPIES; ++which) {
        if (!w->copy[which])
            continue;
        copy_destroy(w->copy[which]);
        assert_int_equal(arena_free_segments(w->arena[which]) + 1, arena_total_segments(w->arena[which]));
        arena_destroy(w->arena[which]);
        munmap(w->region[which], w->region_size);
    }
    free(w->newest);
    free(w->published);
}

const struct copy_descriptor *world_descriptor(const struct world *w, int which)
{
    return (const void *)((const char *)w->region[which] + w->descriptor_offset[which]);
}

/* ---- The mirror ---- */

static unsigned char *logical_memory(struct world *w, int which, uint64_t address)
{
    if (address >= COPY_ROOT_ADDRESS) {
        assert_true(address - COPY_ROOT_ADDRESS < sizeof(struct copy_root));
        return (unsigned char *)w->region[which] + w->descriptor_offset[which] +
               (address - COPY_ROOT_ADDRESS);
    }
    uint32_t physical = copy_physical(w->copy[which], (uint32_t)(address / w->options.segment_size));
    assert_int_not_equal(physical, ARENA_NO_SEGMENT);
    return (unsigned char *)arena_segment(w->arena[which], physical) + address % w->options.segment_size;
}

void world_apply_effect(struct world *w, int to, const struct copy_effect *effect)
{
    if (effect->is_word) {
        memcpy(logical_memory(w, to, effect->address), &effect->word, sizeof effect->word);
        return;
    }
    uint64_t address = effect->address, left = effect->length;
    while (left > 0) {
        uint64_t piece = w->options.segment_size - address % w->options.segment_size;
        if (address >= COPY_ROOT_ADDRESS || piece > left)
            piece = left;
        memcpy(logical_memory(w, to, address), logical_memory(w, PRIMARY, address), piece);
        address += piece;
        left -= piece;
    }
}

void world_apply(struct world *w, const struct copy_change *change)
{
    assert_true(change->effect_count <= COPY_EFFECTS_MAX);
    unsigned count = change->effect_count;
    if (w->watch && count > 0 && w->watch(w, change, w->watch_context))
        --count;
    if (w->options.no_mirror)
        return;
    for (unsigned i = 0; i < count; ++i)
        world_apply_effect(w, MIRROR, &change->effects[i]);
}

/* ---- Publishing ---- */

void world_publish(struct world *w, uint32_t index)
{
    struct pending_change **at = &w->pending;
    for (uint32_t i = 0; i < index; ++i)
        at = &(*at)->next;
    struct pending_change *pending = *at;
    struct model_value *published = &w->published[pending->key];
    copy_publish(w->copy[PRIMARY], &pending->change);
    if (pending->value.version > published->version)
        *published = pending->value;
    *at = pending->next;
    w->pending_count--;
    free(pending);
}

void world_drain(struct world *w)
{
    while (w->pending)
        world_publish(w, 0);
}

/* Note a staged change in the model, give it to the mirror and publish it, now or later. */
static void go_on(struct world *w, uint32_t key, struct pending_change *pending,
                  const struct model_value *value)
{
    w->changing_key = key;
    w->changing = *value;
    world_apply(w, &pending->change);
    w->changing_key = NO_KEY;
    w->entries = w->entries + value->present - w->newest[key].present;
    w->newest[key] = *value;
    pending->key = key;
    pending->value = *value;
    pending->next = NULL;
    struct pending_change **end = &w->pending;
    while (*end)
        end = &(*end)->next;
    *end = pending;
    w->pending_count++;
    while (w->pending_count > 0 && w->pending_count >= world_below(w, w->options.pending + 1))
        world_publish(w, world_below(w, 3) ? 0 : world_below(w, w->pending_count));
}

/* ---- Room ---- */

static bool attach_all(struct world *w, uint32_t logical, bool urgent)
{
    for (int which = 0; which < WORLD_COPIES; ++which) {
        if (!w->copy[which])
            continue;
        uint32_t physical = arena_take(w->arena[which], urgent ? ARENA_URGENT : ARENA_ORDINARY);
        if (physical != ARENA_NO_SEGMENT && copy_attach(w->copy[which], logical, physical,
                                                        urgent ? ARENA_URGENT : ARENA_ORDINARY) == BELAY_OK)
            continue;
        if (physical != ARENA_NO_SEGMENT)
            arena_give(w->arena[which], physical, 1);
        while (which-- > 0)
            assert_int_equal(copy_detach(w->copy[which], logical), BELAY_OK);
        return false;
    }
    return true;
}

static void detach_all(struct world *w, uint32_t logical)
{
    for (int which = 0; which < WORLD_COPIES; ++which)
        if (w->copy[which])
            assert_int_equal(copy_detach(w->copy[which], logical), BELAY_OK);
}

static void release_spare(struct world *w)
{
    uint32_t logical;
    while (copy_releasable(w->copy[PRIMARY], &logical))
        detach_all(w, logical);
}

void world_collect(struct world *w)
{
    uint32_t logical;
    if (w->fence)
        w->fence(w, w->watch_context);
    while (copy_next_freed(w->copy[PRIMARY], &logical))
        copy_recycle(w->copy[PRIMARY], logical);
}

static int provide(struct world *w, size_t bytes, bool urgent)
{
    for (int rounds = 0;; ++rounds) {
        assert_true(rounds < 100000);
        uint32_t first, count;
        copy_wanted(w->copy[PRIMARY], bytes, &first, &count);
        if (count == 0)
            return BELAY_OK;
        w->urgent += urgent;
        uint32_t attached = 0;
        while (attached < count && attach_all(w, first + attached, urgent))
            ++attached;
        bool short_of_room = attached < count;
        while (short_of_room && attached-- > 0)
            detach_all(w, first + attached);
        if (short_of_room && (urgent || !world_sweep(w)))
            return BELAY_ERR_NO_SPACE;
    }
}

int world_clean(struct world *w, bool under_pressure)
{
    for (int rounds = 0;; ++rounds) {
        assert_true(rounds < 1000);
        struct copy_change change;
        int result = copy_clean(w->copy[PRIMARY], under_pressure, &change);
        if (result == COPY_NEEDS_SEGMENTS) {
            result = provide(w, copy_clean_bytes(w->copy[PRIMARY]), true);
        } else if (result == COPY_NEEDS_DRAIN) {
            world_drain(w);
            result = BELAY_OK;
        } else {
            if (result == BELAY_OK && change.effect_count > 0) {
                world_apply(w, &change);
                copy_publish(w->copy[PRIMARY], &change);
            }
            return result;
        }
        if (result != BELAY_OK)
            return result;
    }
}

bool world_sweep(struct world *w)
{
    uint32_t before = arena_free_segments(w->arena[PRIMARY]);
    for (int i = 0; i < 100000; ++i) {
        int result = world_clean(w, true);
        world_drain(w);
        world_collect(w);
        if (result != BELAY_OK)
            break;
        release_spare(w);
        if (arena_free_segments(w->arena[PRIMARY]) > before)
            break;
    }
    release_spare(w);
    return arena_free_segments(w->arena[PRIMARY]) > before;
}

/* Do what a copy asks for. @return BELAY_OK: try again. */
static int satisfy(struct world *w, int result, size_t bytes, uint32_t key, bool urgent)
{
    if (result == COPY_NEEDS_SEGMENTS)
        return provide(w, bytes, urgent);
    if (result == COPY_NEEDS_DRAIN) {
        world_drain(w);
        return BELAY_OK;
    }
    if (result != COPY_NEEDS_SPLIT)
        return result;
    struct copy_change change;
    result = copy_split(w->copy[PRIMARY], key_hash(w, key), &change);
    if (result == BELAY_OK) {
        world_apply(w, &change);
        copy_publish(w->copy[PRIMARY], &change);
        return BELAY_OK;
    }
    return result == COPY_NEEDS_SPLIT ? BELAY_ERR_INVALID : satisfy(w, result, 0, key, urgent);
}

/* ---- Operations ---- */

static struct copy_origin origin_of(const struct world *w)
{
    return (struct copy_origin){.client = 7, .number = (uint32_t)copy_version(w->copy[PRIMARY])};
}

/* When an entry with this value ends; of every third never. */
static uint64_t ends_of(const struct world *w, uint64_t seed)
{
    return w->options.ends && seed % 3 != 0 ? seed : 0;
}

int world_put_bytes(struct world *w, uint32_t key, const void *value, uint32_t length, uint64_t seed)
{
    unsigned char key_memory[BELAY_KEY_MAX];
    size_t key_length = key_bytes(w, key, key_memory);
    uint64_t hash = key_hash(w, key);
    struct pending_change *pending = malloc(sizeof *pending);
    int result;
    do
        result = copy_put(w->copy[PRIMARY], hash, key_memory, key_length, value, length, ends_of(w, seed),
                          origin_of(w), &pending->change);
    while (result != BELAY_OK &&
           (result = satisfy(w, result, copy_entry_size(key_length, length, true), key, false)) == BELAY_OK);
    if (result != BELAY_OK) {
        free(pending);
        return result;
    }
    go_on(w, key, pending, &(struct model_value){pending->change.version, seed, length, true});
    return BELAY_OK;
}

int world_put(struct world *w, uint32_t key, uint32_t length)
{
    unsigned char *value = malloc(length + 1);
    uint64_t seed = world_random(w);
    value_bytes(seed, value, length);
    int result = world_put_bytes(w, key, value, length, seed);
    free(value);
    return result;
}

int world_remove(struct world *w, uint32_t key)
{
    unsigned char key_memory[BELAY_KEY_MAX];
    size_t key_length = key_bytes(w, key, key_memory);
    struct pending_change *pending = malloc(sizeof *pending);
    int result;
    do
        result = copy_remove(w->copy[PRIMARY], key_hash(w, key), key_memory, key_length, origin_of(w),
                             &pending->change);
    while (result != BELAY_OK &&
           (result = satisfy(w, result, copy_entry_size(key_length, 0, false), key, true)) == BELAY_OK);
    assert_int_equal(result != BELAY_ERR_NOT_FOUND, w->newest[key].present);
    if (result != BELAY_OK) {
        free(pending);
        return result;
    }
    go_on(w, key, pending, &(struct model_value){.version = pending->change.version});
    return BELAY_OK;
}

int world_put_reserved(struct world *w, uint32_t key, uint32_t length, bool commit)
{
    unsigned char key_memory[BELAY_KEY_MAX];
    size_t key_length = key_bytes(w, key, key_memory), bytes = copy_entry_size(key_length, length, true);
    uint64_t seed = world_random(w), entry_at, value_at;
    struct copy_change change;
    int result;
    do
        result = copy_reserve(w->copy[PRIMARY], key_memory, key_length, length, w->options.ends, 1, &entry_at,
                              &value_at, &change);
    while (result != BELAY_OK && (result = satisfy(w, result, bytes, key, false)) == BELAY_OK);
    if (result != BELAY_OK)
        return result;
    world_apply(w, &change);
    if (!w->options.pending && world_below(w, 2))
        world_put(w, (key + 1) % w->options.keys, 40); /* life goes on meanwhile */
    unsigned char *value = malloc(length + 1);
    value_bytes(seed, value, length);
    uint32_t cut = length ? world_below(w, length) : 0;
    copy_fill(w->copy[PRIMARY], value_at, 0, value, cut);
    if (commit)
        copy_fill(w->copy[PRIMARY], value_at, cut, value + cut, length - cut);
    free(value);
    struct pending_change *pending = malloc(sizeof *pending);
    if (!commit) {
        assert_int_equal(copy_abandon(w->copy[PRIMARY], entry_at, &pending->change), BELAY_OK);
        world_apply(w, &pending->change);
        free(pending);
        return BELAY_OK;
    }
    do
        result = copy_commit(w->copy[PRIMARY], key_hash(w, key), key_memory, key_length, entry_at,
                             ends_of(w, seed), origin_of(w), &pending->change);
    while (result != BELAY_OK && (result = satisfy(w, result, bytes, key, false)) == BELAY_OK);
    if (result != BELAY_OK) {
        assert_int_equal(copy_abandon(w->copy[PRIMARY], entry_at, &pending->change), BELAY_OK);
        world_apply(w, &pending->change);
        free(pending);
        return result;
    }
    go_on(w, key, pending, &(struct model_value){pending->change.version, seed, length, true});
    return BELAY_OK;
}

int world_clear(struct world *w)
{
    bool finished = false;
    while (!finished) {
        struct copy_change change;
        int result = copy_clear(w->copy[PRIMARY], origin_of(w), &change, &finished);
        if (result == BELAY_OK) {
            world_apply(w, &change);
            copy_publish(w->copy[PRIMARY], &change);
        } else {
            result = satisfy(w, result, copy_entry_size(0, 0, false), 0, true);
            if (result != BELAY_OK)
                return result;
        }
    }
    memset(w->newest, 0, w->options.keys * sizeof *w->newest);
    memset(w->published, 0, w->options.keys * sizeof *w->published);
    w->entries = 0;
    return BELAY_OK;
}

/* ---- Checks ---- */

static void check_bytes(const struct model_value *model, const void *bytes, uint32_t key)
{
    if (!value_is(model->seed, bytes, model->length))
        fail_msg("key %u has wrong bytes (%u of them)", key, model->length);
}

static void check_reader(struct world *w, int which, uint32_t key, const void *key_memory, size_t key_length)
{
    const struct model_value *model = &w->published[key];
    struct read_key read_key = {key_hash(w, key), key_memory, key_length};
    struct read_result read;
    unsigned char *buffer = malloc(model->length + 1);
    int result = reader_get(&w->view[which], world_descriptor(w, which), &read_key, buffer, model->length,
                            &read);
    assert_int_equal(result, model->present ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    if (model->present) {
        assert_int_equal(read.version, model->version);
        assert_int_equal(read.value_length, model->length);
        assert_true(read.ends_at == ends_of(w, model->seed));
        check_bytes(model, buffer, key);
        result = reader_get(&w->view[which], world_descriptor(w, which), &read_key, NULL, 0, &read);
        assert_int_equal(result, model->length ? BELAY_ERR_TRUNCATED : BELAY_OK);
        assert_int_equal(read.value_length, model->length);
    }
    free(buffer);
}

void check_key(struct world *w, uint32_t key)
{
    const struct model_value *model = &w->newest[key];
    unsigned char key_memory[BELAY_KEY_MAX];
    size_t key_length = key_bytes(w, key, key_memory);
    struct copy_found found;
    int result = copy_find(w->copy[PRIMARY], key_hash(w, key), key_memory, key_length, &found);
    assert_int_equal(result, model->present ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    if (model->present) {
        assert_int_equal(found.version, model->version);
        assert_int_equal(found.value_length, model->length);
        assert_true(found.ends_at == ends_of(w, model->seed));
        unsigned char *value = malloc(model->length + 1);
        copy_value(w->copy[PRIMARY], &found, 0, value, model->length);
        check_bytes(model, value, key);
        if (model->length > 1) { /* a part of it */
            uint32_t from = world_below(w, model->length), part = world_below(w, model->length - from) + 1;
            unsigned char *some = malloc(part);
            copy_value(w->copy[PRIMARY], &found, from, some, part);
            assert_memory_equal(some, value + from, part);
            free(some);
        }
        free(value);
    }
    check_reader(w, PRIMARY, key, key_memory, key_length);
}

void check_all(struct world *w)
{
    for (uint32_t key = 0; key < w->options.keys; ++key)
        check_key(w, key);
    assert_int_equal(copy_entries(w->copy[PRIMARY]), w->entries);
    struct copy_check check;
    copy_check(w->copy[PRIMARY], &check);
    assert_int_equal(check.damaged, 0);
    if (!w->pending)
        assert_int_equal(check.entries, w->entries);
}

void check_mirror(struct world *w)
{
    assert_null(w->pending);
    assert_int_equal(copy_logical_end(w->copy[PRIMARY]), copy_logical_end(w->copy[MIRROR]));
    for (uint32_t s = 0; s < copy_logical_end(w->copy[PRIMARY]); ++s) {
        bool attached = copy_physical(w->copy[PRIMARY], s) != ARENA_NO_SEGMENT;
        assert_int_equal(attached, copy_physical(w->copy[MIRROR], s) != ARENA_NO_SEGMENT);
        if (!attached)
            continue;
        uint64_t address = (uint64_t)s * w->options.segment_size;
        const unsigned char *mine = logical_memory(w, PRIMARY, address),
                            *mirrored = logical_memory(w, MIRROR, address);
        for (size_t i = 0; i < w->options.segment_size; ++i)
            if (mine[i] != mirrored[i])
                fail_msg("the mirror differs in segment %u at %zu", s, i);
        assert_int_equal(copy_digest(w->copy[PRIMARY], s), copy_digest(w->copy[MIRROR], s));
    }
    assert_memory_equal(world_descriptor(w, PRIMARY), world_descriptor(w, MIRROR), sizeof(struct copy_root));
    assert_int_equal(copy_digest(w->copy[PRIMARY], UINT32_MAX), copy_digest(w->copy[MIRROR], UINT32_MAX));
}
