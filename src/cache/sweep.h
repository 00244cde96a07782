/* SPDX-License-Identifier: BSD-3-Clause */
/* Making room on all nodes when an arena is full. */
#ifndef BELAY_SWEEP_H
#define BELAY_SWEEP_H

#include "cluster/node.h"

int sweep_create(belay_node *node);
void sweep_destroy(belay_node *node);

#endif
