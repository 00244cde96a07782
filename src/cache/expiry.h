/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file expiry.h
 * Entries whose time is over.
 *
 * An entry says when it ends; its primary has written that there. It has ended when the primary has removed it, by a change like any
 * other: so all nodes see the same order of things, whatever their clocks say. A reader who finds by its own clock that the
 * time is over asks the primary, which decides by its own: the entry is removed, or it is still there. What nobody reads, the primary's
 * progress finds and removes.
 */
#ifndef BELAY_EXPIRY_H
#define BELAY_EXPIRY_H

#include "base/clock.h"
#include "cache/operation.h"

/* When something ends that is written now (layout.h). @p time_to_live_ms: 0 or BELAY_NEVER_EXPIRES: never. */
static inline uint64_t expiry_end(uint64_t time_to_live_ms)
{
    enum { NS_PER_MS = 1000000 };
    uint64_t now = clock_of_day();
    bool never = time_to_live_ms == 0 || time_to_live_ms > (UINT64_MAX - now) / NS_PER_MS;
    return never ? 0 : now + time_to_live_ms * NS_PER_MS;
}

static inline bool expiry_is_over(uint64_t ends_at)
{
    return __builtin_expect(ends_at != 0, 0) && ends_at <= clock_of_day();
}

/* Has a read with this status found something whose time is over? Then expiry_settle() says what its result is. */
static inline bool expiry_concerns(int status, const struct read_result *result)
{
    return (status == BELAY_OK || status == BELAY_ERR_TRUNCATED) && expiry_is_over(result->ends_at);
}

int expiry_settle(belay_cache *cache, const struct read_key *key, void *buffer, size_t capacity,
                  struct read_result *result);

/* Let the primary's progress look for entries that end. Any thread. */
void expiry_wake(belay_node *node);

int expiry_create(belay_node *node);
void expiry_destroy(belay_node *node);

#endif
