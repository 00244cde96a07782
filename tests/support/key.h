/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file key.h
 * Keys by number: key_make(n) gives different bytes for every n, of lengths from 1 byte to BELAY_KEY_MAX.
 */
#ifndef TESTS_KEY_H
#define TESTS_KEY_H

#include <belay.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key {
    size_t length;
    unsigned char bytes[BELAY_KEY_MAX];
};

void key_make(uint64_t number, struct key *key);

/* The number that makes these bytes; false if there is none. */
bool key_number(const void *bytes, size_t length, uint64_t *number);

#endif
