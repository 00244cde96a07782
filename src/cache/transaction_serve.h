/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BELAY_TRANSACTION_SERVE_H
#define BELAY_TRANSACTION_SERVE_H

#include "cluster/node.h"

void transaction_serve_register(belay_node *node);

#endif
