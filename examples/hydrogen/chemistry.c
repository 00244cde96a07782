/* SPDX-License-Identifier: BSD-3-Clause */
#include "chemistry.h"

#include <math.h>
#include <string.h>

#define TRACE 1e-25 /* mass fractions below are none */
#define MINOR 1e-2  /* mass fractions below are rounded more coarsely: */

enum { COARSER = 10, MADE_ANEW = 3 };

struct key {
    double density, step; /* what else the result depends on */
    int32_t rounded[STATE_MAX];
};

bool chemistry_open(belay_node *node, const struct problem *problem, struct chemistry *chemistry)
{
    /* Results can be computed again: no backups, and nobody waits for a write. */
    belay_cache_config config = {.name = "chemistry", .write_synchronization_mode = BELAY_FULL_ASYNC};
    *chemistry = (struct chemistry){.problem = problem};
    chemistry->reactor = reactor_new(&problem->mechanism, problem->density);
    if (!chemistry->reactor)
        return false;
    if (problem->tolerance <= 0)
        return true;
    int result = belay_cache_open(node, &config, &chemistry->cache);
    if (result != BELAY_OK)
        fprintf(stderr, "hydrogen: opening the cache of chemistry: %s (%s)\n", belay_strerror(result),
                belay_last_error());
    return result == BELAY_OK;
}

void chemistry_close(struct chemistry *chemistry)
{
    belay_cache_close(chemistry->cache);
    reactor_free(chemistry->reactor);
}

/* The place of a number on a logarithmic scale, in grains: fine ones above the middle, coarse ones below. */
static int32_t place_of(double number, double middle, double fine, double coarse)
{
    double distance = log(number / middle);
    return (int32_t)lround(distance / (distance > 0 ? fine : coarse));
}

static double number_at(int32_t place, double middle, double fine, double coarse)
{
    return middle * exp(place * (place > 0 ? fine : coarse));
}

static struct key round_state(const struct problem *problem, const double *state, double *rounded)
{
    struct key key;
    double fine = problem->tolerance, coarse = problem->tolerance * COARSER;
    memset(&key, 0, sizeof key);
    key.density = problem->density;
    key.step = problem->step;
    for (int i = 0; i < problem_state_size(problem); ++i) {
        double middle = i == 0 ? 1 /* K: so all are fine */ : MINOR;
        if (state[i] < TRACE) {
            key.rounded[i] = INT32_MIN;
            rounded[i] = 0;
        } else {
            key.rounded[i] = place_of(state[i], middle, fine, coarse);
            rounded[i] = number_at(key.rounded[i], middle, fine, coarse);
        }
    }
    return key;
}

/* Change the state as the rounded one changed: mass fractions by the same part, so that growth stays exponential and
 * nothing becomes negative; by the same difference what hardly was there before. The total mass is kept. */
static void apply(int size, const double *rounded, const double *reacted, double *state)
{
    double before = 0, after = 0;
    state[0] += reacted[0] - rounded[0];
    for (int i = 1; i < size; ++i) {
        before += state[i];
        if (reacted[i] >= MADE_ANEW * rounded[i])
            state[i] += reacted[i] - rounded[i];
        else
            state[i] *= fmax(reacted[i], 0) / rounded[i];
        after += state[i];
    }
    for (int i = 1; i < size; ++i)
        state[i] *= before / after;
}

bool chemistry_step(struct chemistry *chemistry, bool reuse, double *state)
{
    const struct problem *problem = chemistry->problem;
    if (!reuse || !chemistry->cache) {
        ++chemistry->integrations;
        return reactor_advance(chemistry->reactor, problem->step, state);
    }
    double rounded[STATE_MAX], reacted[STATE_MAX];
    size_t size = (size_t)problem_state_size(problem), length;
    struct key key = round_state(problem, state, rounded);
    int result = belay_get(chemistry->cache, &key, sizeof key, reacted, sizeof reacted, &length);
    if (result == BELAY_OK && length == size * sizeof *reacted) {
        ++chemistry->hits;
    } else { /* not computed yet, or lost with a rank */
        ++chemistry->integrations;
        memcpy(reacted, rounded, size * sizeof *reacted);
        if (!reactor_advance(chemistry->reactor, problem->step, reacted))
            return false;
        belay_put(chemistry->cache, &key, sizeof key, reacted, size * sizeof *reacted, NULL);
    }
    apply((int)size, rounded, reacted, state);
    return true;
}
