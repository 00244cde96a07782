/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file eviction.h
 * When arenas are full and cleaning has brought nothing, caches that allow it give up their oldest entries: as a part of a sweep, each
 * partition the segments of its log that were written first, by removals like any other. Readers leave no trace at the primary, so
 * what has been read lately is not known, and nothing is pretended about it.
 */
#ifndef BELAY_EVICTION_H
#define BELAY_EVICTION_H

#include "mirror/partition.h"

/* Go on with one partition. The lock is held. @p thorough: also what it is writing now, if it has nothing older.
 * @return is it through? */
bool eviction_step(struct partition *partition, bool thorough);

#endif
