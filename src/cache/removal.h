/* SPDX-License-Identifier: BSD-3-Clause */
/* Removals that no caller has asked for: of entries that have ended, or that give way to others. */
#ifndef BELAY_REMOVAL_H
#define BELAY_REMOVAL_H

#include "cache/operation.h"

/*
 * At the primary, which is ready; the lock is held. @p kind: OPERATION_EXPIRE or OPERATION_EVICT. An entry that is not concerned (it
 * lives on, or a transaction has it) stays.
 * @return OPERATION_PARK: there is no memory or no room for it now; else it is through, or on its way to the backups.
 */
enum operation_outcome removal_execute(struct partition *partition, enum operation_kind kind, uint64_t hash,
                                       const void *key, size_t key_length);

#endif
