/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file watch.h
 * Subscriptions at the servers. Each server knows all subscriptions of a cache, so a promoted backup knows them already.
 *
 * An update is told when it is published, under its partition's lock, by a message to each subscriber of a matching prefix: in the
 * primary's order, since messages to one peer keep theirs. Nobody waits for a subscriber. When no message can be sent, or the partition
 * has just been promoted, the subscriber is *owed* a gap message of that partition and told nothing of it before; it then asks for
 * all entries of its prefix that are newer than what it was told last (MESSAGE_CATCH_UP), which go the same way.
 *
 * Threads: the list changes under the state lock, and is read under any partition's lock: who takes a watcher out then takes each of
 * these once before it frees it.
 */
#ifndef BELAY_WATCH_H
#define BELAY_WATCH_H

#include <stdatomic.h>
#include <stdint.h>

struct belay_node;
struct belay_cache;
struct partition;
struct copy_change;
struct watcher;

struct watch { /* of one cache at one node */
    _Atomic(struct watcher *) first;
};

void watch_destroy(struct belay_cache *cache);

/* A change was published; NULL: this node is about to serve the partition. (struct partition.changed) */
void watch_tell(struct partition *partition, const struct copy_change *change);
void watch_tell_cleared(struct partition *partition);

void watch_register(struct belay_node *node);

#endif
