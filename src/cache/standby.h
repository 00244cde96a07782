/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file standby.h
 * Connections that are made before they are needed. Who holds a partition is connected with its other holders, and with the one that will
 * take a free place when one of them dies: so neither a promotion nor the restoring of a copy begins with the making of connections, which
 * takes longer than all the rest. In the background, when caches are opened and when views have settled.
 */
#ifndef BELAY_STANDBY_H
#define BELAY_STANDBY_H

#include "cache/cache.h"

void standby_register(belay_node *node);

/* Look at all caches once more. Under the state lock. */
void standby_wanted(belay_node *node);

#endif
