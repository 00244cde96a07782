/* SPDX-License-Identifier: BSD-3-Clause */
#include "fabric/ring.h"

#include "belay.h"
#include "fabric/shared_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { READER = 77 };

struct ring {
    struct ring_ends ends;
    int file;
    unsigned char *bytes;
    struct ring_writer writer;
    struct ring_reader reader;
};

static int ring_make(void **state)
{
    struct ring *ring = aligned_alloc(RING_LINE, sizeof *ring);
    void *bytes;
    assert_non_null(ring);
    memset(ring, 0, sizeof *ring);
    assert_int_equal(shared_memory_create("ring", RING_SIZE, &ring->file), BELAY_OK);
    assert_int_equal(shared_memory_map_ring(ring->file, 0, RING_SIZE, &bytes), BELAY_OK);
    ring->bytes = bytes;
    ring_writer_init(&ring->writer, &ring->ends, bytes, READER);
    ring_reader_init(&ring->reader, &ring->ends, bytes, READER);
    *state = ring;
    return 0;
}

static int ring_drop(void **state)
{
    struct ring *ring = *state;
    munmap(ring->bytes, 2 * RING_SIZE);
    close(ring->file);
    free(ring);
    return 0;
}

static bool put(struct ring *ring, unsigned char fill, size_t length)
{
    unsigned char text[FABRIC_MESSAGE_MAX];
    memset(text, fill, sizeof text);
    struct iovec part = {text, length};
    return ring_write(&ring->writer, &part, 1, length);
}

static enum ring_event look(struct ring *ring)
{
    const void *message;
    size_t length;
    return ring_read(&ring->reader, &message, &length);
}

static void take(struct ring *ring, unsigned char fill, size_t wanted)
{
    const unsigned char *bytes;
    const void *message;
    size_t length;
    assert_int_equal(ring_read(&ring->reader, &message, &length), RING_MESSAGE);
    assert_int_equal(length, wanted);
    bytes = message;
    for (size_t i = 0; i < length; ++i)
        assert_int_equal(bytes[i], fill);
    ring_release(&ring->reader, length);
}

static void a_ring_opens_with_its_first_message(void **state)
{
    struct ring *ring = *state;
    assert_int_equal(look(ring), RING_EMPTY);
    assert_true(put(ring, 1, 5));
    take(ring, 1, 5);
    assert_int_equal(look(ring), RING_EMPTY);
}

static void a_ring_for_another_life_of_the_reader_stays_closed(void **state)
{
    struct ring *ring = *state;
    ring->reader.self = READER + 1;
    assert_true(put(ring, 1, 5));
    assert_int_equal(look(ring), RING_EMPTY);
}

/* Messages full of ones: a word of an old message that is taken for a header shows up as malformed or as a message. */
static void old_bytes_are_never_taken_for_a_header(void **state)
{
    struct ring *ring = *state;
    unsigned seed = 1;
    for (int round = 0; round < 20000; ++round) {
        size_t length = (size_t)rand_r(&seed) % (round % 8 ? 300 : FABRIC_MESSAGE_MAX + 1);
        assert_true(put(ring, 0xff, length));
        take(ring, 0xff, length);
        assert_int_equal(look(ring), RING_EMPTY);
    }
}

/* The same words as real headers of the next lap: only clearing them helps. */
static void forged_headers_in_a_message_are_not_read(void **state)
{
    struct ring *ring = *state;
    uint64_t words[128];
    for (int lap = 0; lap < 3; ++lap) {
        for (uint64_t position = 0; position < RING_SIZE; position += 2 * RING_LINE) {
            uint64_t number = ((uint64_t)(lap + 1) * RING_SIZE + position + RING_LINE) / RING_LINE;
            for (int i = 0; i < 13; ++i)
                words[i] = number << 32 | 1u << 31 | 8;
            struct iovec part = {words, 13 * sizeof words[0]};
            assert_true(ring_write(&ring->writer, &part, 1, part.iov_len));
            const void *message;
            size_t length;
            assert_int_equal(ring_read(&ring->reader, &message, &length), RING_MESSAGE);
            assert_int_equal(length, part.iov_len);
            ring_release(&ring->reader, length);
            assert_int_equal(look(ring), RING_EMPTY);
        }
        assert_true(put(ring, 0, 0)); /* the next lap's headers lie on the lines of this lap's bodies */
        take(ring, 0, 0);
    }
}

static void a_full_ring_refuses_and_loses_nothing(void **state)
{
    struct ring *ring = *state;
    unsigned char sent = 0, taken = 0;
    for (int round = 0; round < 50; ++round) {
        while (put(ring, sent, 1000))
            ++sent;
        assert_true((unsigned char)(sent - taken) > 30);
        for (unsigned char until = sent; taken != until; ++taken)
            take(ring, taken, 1000);
        assert_int_equal(look(ring), RING_EMPTY);
    }
}

static void there_is_room_for_the_longest_message_when_all_are_taken(void **state)
{
    struct ring *ring = *state;
    for (int round = 0; round < 500; ++round) {
        assert_true(put(ring, 7, FABRIC_MESSAGE_MAX));
        take(ring, 7, FABRIC_MESSAGE_MAX);
        assert_true(put(ring, 8, (size_t)round));
        take(ring, 8, (size_t)round);
    }
}

static void a_starved_writer_is_to_be_woken(void **state)
{
    struct ring *ring = *state;
    const void *message;
    size_t length;
    int wakes = 0;
    while (put(ring, 1, 1000))
        ;
    ring_starve(&ring->writer, true);
    while (ring_read(&ring->reader, &message, &length) == RING_MESSAGE)
        wakes += ring_release(&ring->reader, length);
    assert_in_range(wakes, 1, 4);
    assert_true(put(ring, 1, 1000));
    ring_starve(&ring->writer, false);
    take(ring, 1, 1000);
    for (int round = 0; round < 200; ++round) {
        assert_true(put(ring, 1, 1000));
        assert_int_equal(ring_read(&ring->reader, &message, &length), RING_MESSAGE);
        assert_false(ring_release(&ring->reader, length));
    }
}

static void a_false_report_gains_no_room(void **state)
{
    struct ring *ring = *state;
    int fitted = 0;
    while (put(ring, 1, 1000))
        ++fitted;
    atomic_store(&ring->ends.consumed, UINT64_MAX);
    assert_false(put(ring, 1, 1000));
    atomic_store(&ring->ends.consumed, ring->writer.position + 1);
    assert_false(put(ring, 1, 1000));
    atomic_store(&ring->ends.consumed, 0);
    for (int i = 0; i < fitted; ++i)
        take(ring, 1, 1000);
    assert_int_equal(look(ring), RING_EMPTY);
}

static void malformed_headers_are_found(void **state)
{
    struct ring *ring = *state;
    assert_true(put(ring, 1, 100));
    uint64_t *header = (uint64_t *)(void *)ring->bytes;
    const uint64_t good = *header;
    const uint64_t bad[] = {good + 1 + FABRIC_MESSAGE_MAX - 100, /* too long */
                            good | 0x7fffffff,                   /* not a length */
                            good & ~(UINT64_C(1) << 31),         /* not marked */
                            good + (UINT64_C(1) << 32),          /* another line's */
                            1,
                            UINT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        *header = bad[i];
        assert_int_equal(look(ring), RING_MALFORMED);
    }
    *header = good;
    take(ring, 1, 100);
}

/* Around the ring several times, so that a message behind the next one also lies behind the ring's end. */
static void what_comes_behind_can_be_looked_at(void **state)
{
    struct ring *ring = *state;
    const void *message;
    size_t length;
    put(ring, 1, 8);
    take(ring, 1, 8);
    for (unsigned round = 0; round < 100; ++round) {
        uint64_t position = ring->reader.position;
        assert_false(ring_peek(&ring->reader, &position, &message, &length));
        for (unsigned char n = 0; n < 3; ++n)
            assert_true(put(ring, n, 1000 + n));
        for (unsigned char n = 0; n < 3; ++n) {
            assert_true(ring_peek(&ring->reader, &position, &message, &length));
            assert_int_equal(length, 1000 + n);
            assert_int_equal(((const unsigned char *)message)[length - 1], n);
        }
        assert_false(ring_peek(&ring->reader, &position, &message, &length));
        for (unsigned char n = 0; n < 3; ++n)
            take(ring, n, 1000 + n);
    }
    put(ring, 1, 8);
    uint64_t position = ring->reader.position, before = position;
    *(uint64_t *)(void *)(ring->bytes + position % RING_SIZE) = UINT64_MAX;
    assert_false(ring_peek(&ring->reader, &position, &message, &length));
    assert_int_equal(position, before);
}

static void the_end_comes_after_all_messages_also_of_a_full_ring(void **state)
{
    struct ring *ring = *state;
    int fitted = 0;
    while (put(ring, 1, 1000))
        ++fitted;
    ring_end(&ring->writer);
    for (int i = 0; i < fitted; ++i)
        take(ring, 1, 1000);
    assert_int_equal(look(ring), RING_END);
}

static void the_end_of_a_ring_that_never_opened_is_seen(void **state)
{
    struct ring *ring = *state;
    ring_end(&ring->writer);
    assert_int_equal(look(ring), RING_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_ring_opens_with_its_first_message, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(a_ring_for_another_life_of_the_reader_stays_closed, ring_make,
                                        ring_drop),
        cmocka_unit_test_setup_teardown(old_bytes_are_never_taken_for_a_header, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(forged_headers_in_a_message_are_not_read, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(a_full_ring_refuses_and_loses_nothing, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(there_is_room_for_the_longest_message_when_all_are_taken, ring_make,
                                        ring_drop),
        cmocka_unit_test_setup_teardown(a_starved_writer_is_to_be_woken, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(a_false_report_gains_no_room, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(malformed_headers_are_found, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(what_comes_behind_can_be_looked_at, ring_make, ring_drop),
        cmocka_unit_test_setup_teardown(the_end_comes_after_all_messages_also_of_a_full_ring, ring_make,
                                        ring_drop),
        cmocka_unit_test_setup_teardown(the_end_of_a_ring_that_never_opened_is_seen, ring_make, ring_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
