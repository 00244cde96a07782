/* SPDX-License-Identifier: BSD-3-Clause */
/* The common part of a node's address. Private to this folder. */
#ifndef BELAY_CARD_H
#define BELAY_CARD_H

#include "fabric/transport.h"

/* A card for a new life of this node, without the transports' parts. Errors: SYSTEM, CONFIG. */
int card_init(struct fabric_card *card, int node, size_t region_size);

/* REFUSED unless the card is one that node @p peer of this protocol version made. */
int card_check(const struct fabric_card *card, int peer);

bool card_same_host(const struct fabric_card *a, const struct fabric_card *b);

#endif
