/* SPDX-License-Identifier: BSD-3-Clause */
/* From an MPI communicator to a connected node: the only place that uses MPI. */
#ifndef BELAY_BOOTSTRAP_H
#define BELAY_BOOTSTRAP_H

#include "cluster/node.h"

/*
 * Collective: agree on settings, hosts and transports, set up fabric and arena, let @p prepare register the layers above,
 * exchange addresses (from then on messages may come).
 * On every process: BELAY_OK and *node (to be given back with assemble_destroy()), or the error of the first process that failed.
 */
int bootstrap_node(MPI_Comm communicator, const belay_config *config, belay_node **node,
                   int (*prepare)(belay_node *node));

#endif
