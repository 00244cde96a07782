/* SPDX-License-Identifier: BSD-3-Clause */
/* One history out of those of all threads of all ranks. */
#ifndef TESTS_GATHER_H
#define TESTS_GATHER_H

#include "history.h"

/* Put the histories of this rank's threads and of all ranks together at rank 0, sorted. Collective. @p all:
 * created here; of the other ranks, empty. */
void history_gather(const struct history *threads, unsigned count, struct history *all);

#endif
