/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments of the own arena as buffers for one-sided reads and writes, which need registered memory. Any thread. */
#ifndef BELAY_STAGING_H
#define BELAY_STAGING_H

#include "cluster/node.h"

/* @return a segment, or ARENA_NO_SEGMENT. */
uint32_t staging_take(belay_node *node);
void staging_give(belay_node *node, uint32_t segment);
void staging_destroy(belay_node *node);

#endif
