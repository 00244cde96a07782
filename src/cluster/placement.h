/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the progress thread runs and the arena lies, by hwloc. */
#ifndef BELAY_PLACEMENT_H
#define BELAY_PLACEMENT_H

#include <stddef.h>

/*
 * Choose a logical cpu for the progress thread: the wanted one (progress_core - 1), or with 0 a core that this process may
 * use and its callers hardly need: on a machine with more allowed cores than nodes on this host, the last ones, near the
 * RDMA device in use ("": none is).
 * @return the operating system's cpu number, or -1: leave it to the scheduler (too few cores, no topology).
 */
int placement_choose(int progress_core, int nodes_on_host, int index_on_host, const char *device);

/*
 * Have memory that has not been touched yet come from the NUMA nodes around an RDMA device.
 * @return the first of these nodes, or -1: it comes from anywhere (they are all near, or nothing is known).
 */
int placement_bind_near(const char *device, void *memory, size_t size);

#endif
