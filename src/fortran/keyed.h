/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file keyed.h
 * The key and the value of one call: opened together, released together.
 */
#ifndef BELAY_FORTRAN_KEYED_H
#define BELAY_FORTRAN_KEYED_H

#include "array.h"
#include "belay.h"

struct keyed {
    struct array key, value;
};

/* As array_open() for both. @p value: NULL for a call without. */
static inline int keyed_open(const CFI_cdesc_t *key, const CFI_cdesc_t *value, struct keyed *bytes)
{
    *bytes = (struct keyed){0};
    int result = array_open(key, &bytes->key);
    if (result != BELAY_OK || !value)
        return result;
    result = array_open(value, &bytes->value);
    if (result != BELAY_OK)
        array_release(&bytes->key);
    return result;
}

static inline void keyed_release(struct keyed *bytes)
{
    array_release(&bytes->value);
    array_release(&bytes->key);
}

#endif
