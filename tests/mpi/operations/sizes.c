/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and values of all sizes, above all around those where something changes: inline writes, messages of
 * 8 KiB, segments of 64 KiB, several segments. Entries have a header, so a range is tried below each. */
#include "../../support/value.h"
#include "operations.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct buffers {
    unsigned char *value, *read;
};

static void put_and_get(const struct subject *s, const struct key *key, size_t length,
                        struct buffers *buffers)
{
    static uint64_t sequence;
    size_t read_length = 0;
    uint64_t number = random_mix(key->length + (uint64_t)s->job->rank);
    at("sizes: %s, key of %zu bytes, value of %zu", s->config.name, key->length, length);
    value_make(number, (struct value_origin){.sequence = ++sequence}, buffers->value, length);
    if (!CHECK_OK(belay_put(s->cache, key->bytes, key->length, buffers->value, length, NULL)))
        return;
    buffers->read[length] = 0x5a;
    CHECK_OK(belay_get(s->cache, key->bytes, key->length, buffers->read, length, &read_length));
    CHECK(read_length == length && memcmp(buffers->value, buffers->read, length) == 0,
          "key of %zu bytes, value of %zu: read back %zu bytes%s", key->length, length, read_length,
          read_length == length ? ", other ones" : "");
    CHECK(buffers->read[length] == 0x5a, "value of %zu bytes: wrote beyond the buffer", length);
}

/* Keys of this length: their first bytes tell rank and length apart, as far as they go. */
static void sized_key(const struct subject *s, size_t length, struct key *key)
{
    key->length = length;
    for (size_t i = 0; i < length; ++i)
        key->bytes[i] = (unsigned char)(i * 7 + length);
    key->bytes[length - 1] = (unsigned char)(0x80 + s->job->rank);
}

static void test_key_lengths(const struct subject *s, struct buffers *buffers)
{
    static const size_t lengths[] = {1, 2, 3, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1000, 4088, 4095, 4096};
    for (size_t i = 0; i < COUNT(lengths); ++i) {
        struct key key;
        sized_key(s, lengths[i], &key);
        for (size_t value = 0; value <= 10000; value = value * 4 + 7)
            put_and_get(s, &key, value, buffers);
        CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
        expect_absent(s, &key);
    }
}

static void test_value_lengths(const struct subject *s, size_t longest, struct buffers *buffers)
{
    static const size_t borders[] = {32,    64,        4096,      8192,    16384,
                                     65536, 2 * 65536, 3 * 65536, 1 << 20, 4 << 20};
    static const int steps[] = {-8192, -4096, -256, -128, -96, -72, -65, -64, -63, -56, -48, -40, -33,
                                -32,   -31,   -24,  -16,  -9,  -8,  -7,  -1,  0,   1,   8,   64,  4096};
    struct key key;
    own_key(s, s->job->rank, 300, &key);
    for (size_t b = 0; b < COUNT(borders); ++b)
        for (size_t i = 0; i < COUNT(steps); ++i) {
            int64_t length = (int64_t)borders[b] + steps[i];
            if (length >= 0 && length <= (int64_t)longest)
                put_and_get(s, &key, (size_t)length, buffers);
        }
    for (size_t length = longest; length > 0; length /= 3) /* and down again */
        put_and_get(s, &key, length, buffers);
    CHECK_OK(belay_remove(s->cache, key.bytes, key.length, NULL));
}

void test_sizes(const struct subject *s, size_t longest)
{
    size_t room = (longest < 16384 ? 16384 : longest) + 8192;
    struct buffers buffers = {malloc(room), malloc(room)};
    if (!buffers.value || !buffers.read)
        job_abort("no memory for values of %zu bytes", longest);
    test_key_lengths(s, &buffers);
    test_value_lengths(s, longest, &buffers);
    free(buffers.value);
    free(buffers.read);
}
