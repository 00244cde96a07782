/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/siphash.h"

#include <stdint.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static uint64_t load(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; ++i)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static void store(unsigned char *bytes, uint64_t word)
{
    for (int i = 0; i < 8; ++i)
        bytes[i] = (unsigned char)(word >> (8 * i));
}

static void rounds(struct state *s, int count)
{
    while (count-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32) + s->v3;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

static uint64_t squeeze(struct state *s)
{
    rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

void siphash(const unsigned char key[SIPHASH_KEY_SIZE], const void *data, size_t length,
             unsigned char hash[SIPHASH_SIZE])
{
    const unsigned char *bytes = data;
    uint64_t k0 = load(key, 8), k1 = load(key + 8, 8);
    struct state s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du ^ 0xee, k0 ^ 0x6c7967656e657261u,
                      k1 ^ 0x7465646279746573u};
    size_t done = 0;
    for (; done + 8 <= length; done += 8)
        absorb(&s, load(bytes + done, 8));
    absorb(&s, load(bytes + done, length - done) | (uint64_t)length << 56);
    s.v2 ^= 0xee;
    store(hash, squeeze(&s));
    s.v1 ^= 0xdd;
    store(hash + 8, squeeze(&s));
}

int siphash_equal(const unsigned char a[SIPHASH_SIZE], const unsigned char b[SIPHASH_SIZE])
{
    unsigned difference = 0;
    for (int i = 0; i < SIPHASH_SIZE; ++i)
        difference |= a[i] ^ b[i];
    return difference == 0;
}
