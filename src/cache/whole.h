/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that concern a whole cache: size, clear, iterate, verify, stats. */
#ifndef BELAY_WHOLE_H
#define BELAY_WHOLE_H

#include "cache/cache.h"

/* Ask the primary of a partition, the next one too if it is lost meanwhile. Errors: PARTITION_LOST, TIMEOUT, EXCLUDED, or its
 * status. */
struct whole_question {
    enum message_type type;
    const void *body;
    size_t length;
};
int whole_ask_primary(belay_cache *cache, uint32_t partition, const struct whole_question *question,
                      void *answer, size_t capacity, size_t *length, const char *what);

/* MESSAGE_SIZES: a 32-bit first partition; answer: entries by partition from there on, as far as the receiver is the primary. */
enum { WHOLE_SIZES_PER_MESSAGE = 512 };
#define WHOLE_SIZE_UNKNOWN UINT64_MAX

int whole_size(belay_cache *cache, uint64_t *entries);
int whole_clear(belay_cache *cache);
int whole_iterate(belay_cache *cache, int local_only, belay_visitor visit, void *context);
/* Partitions @p first ... first + count - 1, as far as there are; adds to @p report. BELAY_OK also if copies differ. */
int whole_verify_some(belay_cache *cache, uint32_t first, uint32_t count, belay_verify_report *report);
int whole_verify(belay_cache *cache, belay_verify_report *report);
void whole_stats(belay_cache *cache, belay_cache_stats *stats);

#endif
