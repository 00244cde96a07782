/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share. */
#ifndef BELAY_MIRROR_PRIVATE_H
#define BELAY_MIRROR_PRIVATE_H

#include "mirror/mirror.h"

struct mirror {
    partition_finder find;
    atomic_bool sweep_wanted; /* some provision failed: make room everywhere */
    uint64_t next_sweep;      /* not before; clock_now() */
    spin_lock active_lock;
    struct partition *_Atomic active; /* partitions with something pending, parked or freed */
};

/* Publish what every backup has. @return how many. */
int partition_publish_ready(struct partition *partition);

/* Segments whose pushes are done become reusable. @return how many. */
int partition_recycle_ready(struct partition *partition);

/* Let a backup detach segments. */
void partition_release_at(struct partition *partition, struct backup *backup, uint32_t first, uint32_t count);

/* The message handlers of this layer. */
void mirror_handle_segments(belay_node *node);
void mirror_handle_digests(belay_node *node);

#endif
