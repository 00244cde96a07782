/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file chemistry.h
 * One step of chemistry in one cell. What was computed for one state is used again, by all ranks, for all states that
 * round to the same: it is kept in a Belay cache, by the rounded state.
 *
 * States are rounded on logarithmic scales: temperatures and mass fractions to parts of the tolerance, mass fractions
 * below a percent ten times more coarsely. A result belongs to the rounded state, not to the state that came first: so
 * the outcome does not depend on which rank came first, nor on results lost with a rank. The cell's own state is then
 * changed as the rounded one changed, so that rounding does not add up.
 */
#ifndef HYDROGEN_CHEMISTRY_H
#define HYDROGEN_CHEMISTRY_H

#include "problem.h"

#include <belay.h>

struct chemistry {
    const struct problem *problem;
    struct reactor *reactor;
    belay_cache *cache; /* NULL: no reuse */
    uint64_t integrations, hits;
};

bool chemistry_open(belay_node *node, const struct problem *problem, struct chemistry *chemistry);
void chemistry_close(struct chemistry *chemistry);

/* Let the cell react for one step. @p reuse: or integrate it in any case. */
bool chemistry_step(struct chemistry *chemistry, bool reuse, double *state);

#endif
