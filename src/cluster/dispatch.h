/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes up from the fabric: messages to their handlers, losses to those who must know. */
#ifndef BELAY_DISPATCH_H
#define BELAY_DISPATCH_H

#include "cluster/node.h"

/* The fabric's callbacks; the context is the node. */
void dispatch_message(void *context, int peer, const void *message, size_t length);
void dispatch_ahead(void *context, int peer, const void *message, size_t length);
void dispatch_lost(void *context, int peer, const char *why);

/* Have no more to do with a peer: its link is cut and its calls end. Under the state lock. */
void dispatch_cut(belay_node *node, int peer, const char *why);

/* End the calls to lost peers of which nothing more is to come. Under the state lock. @return of how many peers. */
int dispatch_end_calls(belay_node *node);

/* Handle the messages that this node sent to itself. @return their number. */
int dispatch_self(belay_node *node);
/* Drop those that came too late. */
void dispatch_destroy(belay_node *node);

#endif
