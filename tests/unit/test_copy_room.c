/* SPDX-License-Identifier: BSD-3-Clause */
/* Full arenas: room is made by cleaning, for ever; what does not fit fails by itself; removes always work. */
#include "copy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Put keys until their entries fill a share of the arena. @return how many keys. */
static uint32_t fill_to(struct world *w, uint32_t length, double share)
{
    uint64_t capacity = (uint64_t)w->options.segments * w->options.segment_size;
    uint32_t key = 0;
    while ((double)copy_bytes_live(w->copy[PRIMARY]) < share * (double)capacity) {
        assert_true(key < w->options.keys);
        assert_int_equal(world_put(w, key++, length), BELAY_OK);
    }
    return key;
}

static void overwrite_for_ever(size_t segment_size, uint32_t segments, uint32_t length, double share,
                               unsigned pending)
{
    struct world w;
    struct world_options options = {.segment_size = segment_size,
                                    .segments = segments,
                                    .keys = 100000,
                                    .key_length = 16,
                                    .pending = pending};
    world_open(&w, &options, length + segments);
    uint32_t keys = fill_to(&w, length, share);
    uint32_t writes = 12 * keys;
    for (uint32_t i = 0; i < writes; ++i) {
        /* Not always the same length, but the same on average. */
        uint32_t key = world_below(&w, keys);
        uint32_t varied = length < 100 ? length : w.newest[(key + 1) % keys].length;
        int result = world_put(&w, key, varied);
        if (result != BELAY_OK)
            fail_msg("put %u of %u: %d; %u keys of %u bytes, %u segments free", i, writes, result, keys,
                     length, arena_free_segments(w.arena[PRIMARY]));
        if (i % 64 == 0)
            world_collect(&w);
    }
    world_drain(&w);
    check_all(&w);
    check_mirror(&w);
    world_close(&w);
}

static void overwriting_at_80_percent_never_fails(void **state)
{
    (void)state;
    overwrite_for_ever(65536, 64, 64, 0.67, 0); /* and 15 % are index */
    overwrite_for_ever(4096, 600, 64, 0.67, 0); /* the same */
    overwrite_for_ever(4096, 600, 64, 0.67, 8);
    overwrite_for_ever(65536, 100, 1000, 0.8, 0);
    overwrite_for_ever(65536, 100, 20000, 0.75, 0);
    overwrite_for_ever(16384, 400, 20000, 0.75, 3);
}

static void a_full_arena_fails_that_put_only(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {.segment_size = 16384, .segments = 60, .keys = 20000, .key_length = 16};
    world_open(&w, &options, 3);
    uint32_t keys = 0;
    while (world_put(&w, keys, 200) == BELAY_OK)
        ++keys;
    assert_true(keys > 2500); /* of 3800 that would fit without index and held-back segments */
    for (int i = 0; i < 50; ++i)
        assert_int_equal(world_put(&w, keys + world_below(&w, 100), 200), BELAY_ERR_NO_SPACE);
    check_all(&w);
    check_mirror(&w);
    assert_int_equal(world_put(&w, 1, 300000), BELAY_ERR_NO_SPACE); /* much larger than what is left */
    check_all(&w);
    for (uint32_t key = 0; key < keys; ++key) {
        assert_int_equal(world_remove(&w, key), BELAY_OK);
        world_collect(&w);
    }
    check_all(&w);
    assert_int_equal(world_put(&w, 1, 300000), BELAY_OK);
    check_all(&w);
    check_mirror(&w);
    world_close(&w);
}

static void dead_segments_come_back_by_themselves(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {.segment_size = 16384, .segments = 2000, .keys = 300, .key_length = 16};
    world_open(&w, &options, 3);
    for (unsigned i = 0; i < 100000; ++i) {
        assert_int_equal(world_put(&w, world_below(&w, 300), 500), BELAY_OK);
        if (copy_worth_cleaning(w.copy[PRIMARY], false))
            assert_int_equal(world_clean(&w, false), BELAY_OK);
        world_collect(&w);
    }
    assert_true(copy_logical_end(w.copy[PRIMARY]) < 40); /* 10 segments of live entries */
    check_all(&w);
    check_mirror(&w);
    world_close(&w);
}

/* What a caller may have to be told whose change is not on all copies yet. */
static void a_result_stays_until_its_change_is_published(void **state)
{
    (void)state;
    enum { SEGMENT = 4096, ROUNDS = 20 };
    struct world w;
    struct world_options options = {
        .segment_size = SEGMENT, .segments = 400, .keys = 2, .key_length = 16, .no_mirror = true};
    unsigned char result[4016] = {0}; /* fills a segment, as does the entry behind it */
    unsigned char value[4000] = {0}, key[BELAY_KEY_MAX];
    world_open(&w, &options, 7);
    copy *c = w.copy[PRIMARY];
    assert_int_equal(world_put(&w, 0, 8), BELAY_OK);
    for (uint32_t logical = copy_logical_end(c), i = 0; i < 2 * ROUNDS; ++i)
        assert_int_equal(
            copy_attach(c, logical + i, arena_take(w.arena[PRIMARY], ARENA_URGENT), ARENA_URGENT), BELAY_OK);
    size_t key_length = key_bytes(&w, 1, key);
    for (uint32_t i = 1; i < ROUNDS; ++i) {
        struct copy_change kept, change;
        struct copy_origin origin = {1, i};
        uint32_t logical;
        assert_int_equal(copy_keep_result(c, origin, result, sizeof result, &kept), BELAY_OK);
        uint64_t kept_at = kept.effects[kept.effect_count - 1].address;
        assert_int_equal(
            copy_put(c, key_hash(&w, 1), key, key_length, value, sizeof value, 0, origin, &change), BELAY_OK);
        while (copy_next_freed(c, &logical))
            assert_int_not_equal(logical, kept_at / SEGMENT);
        copy_publish(c, &change);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overwriting_at_80_percent_never_fails),
        cmocka_unit_test(a_full_arena_fails_that_put_only),
        cmocka_unit_test(dead_segments_come_back_by_themselves),
        cmocka_unit_test(a_result_stays_until_its_change_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
