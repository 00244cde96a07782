/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries that end are found when their time is over, and not before: all of them, wherever the cleaner moves them to, and after the
 * copy was rebuilt. And those that were written first are found in their order, to make room. */
#include "copy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 600, EPOCHS = 8 };

/* The model's ends are spread over all 64 bits. */
static const uint64_t epoch = UINT64_MAX / EPOCHS;

static uint64_t end_of(const struct world *w, uint32_t key)
{
    const struct model_value *model = &w->newest[key];
    return model->present && model->seed % 3 != 0 ? model->seed : 0;
}

static uint32_t number_of(const struct world *w, const struct copy_key *ended)
{
    unsigned char bytes[BELAY_KEY_MAX];
    for (uint32_t key = 0; key < w->options.keys; ++key)
        if (key_hash(w, key) == ended->hash && key_bytes(w, key, bytes) == ended->length &&
            memcmp(bytes, ended->bytes, ended->length) == 0)
            return key;
    fail_msg("a key of nobody has ended");
    return 0;
}

static void remove_ended(struct world *w, uint64_t now)
{
    struct copy_key ended;
    uint64_t due_at;
    int result;
    do {
        unsigned looks = 1 + world_below(w, 100);
        result = copy_has_endings(w->copy[PRIMARY], &due_at) && due_at <= now
                     ? copy_next_ended(w->copy[PRIMARY], now, &looks, &ended)
                     : COPY_NOTHING;
        if (result == COPY_NEEDS_LOOKS)
            assert_int_equal(looks, 0);
        if (result != BELAY_OK)
            continue;
        uint32_t key = number_of(w, &ended);
        assert_true(end_of(w, key) != 0 && end_of(w, key) <= now);
        assert_int_equal(world_remove(w, key), BELAY_OK);
        if (world_below(w, 3) == 0) /* life goes on, in the segment being looked through too */
            world_put(w, world_below(w, KEYS), world_below(w, 300));
    } while (result != COPY_NOTHING);
}

static unsigned count_ended(const struct world *w, uint64_t now)
{
    unsigned count = 0;
    for (uint32_t key = 0; key < KEYS; ++key)
        count += end_of(w, key) != 0 && end_of(w, key) <= now;
    return count;
}

/* What ends while it is looked for is found by the next time, which is a second later. */
static void all_are_found(struct world *w, uint64_t now)
{
    enum { PASSES_MAX = 50 };
    const uint64_t second = 1000000001;
    for (unsigned pass = 0; count_ended(w, now) > 0; ++pass) {
        if (pass == PASSES_MAX)
            fail_msg("%u entries have ended and are not found", count_ended(w, now));
        remove_ended(w, now + pass * second);
    }
}

static void change_a_lot(struct world *w)
{
    for (unsigned i = 0; i < 2000; ++i) {
        uint32_t key = world_below(w, KEYS);
        if (world_below(w, 4) == 0)
            world_clean(w, true);
        else if (world_below(w, 10) == 0)
            world_put_reserved(w, key, world_below(w, 9000), true);
        else
            world_put(w, key, world_below(w, 300));
    }
    world_drain(w);
}

static void epochs_pass(bool rebuilt, size_t segment_size)
{
    struct world w;
    struct world_options options = {
        .segment_size = segment_size, .segments = 4000, .keys = KEYS, .ends = true, .seal_whole = rebuilt};
    world_open(&w, &options, 31 + rebuilt);
    for (uint64_t now = epoch; now <= epoch * (EPOCHS - 1); now += epoch) {
        change_a_lot(&w);
        uint64_t repaired;
        if (rebuilt)
            assert_int_equal(copy_rebuild(w.copy[PRIMARY], &repaired), BELAY_OK);
        unsigned ended = count_ended(&w, now);
        assert_true(ended > KEYS / 20);
        all_are_found(&w, now);
        check_all(&w);
        if (!rebuilt)
            check_mirror(&w);
    }
    world_close(&w);
}

static void all_that_ends_is_found(void **state)
{
    (void)state;
    epochs_pass(false, 4096);
    epochs_pass(false, 65536);
    epochs_pass(true, 4096);
}

static void what_does_not_end_costs_nothing(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {.segment_size = 4096, .segments = 400, .keys = 100, .no_mirror = true};
    uint64_t due_at;
    world_open(&w, &options, 3);
    for (uint32_t key = 0; key < 100; ++key)
        assert_int_equal(world_put(&w, key, 64), BELAY_OK);
    assert_false(copy_has_endings(w.copy[PRIMARY], &due_at));
    assert_int_equal(copy_entry_size(16, 64, false) + 8, copy_entry_size(16, 64, true));
    world_close(&w);
}

/* One turn. @return how many entries gave way. */
static unsigned evict(struct world *w, bool thorough, uint32_t *next)
{
    struct copy_key key;
    unsigned count = 0, looks;
    int result;
    if (!copy_evict_begin(w->copy[PRIMARY], thorough))
        return 0;
    do {
        looks = 1 + world_below(w, 20);
        result = copy_evict_next(w->copy[PRIMARY], &looks, &key);
        if (result != BELAY_OK)
            continue;
        if (world_below(w, 10) == 0) { /* not just now */
            copy_evict_again(w->copy[PRIMARY]);
            continue;
        }
        assert_int_equal(number_of(w, &key), (*next)++);
        assert_int_equal(world_remove(w, *next - 1), BELAY_OK);
        ++count;
    } while (result != COPY_NOTHING);
    return count;
}

static void the_oldest_give_way_in_their_order(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {.segment_size = 4096, .segments = 400, .keys = KEYS, .key_length = 16};
    uint32_t next = 0;
    world_open(&w, &options, 5);
    for (uint32_t key = 0; key < KEYS; ++key)
        assert_int_equal(world_put(&w, key, 100), BELAY_OK);
    uint64_t live = copy_bytes_live(w.copy[PRIMARY]);
    unsigned first = evict(&w, false, &next);
    assert_in_range(first, 1, KEYS / 4); /* a share */
    assert_true(copy_bytes_live(w.copy[PRIMARY]) < live);
    evict(&w, false, &next);
    assert_in_range(next, first + 1, KEYS / 2);
    world_collect(&w);
    check_all(&w);
    while (evict(&w, true, &next) > 0)
        world_collect(&w);
    assert_int_equal(next, KEYS);
    assert_int_equal(copy_bytes_live(w.copy[PRIMARY]), 0);
    assert_int_equal(world_put(&w, 3, 100), BELAY_OK);
    check_all(&w);
    check_mirror(&w);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_that_ends_is_found),
                                       cmocka_unit_test(what_does_not_end_costs_nothing),
                                       cmocka_unit_test(the_oldest_give_way_in_their_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
