/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share. */
#ifndef BELAY_MIRROR_PRIVATE_H
#define BELAY_MIRROR_PRIVATE_H

#include "mirror/mirror.h"

#include <stdlib.h>

struct mirror {
    partition_finder find;
    atomic_bool sweep_wanted;                     /* some provision failed: make room everywhere */
    atomic_uint_fast64_t evict, evict_thoroughly; /* as in struct mirror_sweep */
    atomic_uint sweeps_begun, sweeps_ended;
    uint64_t next_sweep; /* not before; clock_now() */
    spin_lock active_lock;
    struct partition *_Atomic active; /* partitions with something pending, parked or freed */
    uint32_t settled;                 /* the view up to which partitions have let go; under the state lock */

    /* resync.c, under the state lock */
    atomic_bool resync_wanted; /* a backup waits for its copy */
    struct resync *resyncs;    /* under way */
    int resync_count;
    partition_walker walk;
};

/* Beside BELAY_ERR_*: the receiver's view is older than the sender's. Ask again. */
enum { MIRROR_NOT_YET = 3 };

/* Does a message come from a view that does not hold here yet? */
static inline bool mirror_is_ahead(const belay_node *node, const struct message_header *header)
{
    return header->view > node->view->number;
}

/* Publish what every backup has. @return how many. */
int partition_publish_ready(struct partition *partition);

/* A backup has no room for a copy, or the primary none for a put: the oldest entries of the cache give way, if it allows that. */
void partition_want_eviction(struct partition *partition);

/* Segments whose pushes are done become reusable. @return how many. */
int partition_recycle_ready(struct partition *partition);

/* What the log held when this node became the primary is kept until nobody may repeat a call to the former one: if this node dies,
 * too, the next one has to know what was applied. Then it is let go. Under the state lock. */
void partition_let_go(struct partition *partition);

/* Let a backup detach segments. */
void partition_release_at(struct partition *partition, struct backup *backup, uint32_t first, uint32_t count);

/* Keep in mind where a backup has a run of segments. */
int backup_remember(struct backup *backup, uint32_t first, uint32_t count, uint64_t descriptor_offset,
                    const uint32_t *physical);

/* The copy here is of no use any more, and nobody writes to it. The lock is held. */
void partition_give_up_copy(struct partition *partition);

/* Wait no more for a backup: its place is free. The lock is held. */
void partition_drop_backup(struct partition *partition, int i);

/* Write a range of this copy to a backup, whatever its state; the ticket covers it. @return false: it cannot be reached. */
bool push_range(struct partition *partition, struct backup *backup, uint64_t address, uint64_t length);
bool push_word(struct partition *partition, struct backup *backup, uint64_t address, uint64_t word);

static inline void backup_forget_mapping(struct backup *backup)
{
    free(backup->physical);
    backup->physical = NULL;
    backup->map_end = 0;
}

/* ---- promote.c ---- */

/* Before it serves: no version is given again that an earlier primary may have shown and that was lost with it. */
void partition_raise_version(struct partition *partition);

/* This node has become the primary, or the other holders have changed before it was ready: begin anew. The lock is held. */
void promotion_begin(struct partition *partition);
/* Go on as far as it goes without waiting. The lock and the state lock are held. */
void promotion_step(struct partition *partition);
void promotion_end(struct partition *partition);
/* Does the promotion wait until this backup has a new copy? */
bool promotion_replaces(const struct partition *partition, int place);
/* Another node has filled the copy here (mirror_pull). The lock is held. */
void promotion_filled(struct partition *partition);

/* ---- resync.c ---- */

/* A backup waits for its copy. */
void resync_wanted(belay_node *node);
int resync_progress(belay_node *node, bool *busy);
/* Fill the copy of a node that asked for it. Under the state lock. */
int resync_to(struct partition *partition, int peer);
void resync_destroy(belay_node *node);

/* The message handlers of this layer. */
void mirror_handle_segments(belay_node *node);
void mirror_handle_digests(belay_node *node);
void mirror_handle_copies(belay_node *node);

/* MESSAGE_SEGMENTS, MESSAGE_RELEASE */
struct segments_request {
    uint32_t partition, first, count, need; /* need: enum arena_need */
};

struct segments_answer {
    uint64_t descriptor_offset;
    uint32_t physical[];
};

/* ---- holder.c: what a primary asks of the other holders ---- */

struct copy_request_body {
    uint32_t partition, first;
};

/* Answer to MESSAGE_COPY_QUERY. */
struct copy_query_answer {
    uint64_t version;
    uint32_t complete, reserved;
};

/* Answer to MESSAGE_COPY_BEGIN and MESSAGE_COPY_FINISH. */
struct copy_place_answer {
    uint64_t descriptor_offset;
};

enum { ADOPT_PER_MESSAGE = 256 };

struct copy_segment {
    uint64_t digest;
    uint32_t physical, reserved;
};

/* Answer to MESSAGE_COPY_ADOPT: segments from `first` on. */
struct copy_adopt_answer {
    uint64_t descriptor_offset, root;
    uint32_t end, count;
    struct copy_segment segments[ADOPT_PER_MESSAGE];
};

#endif
