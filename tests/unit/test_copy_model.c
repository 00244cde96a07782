/* SPDX-License-Identifier: BSD-3-Clause */
/* Random operations on a copy against a plain model, and its mirror against the copy, byte by byte. */
#include "copy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A length around which something changes: none, short, the end of a segment, many segments. */
static uint32_t any_length(struct world *w)
{
    uint32_t segment = (uint32_t)w->options.segment_size, near = world_below(w, 80);
    switch (world_below(w, 16)) {
    case 0: return 0;
    case 1: return 1;
    case 2: return 960 + near; /* sealed whole, or not */
    case 3: return segment - 64 + near;
    case 4: return 2 * segment - 100 + near;
    case 5: return world_below(w, 8 * segment);
    case 6: return world_below(w, segment);
    case 7: return world_below(w, 1000);
    default: return 64;
    }
}

struct mix {
    unsigned puts, removes, reserved, cleans, clears; /* of 1000 */
};

static void one_operation(struct world *w, const struct mix *mix)
{
    uint32_t key = world_below(w, w->options.keys), dice = world_below(w, 1000);
    if (dice < mix->puts)
        assert_int_equal(world_put(w, key, any_length(w)), BELAY_OK);
    else if ((dice -= mix->puts) < mix->removes)
        world_remove(w, key);
    else if ((dice -= mix->removes) < mix->reserved)
        assert_int_equal(world_put_reserved(w, key, any_length(w), world_below(w, 4) > 0), BELAY_OK);
    else if ((dice -= mix->reserved) < mix->cleans)
        world_clean(w, world_below(w, 2));
    else if ((dice -= mix->cleans) < mix->clears)
        assert_int_equal(world_clear(w), BELAY_OK);
    else
        check_key(w, key);
    if (world_below(w, 20) == 0)
        world_collect(w);
}

static void run_history(const struct world_options *options, const struct mix *mix, uint64_t seed,
                        unsigned operations)
{
    struct world w;
    world_open(&w, options, seed);
    for (unsigned i = 0; i < operations; ++i) {
        one_operation(&w, mix);
        if (i % (operations / 4 + 1) == 0) {
            check_all(&w);
            world_drain(&w);
            check_mirror(&w);
        }
    }
    world_drain(&w);
    check_all(&w);
    check_mirror(&w);
    world_close(&w);
}

static void histories_published_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        struct world_options options = {.segment_size = seed % 2 ? 4096 : 16384,
                                        .segments = 60000,
                                        .keys = seed % 3 ? 50 : 2000,
                                        .seal_whole = seed % 4 < 2,
                                        .ends = seed % 5 < 2};
        struct mix mix = {.puts = 600, .removes = 250};
        run_history(&options, &mix, seed, 1500);
    }
}

static void histories_with_pending_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        struct world_options options = {.segment_size = seed % 2 ? 4096 : 65536,
                                        .segments = seed % 2 ? 60000 : 4000,
                                        .keys = seed % 3 ? 12 : 1500,
                                        .seal_whole = seed % 4 < 2,
                                        .pending = 1 + (unsigned)seed * 2,
                                        .ends = seed % 2};
        struct mix mix = {.puts = 600, .removes = 250};
        run_history(&options, &mix, 100 + seed, 1500);
    }
}

static void histories_of_everything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 24; ++seed) {
        struct world_options options = {.segment_size = seed % 2 ? 4096 : 16384,
                                        .segments = 20000,
                                        .keys = seed % 3 ? 40 : 900,
                                        .seal_whole = seed % 4 < 2,
                                        .pending = seed % 5 < 2 ? 0 : (unsigned)seed,
                                        .ends = seed % 3 > 0};
        struct mix mix = {
            .puts = 450, .removes = 150, .reserved = 60, .cleans = 200, .clears = seed % 6 == 0 ? 5 : 0};
        run_history(&options, &mix, 200 + seed, 3000);
    }
}

static void index_grows_far_beyond_the_root(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {
        .segment_size = 4096, .segments = 60000, .keys = 700000, .key_length = 16, .pending = 0};
    world_open(&w, &options, 5);
    for (uint32_t key = 0; key < options.keys; ++key)
        assert_int_equal(world_put(&w, key, 8), BELAY_OK);
    assert_true(world_descriptor(&w, PRIMARY)->root.directory_segments >= 4);
    check_all(&w);
    check_mirror(&w);
    for (uint32_t key = 0; key < options.keys; key += 3)
        assert_int_equal(world_remove(&w, key), BELAY_OK);
    check_all(&w);
    check_mirror(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_published_at_once),
        cmocka_unit_test(histories_with_pending_changes),
        cmocka_unit_test(histories_of_everything),
        cmocka_unit_test(index_grows_far_beyond_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
