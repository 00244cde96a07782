/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file mark.h
 * Marks in a copy's descriptor, by which a one-sided reader sees that a transaction may be about to change a key.
 *
 * Keys share MARK_WORDS words by their hash. The low half of a word counts keys that are prepared to change; the high half goes
 * up with every change. A reader that finds nobody prepared, and afterwards the version that it knows, knows that the key has
 * not changed and that nobody who changes it has shown anything of what he does elsewhere. For a key that is absent, which
 * has no version, the high half takes its place.
 *
 * Threads: written under the partition's lock; read by anybody.
 */
#ifndef BELAY_MARK_H
#define BELAY_MARK_H

#include "copy/layout.h"

#define MARK_CHANGE (1u << 16)

static inline uint32_t mark_index(uint64_t hash)
{
    return (uint32_t)(hash >> 3) % MARK_WORDS;
}

static inline uint32_t mark_prepared(uint32_t mark) /* how many */
{
    return mark & (MARK_CHANGE - 1);
}

static inline uint32_t mark_changes(uint32_t mark)
{
    return mark / MARK_CHANGE;
}

#endif
