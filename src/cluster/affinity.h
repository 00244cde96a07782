/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file affinity.h
 * Which nodes hold the copies of a partition: rendezvous (highest random weight) hashing, D. Thaler and
 * C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1), 1998.
 *
 * Every node computes the same answer from the view alone. A node that leaves moves only the copies it held. Backups go
 * to hosts that hold no copy yet, as long as there are any.
 */
#ifndef BELAY_AFFINITY_H
#define BELAY_AFFINITY_H

#include "cluster/view.h"

/*
 * Choose servers among @p members for the places [kept, copies) of @p partition; the first @p kept have their nodes.
 * @param[in,out] nodes room for @p copies ids; the primary first.
 * @return how many places are taken, or BELAY_ERR_NO_MEMORY.
 */
int affinity_assign(const struct view *view, const struct node_set *members, uint32_t partition, int copies,
                    int kept, bool with_spares, int *nodes);

/* Is the node among the first @p copies servers that want the partition? */
bool affinity_would_hold(const struct view *view, const struct node_set *members, uint32_t partition,
                         int copies, int node);

/* How much a node wants a partition. */
uint64_t affinity_weight(uint32_t partition, int node);

#endif
