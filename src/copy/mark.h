/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file mark.h
 * Marks in a copy's descriptor, by which a one-sided reader sees that a transaction may be about to change a key.
 *
 * Keys share MARK_WORDS words by their hash. The low 16 bits of a word count keys that are prepared to change; the rest goes
 * up with every change. A reader that finds nobody prepared, and afterwards the version that it knows, knows that the key has
 * not changed and that nobody who changes it has shown anything of what he does elsewhere. For a key that is absent, which
 * has no version, 32 bits of that take its place.
 *
 * Threads: written under the partition's lock; read by anybody.
 */
#ifndef BELAY_MARK_H
#define BELAY_MARK_H

#include "copy/layout.h"

#define MARK_CHANGE (UINT64_C(1) << 16)

static inline uint32_t mark_index(uint64_t hash)
{
    return (uint32_t)(hash >> 3) % MARK_WORDS;
}

static inline uint32_t mark_prepared(uint64_t mark) /* how many */
{
    return (uint32_t)(mark & (MARK_CHANGE - 1));
}

static inline uint32_t mark_changes(uint64_t mark)
{
    return (uint32_t)(mark / MARK_CHANGE);
}

#endif
