/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file value.h
 * Values that describe themselves: who wrote which update of which key. So a reader can tell
 * without a model whether what it got is one whole value of that key, and which.
 *
 * The bytes follow from (key, origin, length) alone: a model needs to keep these only.
 */
#ifndef TESTS_VALUE_H
#define TESTS_VALUE_H

#include <stddef.h>
#include <stdint.h>

struct value_origin {
    uint64_t sequence; /* of the updates of this key by this writer */
    uint32_t writer;   /* rank << 16 | thread, or what the test likes */
};

enum {
    VALUE_DESCRIBED = 40
}; /* values shorter than this carry no origin: only key and length can be checked */

void value_make(uint64_t key, struct value_origin origin, void *value, size_t length);

/* What is wrong with this value of this key, or NULL. @p origin: set when it is whole and long enough; may
 * be NULL. */
const char *value_fault(uint64_t key, const void *value, size_t length, struct value_origin *origin);

#endif
