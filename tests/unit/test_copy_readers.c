/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers without a lock against a writer that updates, splits, cleans, recycles and gives memory away, in an arena so small
 * that torn reads are common. What they get must be whole, of the key, and never older than what they saw before.
 */
#include "copy_world.h"

#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { READERS = 2, KEPT_KEYS = 16, VALUE_MAX = 9000, RUN_MS = 2500, RUN_MAX_MS = 30000, FOUND_MIN = 1000 };

/* A value: its key, the seed of the rest, the rest. */
struct value_head {
    uint64_t key, seed;
};

struct reader {
    pthread_t thread;
    struct world *w;
    atomic_bool *stop;
    atomic_ulong found;
    unsigned long absent, again, retries, wrong;
    char complaint[200];
};

static void complain(struct reader *r, const char *what, uint32_t key)
{
    if (r->wrong++ == 0)
        snprintf(r->complaint, sizeof r->complaint, "key %u: %s", key, what);
}

static void check_value(struct reader *r, uint32_t key, const unsigned char *value,
                        const struct read_result *read, uint64_t *last_version)
{
    struct value_head head;
    memcpy(&head, value, sizeof head);
    if (read->version < *last_version)
        complain(r, "an older version than before", key);
    *last_version = read->version;
    if (read->value_length < sizeof head || head.key != key)
        complain(r, "a value of another key", key);
    else if (!value_is(head.seed, value + sizeof head, read->value_length - sizeof head))
        complain(r, "a torn value", key);
}

/* As of one key among many; much may happen between the steps. */
static int get_in_steps(struct reader *r, const struct read_key *key, unsigned char *value,
                        struct read_result *read)
{
    const struct arena_view *view = &r->w->view[PRIMARY];
    const struct copy_descriptor *descriptor = world_descriptor(r->w, PRIMARY);
    const slot_word *home = reader_prefetch_bucket(view, descriptor, key->hash);
    sched_yield();
    reader_prefetch_entry(view, descriptor, home, key->hash);
    return reader_get_ahead(view, descriptor, home, key, value, VALUE_MAX, read);
}

static void *read_for_ever(void *argument)
{
    struct reader *r = argument;
    struct world *w = r->w;
    uint64_t *versions = calloc(w->options.keys, sizeof *versions), random = (uintptr_t)r;
    unsigned char *value = malloc(VALUE_MAX), key_memory[BELAY_KEY_MAX];
    while (!atomic_load(r->stop)) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t key = (uint32_t)((random >> 33) % w->options.keys);
        struct read_key read_key = {key_hash(w, key), key_memory, key_bytes(w, key, key_memory)};
        struct read_result read;
        int result = READ_AGAIN;
        if (random & 1 << 20)
            result = get_in_steps(r, &read_key, value, &read);
        if (result == READ_AGAIN)
            result = reader_get(&w->view[PRIMARY], world_descriptor(w, PRIMARY), &read_key, value, VALUE_MAX,
                                &read);
        r->retries += read.retries;
        if (result == BELAY_OK) {
            r->found++;
            check_value(r, key, value, &read, &versions[key]);
        } else if (result == BELAY_ERR_NOT_FOUND) {
            r->absent++;
            if (key < KEPT_KEYS)
                complain(r, "not found, but it is always there", key);
        } else if (result == READ_AGAIN) {
            r->again++;
        } else {
            complain(r, "another result", key);
        }
    }
    free(value);
    free(versions);
    return NULL;
}

static void put_checked(struct world *w, uint32_t key, unsigned char *value)
{
    struct value_head head = {key, world_random(w)};
    uint32_t rest = world_below(w, 4) ? world_below(w, 300) : world_below(w, VALUE_MAX - sizeof head);
    memcpy(value, &head, sizeof head);
    value_bytes(head.seed, value + sizeof head, rest);
    int result = world_put_bytes(w, key, value, (uint32_t)sizeof head + rest, head.seed);
    assert_true(result == BELAY_OK || result == BELAY_ERR_NO_SPACE);
}

static unsigned long found_by_all(struct reader *readers)
{
    unsigned long found = 0;
    for (int i = 0; i < READERS; ++i)
        found += atomic_load(&readers[i].found);
    return found;
}

/* For some time, and on a busy machine until there was something to be seen. */
static void write_meanwhile(struct world *w, unsigned pending, struct reader *readers)
{
    unsigned char *value = malloc(VALUE_MAX);
    uint64_t end = clock_deadline(RUN_MS), last = clock_deadline(RUN_MAX_MS);
    for (unsigned i = 0;
         i % 64 || clock_now() < end || (found_by_all(readers) <= FOUND_MIN && clock_now() < last); ++i) {
        uint32_t key = world_below(w, w->options.keys), dice = world_below(w, 100);
        if (dice < 70)
            put_checked(w, key, value);
        else if (dice < 85 && key >= KEPT_KEYS)
            world_remove(w, key);
        else if (dice < 95)
            world_clean(w, true);
        else
            world_collect(w);
        if (pending && dice < 10)
            world_drain(w);
    }
    free(value);
}

static void run_readers(const struct world_options *options)
{
    struct world w;
    struct reader readers[READERS];
    atomic_bool stop = false;
    unsigned char *value = malloc(VALUE_MAX);
    memset(readers, 0, sizeof readers);
    world_open(&w, options, 11);
    for (uint32_t key = 0; key < KEPT_KEYS; ++key)
        put_checked(&w, key, value);
    world_drain(&w);
    for (int i = 0; i < READERS; ++i) {
        readers[i].w = &w;
        readers[i].stop = &stop;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_for_ever, &readers[i]), 0);
    }
    write_meanwhile(&w, options->pending, readers);
    atomic_store(&stop, true);
    unsigned long found = found_by_all(readers), again = 0;
    for (int i = 0; i < READERS; ++i) {
        pthread_join(readers[i].thread, NULL);
        if (readers[i].wrong)
            fail_msg("%lu wrong reads, the first: %s", readers[i].wrong, readers[i].complaint);
        again += readers[i].again;
        print_message("reader %d: %lu found, %lu absent, %lu gave up, %lu retries\n", i,
                      atomic_load(&readers[i].found), readers[i].absent, readers[i].again,
                      readers[i].retries);
    }
    assert_true(found > FOUND_MIN);
    assert_true(again < found / 10);
    world_drain(&w);
    free(value);
    world_close(&w);
}

static void hot_keys_in_a_tiny_arena(void **state)
{
    (void)state;
    struct world_options options = {
        .segment_size = 4096, .segments = 70, .keys = 24, .key_length = 16, .no_mirror = true};
    run_readers(&options);
}

static void growing_index(void **state)
{
    (void)state;
    struct world_options options = {.segment_size = 16384,
                                    .segments = 900,
                                    .keys = 20000,
                                    .key_length = 16,
                                    .no_mirror = true,
                                    .pending = 4};
    run_readers(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hot_keys_in_a_tiny_arena),
        cmocka_unit_test(growing_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
