/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file subscription.h
 * A subscription at the node that wants to know: belay_subscribe(). All servers are told of it, those that join later too; what
 * watch.h sends is noted here and told by whoever makes progress, like events (cluster/events.h).
 *
 * Of each partition it is known up to which version everything has come (`seen`). When something may be missing (a gap message,
 * another primary, or notes that found no room) the partition is *owed*: what comes of it is not noted. As soon as there is room, one
 * partition after the other, the gap is noted and its primary is asked for what is newer than `seen`.
 *
 * Threads: everything under the state lock, but for the counts of notes.
 */
#ifndef BELAY_SUBSCRIPTION_H
#define BELAY_SUBSCRIPTION_H

#include "cache/cache.h"

/* Errors: NO_MEMORY, TIMEOUT. */
int subscription_open(belay_cache *cache, const void *prefix, size_t prefix_length,
                      belay_change_handler handler, void *context, belay_subscription **out);
/* When it returns, the handler does not run, and will not, unless it is what calls this. */
void subscription_close(belay_subscription *subscription);

void subscriptions_destroy(belay_node *node);
void subscriptions_register(belay_node *node);

#endif
