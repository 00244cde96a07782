/* SPDX-License-Identifier: BSD-3-Clause */
#include "key.h"

#include "random.h"

#include <string.h>

enum { NUMBER_SIZE = sizeof(uint64_t) };

/* Small numbers give keys of 1 and 2 bytes. All others start with their number and go on for mostly a few,
 * rarely thousands of bytes. */
static size_t length_of(uint64_t number)
{
    if (number < 16)
        return 1;
    if (number < 256)
        return 2;
    uint64_t dice = random_mix(number + 77);
    switch (dice % 64) {
    case 0: return BELAY_KEY_MAX;
    case 1: return NUMBER_SIZE + (dice >> 8) % (BELAY_KEY_MAX - NUMBER_SIZE);
    case 2:
    case 3:
    case 4: return NUMBER_SIZE + (dice >> 8) % 256;
    default: return NUMBER_SIZE + (dice >> 8) % 40;
    }
}

void key_make(uint64_t number, struct key *key)
{
    key->length = length_of(number);
    memcpy(key->bytes, &number, key->length < NUMBER_SIZE ? key->length : NUMBER_SIZE);
    for (size_t i = NUMBER_SIZE; i < key->length; ++i)
        key->bytes[i] = (unsigned char)(number * 31 + i);
}

bool key_number(const void *bytes, size_t length, uint64_t *number)
{
    uint64_t start = 0;
    struct key key;
    if (length == 0 || length > BELAY_KEY_MAX)
        return false;
    memcpy(&start, bytes, length < NUMBER_SIZE ? length : NUMBER_SIZE);
    key_make(start, &key);
    if (key.length != length || memcmp(key.bytes, bytes, length) != 0)
        return false;
    *number = start;
    return true;
}
