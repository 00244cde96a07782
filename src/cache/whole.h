/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that concern a whole cache: size, clear, iterate, verify, stats. */
#ifndef BELAY_WHOLE_H
#define BELAY_WHOLE_H

#include "cache/cache.h"

int whole_size(belay_cache *cache, uint64_t *entries);
int whole_clear(belay_cache *cache);
int whole_iterate(belay_cache *cache, int local_only, belay_visitor visit, void *context);
int whole_verify(belay_cache *cache, belay_verify_report *report);
void whole_stats(belay_cache *cache, belay_cache_stats *stats);

#endif
