/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file crew.h
 * Which ranks live, and which of them computes which strip of the field. There are as many strips as ranks; who dies
 * leaves his strip to the next rank that lives.
 */
#ifndef HYDROGEN_CREW_H
#define HYDROGEN_CREW_H

#include <belay.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { CREW_MAX = 256 };

struct crew {
    int rank, ranks;
    atomic_bool dead[CREW_MAX];
};

/* From now on Belay tells of deaths. False, with a message, on failure. @p crew must stay until the node is closed. */
bool crew_open(belay_node *node, struct crew *crew);

int crew_living(struct crew *crew);

/* The rank that computes a strip; never one that is known to be dead. */
int crew_owner(struct crew *crew, int strip);

#endif
