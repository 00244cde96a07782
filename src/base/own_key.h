/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file own_key.h
 * Keys of the library's own, among those of users: records of transactions, so far. Users cannot have them, in no cache, and are not
 * shown them; and a copy keeps them when it is cleared.
 */
#ifndef BELAY_OWN_KEY_H
#define BELAY_OWN_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define OWN_KEY_PREFIX "\0belay\0transact" /* with the zero at its end */

enum { OWN_KEY_PREFIX_LENGTH = sizeof OWN_KEY_PREFIX };

static inline bool own_key(const void *key, size_t length)
{
    return length >= OWN_KEY_PREFIX_LENGTH && *(const unsigned char *)key == 0 &&
           memcmp(key, OWN_KEY_PREFIX, OWN_KEY_PREFIX_LENGTH) == 0;
}

#endif
