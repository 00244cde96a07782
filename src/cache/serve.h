/* SPDX-License-Identifier: BSD-3-Clause */
/* The primary's side of requests from other nodes. */
#ifndef BELAY_SERVE_H
#define BELAY_SERVE_H

#include "cache/cache.h"

void serve_register(belay_node *node); /* all of them */
void serve_invoke_register(belay_node *node);
void serve_reads_register(belay_node *node);
void serve_large_register(belay_node *node);
void serve_whole_register(belay_node *node);

void serve_free_requests(struct cache_registry *registry);

/* Attempt a request's operation; it is answered by its `finished`. (struct parked.attempt) */
bool serve_attempt(struct parked *parked);

/* Retry what is parked at a partition, oldest first. Its lock is held. (struct partition.unpark) */
void serve_unpark(struct partition *partition);

#endif
