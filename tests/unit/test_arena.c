/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy/arena.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { SEGMENT = 4096, SEGMENTS = 200 };

static unsigned char *region;
static arena *a;

static int open_arena(void **state)
{
    (void)state;
    region = mmap(NULL, (SEGMENTS + 1) * SEGMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return region == MAP_FAILED || arena_create(region, (SEGMENTS + 1) * SEGMENT, SEGMENT, &a) != BELAY_OK;
}

static int close_arena(void **state)
{
    (void)state;
    arena_destroy(a);
    return munmap(region, (SEGMENTS + 1) * SEGMENT);
}

static void every_segment_is_taken_once(void **state)
{
    (void)state;
    bool taken[SEGMENTS] = {false};
    assert_int_equal(arena_total_segments(a), SEGMENTS);
    for (int i = 0; i < SEGMENTS; ++i) {
        uint32_t segment = arena_take(a, ARENA_URGENT);
        assert_true(segment < SEGMENTS && !taken[segment]);
        taken[segment] = true;
        assert_int_equal(arena_free_segments(a), SEGMENTS - 1 - i);
        assert_ptr_equal(arena_segment(a, segment), region + arena_segment_offset(a, segment));
        assert_true(arena_segment_offset(a, segment) + SEGMENT <= arena_size(a));
    }
    assert_int_equal(arena_take(a, ARENA_URGENT), ARENA_NO_SEGMENT);
    assert_int_equal(arena_take_run(a, 1), ARENA_NO_SEGMENT);
    arena_give(a, 77, 1);
    assert_int_equal(arena_take(a, ARENA_URGENT), 77);
}

static void some_are_held_back_for_urgent_takers(void **state)
{
    (void)state;
    int taken = 0;
    while (arena_take(a, ARENA_ORDINARY) != ARENA_NO_SEGMENT)
        ++taken;
    assert_true(taken < SEGMENTS && taken >= SEGMENTS * 9 / 10);
    assert_int_equal(arena_take_run(a, 1), ARENA_NO_SEGMENT);
    assert_true(arena_is_short(a));
    int held_back = SEGMENTS - taken, for_cleaning = 0;
    while (arena_take(a, ARENA_CLEANING) != ARENA_NO_SEGMENT)
        ++for_cleaning;
    assert_true(for_cleaning > 0 && for_cleaning <= (held_back + 1) / 2);
    for (taken += for_cleaning; taken < SEGMENTS; ++taken)
        assert_int_not_equal(arena_take(a, ARENA_URGENT), ARENA_NO_SEGMENT);
}

static int ordinary_segments(void)
{
    uint32_t segments[SEGMENTS];
    int taken = 0;
    while ((segments[taken] = arena_take(a, ARENA_ORDINARY)) != ARENA_NO_SEGMENT)
        ++taken;
    for (int i = 0; i < taken; ++i)
        arena_give(a, segments[i], 1);
    return taken;
}

static void one_is_held_back_for_each_copy_up_to_a_bound(void **state)
{
    (void)state;
    int before = ordinary_segments();
    arena_count_copies(a, SEGMENTS / 12 + 2);
    assert_int_equal(ordinary_segments(), SEGMENTS - SEGMENTS / 12 - 2);
    arena_count_copies(a, 10 * SEGMENTS);
    assert_int_equal(ordinary_segments(), SEGMENTS - SEGMENTS / 8);
    arena_count_copies(a, -(SEGMENTS / 12 + 2) - 10 * SEGMENTS);
    assert_int_equal(ordinary_segments(), before);
}

static void segments_come_zeroed(void **state)
{
    (void)state;
    static const unsigned char zero[SEGMENT];
    uint32_t first = arena_take_run(a, 5);
    memset(arena_segment(a, first), 0xff, 5 * SEGMENT);
    arena_give(a, first, 5);
    for (int i = 0; i < SEGMENTS; ++i)
        assert_memory_equal(arena_segment(a, arena_take(a, ARENA_URGENT)), zero, SEGMENT);
}

static void runs_are_consecutive_and_fit_between_others(void **state)
{
    (void)state;
    uint32_t first = arena_take_run(a, 100);
    assert_int_not_equal(first, ARENA_NO_SEGMENT);
    assert_int_equal(arena_take_run(a, 100), ARENA_NO_SEGMENT); /* the held-back ones */
    uint32_t second = arena_take_run(a, 50);
    assert_true(second + 50 <= first || first + 100 <= second);
    arena_give(a, first + 10, 20);
    assert_int_equal(arena_take_run(a, 0), ARENA_NO_SEGMENT);
    for (int i = 0; i < 50 + 20; ++i) {
        uint32_t segment = arena_take(a, ARENA_URGENT);
        assert_true(segment < first || segment >= first + 100 ||
                    (segment >= first + 10 && segment < first + 30));
        assert_true(segment < second || segment >= second + 50);
    }
}

static void regions_that_cannot_be_arenas_are_refused(void **state)
{
    (void)state;
    arena *out;
    assert_int_equal(arena_create(region, 4 * SEGMENT, SEGMENT, &out), BELAY_ERR_INVALID);
    assert_int_equal(arena_create(region, SEGMENTS * SEGMENT, 5000, &out), BELAY_ERR_INVALID);
    assert_int_equal(arena_create(region, SEGMENTS * SEGMENT, 0, &out), BELAY_ERR_INVALID);
    assert_int_equal(arena_create(region, SEGMENTS * SEGMENT, 2048, &out), BELAY_ERR_INVALID);
    assert_int_equal(arena_create(region + 8, SEGMENTS * SEGMENT, SEGMENT, &out), BELAY_ERR_INVALID);
}

/* Each thread marks what it takes and finds its mark when it gives it back. */
static void *take_and_give(void *mark)
{
    uint32_t held[8];
    for (int round = 0; round < 3000; ++round) {
        int count = 0;
        for (; count < 8; ++count) {
            held[count] = count == 7 ? arena_take_run(a, 1) : arena_take(a, ARENA_ORDINARY);
            if (held[count] == ARENA_NO_SEGMENT)
                break;
            *(void **)arena_segment(a, held[count]) = mark;
        }
        while (count-- > 0) {
            if (*(void **)arena_segment(a, held[count]) != mark)
                return mark;
            arena_give(a, held[count], 1);
        }
    }
    return NULL;
}

static void threads_never_share_a_segment(void **state)
{
    (void)state;
    pthread_t threads[4];
    int marks[4];
    for (int i = 0; i < 4; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &marks[i]), 0);
    for (int i = 0; i < 4; ++i) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(arena_free_segments(a), SEGMENTS);
}

#define ARENA_TEST(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ARENA_TEST(every_segment_is_taken_once),
        ARENA_TEST(some_are_held_back_for_urgent_takers),
        ARENA_TEST(one_is_held_back_for_each_copy_up_to_a_bound),
        ARENA_TEST(segments_come_zeroed),
        ARENA_TEST(runs_are_consecutive_and_fit_between_others),
        ARENA_TEST(regions_that_cannot_be_arenas_are_refused),
        ARENA_TEST(threads_never_share_a_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
