/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file siphash.h
 * SipHash-2-4 with 128 bits of output: a keyed hash for short messages that only a holder of the key can compute
 * (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and their 128-bit variant of 2014).
 */
#ifndef BELAY_SIPHASH_H
#define BELAY_SIPHASH_H

#include <stddef.h>

enum { SIPHASH_KEY_SIZE = 16, SIPHASH_SIZE = 16 };

void siphash(const unsigned char key[SIPHASH_KEY_SIZE], const void *data, size_t length,
             unsigned char hash[SIPHASH_SIZE]);

/* Compares in a time that does not depend on where the two differ. */
int siphash_equal(const unsigned char a[SIPHASH_SIZE], const unsigned char b[SIPHASH_SIZE]);

#endif
