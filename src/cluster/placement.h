/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the progress thread runs, by hwloc. */
#ifndef BELAY_PLACEMENT_H
#define BELAY_PLACEMENT_H

#include <stdbool.h>

/*
 * Choose a logical cpu for the progress thread: the wanted one (progress_core - 1), or with 0 a core that this process may
 * use and its callers hardly need: on a machine with more allowed cores than nodes on this host, the last ones, near the
 * RDMA device if one is named.
 * @return the operating system's cpu number, or -1: leave it to the scheduler (too few cores, no topology).
 */
int placement_choose(int progress_core, int nodes_on_host, int index_on_host, const char *device);

#endif
