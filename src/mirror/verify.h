/* SPDX-License-Identifier: BSD-3-Clause */
/* Do the copies of a partition agree? Digests of every segment, from every holder, compared with the primary's. */
#ifndef BELAY_VERIFY_H
#define BELAY_VERIFY_H

#include "cluster/node.h"

/* A holder is not what the caller thinks: look at the map again. Equal to MIRROR_NOT_YET. */
enum { VERIFY_AGAIN = 3 };

/*
 * Compare the copies of one partition, wherever they are, and have the primary check its entries. Adds to @p report.
 * @p nodes: holders, the primary first; lost ones are left out.
 * @return BELAY_OK also when they differ; else why they could not be compared.
 */
int verify_partition(belay_node *node, uint16_t cache, uint32_t partition, const int *nodes, int copies,
                     belay_verify_report *report);

#endif
