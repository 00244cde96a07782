/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The primary dies anywhere: for every prefix of the effects of a change, and within a range, the mirror's copy is rebuilt.
 * It must hold the state before or after that change for its key, exactly the model's for all others, and work as primary.
 */
#include "copy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { LATE_MAX = 40 };

/* What the watcher knows of the history. */
struct crashes {
    unsigned char *region;             /* the mirror's bytes at the time of the crash */
    struct copy_effect late[LATE_MAX]; /* slots that backups get late, behind the entries of later changes */
    unsigned late_count, late_limit;
    bool clearing, splits_only;
    unsigned long rebuilt, repaired;
};

/* ---- A backup that was left alone ---- */

struct survivor {
    arena *arena;
    copy *copy;
    struct arena_view view;
};

static void open_survivor(struct world *w, struct crashes *crashes, struct survivor *s)
{
    assert_int_equal(arena_create(crashes->region, w->region_size, w->options.segment_size, &s->arena),
                     BELAY_OK);
    uint32_t total = arena_total_segments(s->arena);
    bool *used = calloc(total, sizeof *used);
    for (uint32_t i = 0; i < total; ++i)
        assert_int_not_equal(arena_take(s->arena, ARENA_URGENT), ARENA_NO_SEGMENT);
    assert_int_equal(
        copy_create(s->arena, w->descriptor_offset[MIRROR], 1, 2, w->options.seal_whole, &s->copy), BELAY_OK);
    copy_serve(s->copy, COPY_SERVES);
    for (uint32_t logical = 0; logical < copy_logical_end(w->copy[MIRROR]); ++logical) {
        uint32_t physical = copy_physical(w->copy[MIRROR], logical);
        if (physical == ARENA_NO_SEGMENT)
            continue;
        used[physical] = true;
        assert_int_equal(copy_attach(s->copy, logical, physical, ARENA_URGENT), BELAY_OK);
    }
    used[(w->descriptor_offset[MIRROR] - arena_segment_offset(s->arena, 0)) / w->options.segment_size] = true;
    for (int i = 0; i < TABLE_INDIRECT; ++i)
        if (world_descriptor(w, MIRROR)->indirect[i])
            used[world_descriptor(w, MIRROR)->indirect[i] - 1] = true;
    for (uint32_t i = 0; i < total; ++i)
        if (!used[i])
            arena_give(s->arena, i, 1);
    free(used);
    assert_int_equal(arena_view_make(crashes->region, w->region_size, arena_header_of(s->arena), &s->view),
                     BELAY_OK);
}

static void close_survivor(struct survivor *s)
{
    copy_destroy(s->copy);
    arena_destroy(s->arena);
}

/* ---- Its state ---- */

static bool holds(struct world *w, struct survivor *s, uint32_t key, const struct model_value *model)
{
    unsigned char key_memory[BELAY_KEY_MAX];
    size_t key_length = key_bytes(w, key, key_memory);
    struct copy_found found;
    int result = copy_find(s->copy, key_hash(w, key), key_memory, key_length, &found);
    const struct copy_descriptor *descriptor = (const void *)(s->view.base + w->descriptor_offset[MIRROR]);
    struct read_key read_key = {key_hash(w, key), key_memory, key_length};
    struct read_result read;
    int seen = reader_get(&s->view, descriptor, &read_key, NULL, 0, &read);
    assert_int_equal(seen == BELAY_ERR_NOT_FOUND, result == BELAY_ERR_NOT_FOUND);
    if (result != BELAY_OK)
        return !model->present;
    if (!model->present || found.version != model->version || found.value_length != model->length)
        return false;
    assert_int_equal(read.version, found.version);
    unsigned char *value = malloc(found.value_length + 1);
    copy_value(s->copy, &found, 0, value, found.value_length);
    bool same = value_is(model->seed, value, found.value_length);
    free(value);
    return same;
}

static void check_survivor(struct world *w, struct survivor *s, const struct copy_change *change,
                           bool cleared)
{
    uint64_t entries = 0;
    static const struct model_value absent = {0};
    for (uint32_t key = 0; key < w->options.keys; ++key) {
        const struct model_value *newest = cleared ? &absent : &w->newest[key];
        bool as_before = holds(w, s, key, newest);
        bool changed = change->slot_at != 0 && w->changing_key == key && holds(w, s, key, &w->changing);
        if (!as_before && !changed)
            fail_msg("key %u of version %lu is neither old nor new", key, (unsigned long)newest->version);
        entries += changed ? w->changing.present : newest->present;
    }
    assert_int_equal(copy_entries(s->copy), entries);
    struct copy_check check;
    copy_check(s->copy, &check);
    assert_int_equal(check.damaged, 0);
    assert_int_equal(check.entries, entries);
    assert_true(copy_version(s->copy) + 1 >= change->version);
}

static int survivor_put(struct world *w, struct survivor *s, uint32_t key, const void *value, uint32_t length)
{
    unsigned char key_memory[BELAY_KEY_MAX];
    size_t key_length = key_bytes(w, key, key_memory);
    for (int i = 0; i < 100; ++i) {
        struct copy_change change;
        int result = copy_put(s->copy, key_hash(w, key), key_memory, key_length, value, length, 0,
                              (struct copy_origin){0}, &change);
        if (result == COPY_NEEDS_SPLIT)
            result = copy_split(s->copy, key_hash(w, key), &change);
        else if (result == BELAY_OK) {
            copy_publish(s->copy, &change);
            return BELAY_OK;
        }
        if (result == COPY_NEEDS_SEGMENTS) {
            uint32_t first, count;
            copy_wanted(s->copy, copy_entry_size(key_length, length, false), &first, &count);
            if (count == 0)
                copy_wanted(s->copy, 0, &first, &count);
            for (uint32_t n = 0; n < count; ++n) {
                uint32_t physical = arena_take(s->arena, ARENA_URGENT);
                if (physical == ARENA_NO_SEGMENT)
                    return BELAY_ERR_NO_SPACE;
                assert_int_equal(copy_attach(s->copy, first + n, physical, ARENA_URGENT), BELAY_OK);
            }
        } else if (result != BELAY_OK)
            return result;
    }
    return BELAY_ERR_INVALID;
}

/* The survivor is a primary like any other. */
static void use_survivor(struct world *w, struct survivor *s)
{
    unsigned char value[3000];
    for (int i = 0; i < 6; ++i) {
        uint32_t key = world_below(w, w->options.keys), length = (uint32_t)i * 500;
        struct model_value model = {.seed = world_random(w), .length = length, .present = true};
        value_bytes(model.seed, value, length);
        int result = survivor_put(w, s, key, value, length);
        if (result == BELAY_ERR_NO_SPACE)
            break;
        assert_int_equal(result, BELAY_OK);
        model.version = copy_version(s->copy);
        assert_true(holds(w, s, key, &model));
        struct copy_change change;
        while (copy_clean(s->copy, true, &change) == BELAY_OK)
            copy_publish(s->copy, &change);
        assert_true(holds(w, s, key, &model));
    }
    struct copy_check check;
    copy_check(s->copy, &check);
    assert_int_equal(check.damaged, 0);
    assert_int_equal(check.entries, copy_entries(s->copy));
}

static void rebuild_and_check(struct world *w, struct crashes *crashes, const struct copy_change *change)
{
    struct survivor s;
    uint64_t repaired;
    open_survivor(w, crashes, &s);
    assert_int_equal(copy_rebuild(s.copy, &repaired), BELAY_OK);
    crashes->rebuilt++;
    crashes->repaired += repaired > 0;
    bool cleared = crashes->clearing && copy_entries(s.copy) == 0;
    check_survivor(w, &s, change, cleared);
    /* Once more: nothing is left to repair. */
    assert_int_equal(copy_rebuild(s.copy, &repaired), BELAY_OK);
    assert_int_equal(repaired, 0);
    check_survivor(w, &s, change, cleared);
    use_survivor(w, &s);
    close_survivor(&s);
}

/* ---- The moment ---- */

static unsigned char *survivor_memory(struct world *w, struct crashes *crashes, uint64_t address)
{
    if (address >= COPY_ROOT_ADDRESS)
        return crashes->region + w->descriptor_offset[MIRROR] + (address - COPY_ROOT_ADDRESS);
    uint32_t physical = copy_physical(w->copy[MIRROR], (uint32_t)(address / w->options.segment_size));
    return crashes->region + arena_segment_offset(w->arena[MIRROR], physical) +
           address % w->options.segment_size;
}

static const unsigned char *primary_memory(struct world *w, uint64_t address)
{
    const unsigned char *region = w->region[PRIMARY];
    if (address >= COPY_ROOT_ADDRESS)
        return region + w->descriptor_offset[PRIMARY] + (address - COPY_ROOT_ADDRESS);
    uint32_t physical = copy_physical(w->copy[PRIMARY], (uint32_t)(address / w->options.segment_size));
    return region + arena_segment_offset(w->arena[PRIMARY], physical) + address % w->options.segment_size;
}

/* An effect of which a part arrives, in aligned words: its beginning, its end, or any of them. */
static void apply_torn(struct world *w, struct crashes *crashes, const struct copy_effect *effect)
{
    unsigned how = world_below(w, 4);
    uint64_t cut = world_random(w) % (effect->length + 1);
    for (uint64_t i = 0; i < effect->length;) {
        uint64_t address = effect->address + i, word = 8 - address % 8;
        if (word > effect->length - i)
            word = effect->length - i;
        bool arrives = how == 0 ? i < cut : how == 1 ? i >= cut : world_below(w, how == 2 ? 2 : 10) == 0;
        if (arrives)
            memcpy(survivor_memory(w, crashes, address), primary_memory(w, address), word);
        i += word;
    }
}

static void apply_whole(struct world *w, struct crashes *crashes, const struct copy_effect *effect)
{
    if (effect->is_word) {
        memcpy(survivor_memory(w, crashes, effect->address), &effect->word, 8);
        return;
    }
    for (uint64_t i = 0, piece; i < effect->length; i += piece) {
        piece = w->options.segment_size - (effect->address + i) % w->options.segment_size;
        if (effect->address >= COPY_ROOT_ADDRESS || piece > effect->length - i)
            piece = effect->length - i;
        memcpy(survivor_memory(w, crashes, effect->address + i), primary_memory(w, effect->address + i),
               piece);
    }
}

static void mirror_as_of_now(struct world *w, struct crashes *crashes)
{
    memcpy(crashes->region, w->region[MIRROR], w->region_size);
}

/* Slots under way arrive in order; a random number of them has. */
static void some_late_slots(struct world *w, struct crashes *crashes)
{
    unsigned arrived = world_below(w, crashes->late_count + 1);
    for (unsigned i = 0; i < arrived; ++i)
        apply_whole(w, crashes, &crashes->late[i]);
}

static void flush_late(struct world *w, void *context)
{
    struct crashes *crashes = context;
    for (unsigned i = 0; i < crashes->late_count; ++i)
        world_apply_effect(w, MIRROR, &crashes->late[i]);
    crashes->late_count = 0;
}

static bool crash_within(struct world *w, const struct copy_change *change, void *context)
{
    struct crashes *crashes = context;
    if (crashes->splits_only && change->slot_at != 0)
        return false;
    const struct copy_effect *last = &change->effects[change->effect_count - 1];
    bool single = change->slot_at != 0 && change->version == copy_version(w->copy[PRIMARY]);
    if (!single) /* a split, a move, a clear: behind all slots */
        flush_late(w, crashes);
    for (unsigned i = 0; i <= change->effect_count; ++i) {
        for (unsigned torn = 0; torn < 3; ++torn) {
            if (torn && (i == change->effect_count || change->effects[i].is_word))
                break;
            mirror_as_of_now(w, crashes);
            if (i == change->effect_count)
                for (unsigned n = 0; n < crashes->late_count; ++n)
                    apply_whole(w, crashes, &crashes->late[n]);
            else
                some_late_slots(w, crashes);
            for (unsigned n = 0; n < i; ++n)
                apply_whole(w, crashes, &change->effects[n]);
            if (torn)
                apply_torn(w, crashes, &change->effects[i]);
            rebuild_and_check(w, crashes, change);
        }
    }
    if (!single || crashes->late_limit == 0)
        return false;
    /* The slot goes late: keep it back, and let the mirror have the rest. */
    if (crashes->late_count == crashes->late_limit)
        flush_late(w, crashes);
    crashes->late[crashes->late_count++] = *last;
    return true;
}

/* ---- Histories ---- */

static uint32_t any_length(struct world *w)
{
    switch (world_below(w, 8)) {
    case 0: return 0;
    case 1: return world_below(w, 3 * 4096);
    case 2: return 3000 + world_below(w, 1200);
    case 3: return 950 + world_below(w, 80);
    default: return world_below(w, 300);
    }
}

static void run(uint64_t seed, const struct world_options *options, unsigned late, unsigned operations,
                bool clears)
{
    struct world w;
    struct crashes crashes = {.late_limit = late};
    world_open(&w, options, seed);
    crashes.region = mmap(NULL, w.region_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    w.watch = crash_within;
    w.fence = flush_late;
    w.watch_context = &crashes;
    for (unsigned i = 0; i < operations; ++i) {
        uint32_t key = world_below(&w, options->keys), dice = world_below(&w, 100);
        if (dice < 55) {
            int result = world_put(&w, key, any_length(&w));
            assert_true(result == BELAY_OK || result == BELAY_ERR_NO_SPACE);
        } else if (dice < 75) {
            world_remove(&w, key);
        } else if (dice < 85) {
            int result = world_put_reserved(&w, key, any_length(&w), world_below(&w, 4) > 0);
            assert_true(result == BELAY_OK || result == BELAY_ERR_NO_SPACE);
        } else if (dice < 98) {
            for (unsigned n = world_below(&w, 8); n > 0; --n)
                world_clean(&w, true);
        } else if (clears) {
            crashes.clearing = true;
            assert_int_equal(world_clear(&w), BELAY_OK);
            crashes.clearing = false;
        }
        if (dice % 4 == 0) {
            world_collect(&w);
        }
    }
    flush_late(&w, &crashes);
    world_drain(&w);
    check_all(&w);
    check_mirror(&w);
    assert_true(crashes.rebuilt > operations);
    assert_true(crashes.repaired > operations / 4);
    munmap(crashes.region, w.region_size);
    world_close(&w);
}

static void any_moment_of_any_history(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        struct world_options options = {.segment_size = 4096,
                                        .segments = seed % 2 ? 60 : 120,
                                        .keys = 25,
                                        .key_length = seed % 3 ? 16 : 0,
                                        .seal_whole = seed % 4 < 2,
                                        .pending = seed % 5 < 3 ? 0 : 6,
                                        .ends = seed % 7 < 4};
        run(seed, &options, seed % 3 == 0 ? 0 : 12, 250, seed % 2);
    }
}

static void any_moment_of_a_split(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; ++seed) {
        struct world w;
        struct world_options options = {.segment_size = 4096, .segments = 700, .keys = 9000, .key_length = 8};
        struct crashes crashes = {0};
        world_open(&w, &options, seed);
        crashes.region = mmap(NULL, w.region_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                              0);
        w.watch_context = &crashes;
        uint32_t size = 64;
        for (uint32_t key = 0; key < options.keys; ++key) {
            /* Only every some key, and only splits in between: the rest has been seen. */
            w.watch = key >= size || key % 997 == 0 ? crash_within : NULL;
            if (key >= size)
                size = size * 5 / 4;
            crashes.splits_only = key % 997 != 0;
            assert_int_equal(world_put(&w, key, 1), BELAY_OK);
        }
        assert_true(crashes.rebuilt > 30);
        check_all(&w);
        check_mirror(&w);
        munmap(crashes.region, w.region_size);
        world_close(&w);
    }
}

/* ---- What outlives a clear ---- */

static bool keep_back_slot(struct world *w, const struct copy_change *change, void *context)
{
    (void)w;
    (void)context;
    return change->slot_at != 0;
}

static void expect_only_own(struct world *w, int which)
{
    unsigned char bytes[BELAY_KEY_MAX];
    for (uint32_t key = 0; key < w->options.keys; ++key) {
        struct copy_found found;
        size_t length = key_bytes(w, key, bytes);
        int result = copy_find(w->copy[which], key_hash(w, key), bytes, length, &found);
        assert_int_equal(result, key < w->options.own_keys ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    }
    assert_int_equal(copy_entries(w->copy[which]), w->options.own_keys);
}

/* The first step of a clear only says that everything goes: the backup has to do it. Some of the slots have come there, or all. */
static void own_keys_outlive_a_clear(void **state)
{
    (void)state;
    for (unsigned late = 0; late < 2; ++late) {
        struct world w;
        struct world_options options = {
            .segment_size = 4096, .segments = 60, .keys = 25, .key_length = 24, .own_keys = 8};
        struct copy_change change;
        uint64_t repaired;
        bool finished = false;
        world_open(&w, &options, 1);
        for (uint32_t key = 0; key < options.keys; ++key) {
            w.watch = late && key > 5 ? keep_back_slot : NULL;
            assert_int_equal(world_put(&w, key, 100), BELAY_OK);
        }
        w.watch = NULL;
        assert_int_equal(copy_clear(w.copy[PRIMARY], (struct copy_origin){0}, &change, &finished), BELAY_OK);
        world_apply(&w, &change);
        assert_false(finished);
        assert_true(copy_is_clearing(w.copy[PRIMARY]));
        while (!finished)
            assert_int_equal(copy_clear(w.copy[PRIMARY], (struct copy_origin){0}, &change, &finished),
                             BELAY_OK);
        assert_false(copy_is_clearing(w.copy[PRIMARY]));
        expect_only_own(&w, PRIMARY);
        assert_int_equal(copy_rebuild(w.copy[MIRROR], &repaired), BELAY_OK);
        expect_only_own(&w, MIRROR);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_moment_of_any_history),
        cmocka_unit_test(any_moment_of_a_split),
        cmocka_unit_test(own_keys_outlive_a_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
