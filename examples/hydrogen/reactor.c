/* SPDX-License-Identifier: BSD-3-Clause */
#include "reactor.h"

#include <cvode/cvode.h>
#include <nvector/nvector_serial.h>
#include <stdlib.h>
#include <string.h>
#include <sunlinsol/sunlinsol_dense.h>
#include <sunmatrix/sunmatrix_dense.h>

#define RELATIVE_TOLERANCE 1e-5
#define ABSOLUTE_TOLERANCE 1e-14 /* of mass fractions; temperatures are far above it */

enum { STEPS_MAX = 100000 };

struct reactor {
    const struct mechanism *mechanism;
    double density;
    SUNContext context;
    N_Vector state;
    SUNMatrix matrix;
    SUNLinearSolver solver;
    void *integrator;
};

/* The time derivative of a state. */
static void derive(const struct reactor *reactor, const double *state, double *derivative)
{
    const struct mechanism *mechanism = reactor->mechanism;
    double concentrations[SPECIES_MAX], production[SPECIES_MAX], capacity = 0, energy = 0;
    for (int i = 0; i < mechanism->species_count; ++i)
        concentrations[i] = reactor->density * state[1 + i] / mechanism->species[i].weight;
    mechanism_production(mechanism, state[0], concentrations, production);
    for (int i = 0; i < mechanism->species_count; ++i) {
        const struct species *species = &mechanism->species[i];
        capacity += concentrations[i] * species_heat_capacity(species, state[0]);
        energy += production[i] * species_energy(species, state[0]);
        derivative[1 + i] = production[i] * species->weight / reactor->density;
    }
    derivative[0] = -energy / capacity;
}

static int cvode_derive(double time, N_Vector state, N_Vector derivative, void *reactor)
{
    (void)time;
    derive(reactor, N_VGetArrayPointer(state), N_VGetArrayPointer(derivative));
    return 0;
}

struct reactor *reactor_new(const struct mechanism *mechanism, double density)
{
    int size = 1 + mechanism->species_count;
    struct reactor *reactor = calloc(1, sizeof *reactor);
    if (!reactor)
        return NULL;
    reactor->mechanism = mechanism;
    reactor->density = density;
    if (SUNContext_Create(NULL, &reactor->context) != 0 ||
        !(reactor->state = N_VNew_Serial(size, reactor->context)) ||
        !(reactor->matrix = SUNDenseMatrix(size, size, reactor->context)) ||
        !(reactor->solver = SUNLinSol_Dense(reactor->state, reactor->matrix, reactor->context)) ||
        !(reactor->integrator = CVodeCreate(CV_BDF, reactor->context)))
        goto free_reactor;
    N_VConst(1, reactor->state);
    if (CVodeInit(reactor->integrator, cvode_derive, 0, reactor->state) != CV_SUCCESS ||
        CVodeSStolerances(reactor->integrator, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE) != CV_SUCCESS ||
        CVodeSetLinearSolver(reactor->integrator, reactor->solver, reactor->matrix) != CV_SUCCESS ||
        CVodeSetUserData(reactor->integrator, reactor) != CV_SUCCESS ||
        CVodeSetMaxNumSteps(reactor->integrator, STEPS_MAX) != CV_SUCCESS)
        goto free_reactor;
    return reactor;
free_reactor:
    fprintf(stderr, "hydrogen: SUNDIALS cannot be set up\n");
    reactor_free(reactor);
    return NULL;
}

void reactor_free(struct reactor *reactor)
{
    if (!reactor)
        return;
    CVodeFree(&reactor->integrator);
    if (reactor->solver)
        SUNLinSolFree(reactor->solver);
    if (reactor->matrix)
        SUNMatDestroy(reactor->matrix);
    if (reactor->state)
        N_VDestroy(reactor->state);
    SUNContext_Free(&reactor->context);
    free(reactor);
}

static bool begin(struct reactor *reactor, const double *state, double end)
{
    memcpy(N_VGetArrayPointer(reactor->state), state,
           (size_t)(1 + reactor->mechanism->species_count) * sizeof *state);
    return CVodeReInit(reactor->integrator, 0, reactor->state) == CV_SUCCESS &&
           CVodeSetStopTime(reactor->integrator, end) == CV_SUCCESS;
}

bool reactor_advance(struct reactor *reactor, double seconds, double *state)
{
    double time;
    if (!begin(reactor, state, seconds) ||
        CVode(reactor->integrator, seconds, reactor->state, &time, CV_NORMAL) < 0) {
        fprintf(stderr, "hydrogen: CVODE failed at %g K\n", state[0]);
        return false;
    }
    memcpy(state, N_VGetArrayPointer(reactor->state),
           (size_t)(1 + reactor->mechanism->species_count) * sizeof *state);
    return true;
}

/* How fast @p species, or the pressure over R and the density, grows. */
static double growth(const struct reactor *reactor, const double *state, int species)
{
    double derivative[STATE_MAX], sum = 0;
    derive(reactor, state, derivative);
    if (species != IGNITION_BY_PRESSURE)
        return derivative[1 + species];
    for (int i = 0; i < reactor->mechanism->species_count; ++i)
        sum += (derivative[0] * state[1 + i] + state[0] * derivative[1 + i]) /
               reactor->mechanism->species[i].weight;
    return sum;
}

double reactor_ignition_delay(struct reactor *reactor, const double *state, int species, double seconds)
{
    double time = 0, delay = 0, fastest = 0;
    if (!begin(reactor, state, seconds))
        return -1;
    while (time < seconds) {
        if (CVode(reactor->integrator, seconds, reactor->state, &time, CV_ONE_STEP) < 0) {
            fprintf(stderr, "hydrogen: CVODE failed at %g s\n", time);
            return -1;
        }
        double now = growth(reactor, N_VGetArrayPointer(reactor->state), species);
        if (now > fastest) {
            fastest = now;
            delay = time;
        }
    }
    return delay;
}

double state_density(const struct mechanism *mechanism, const double *state, double pressure)
{
    double moles = 0; /* per gram */
    for (int i = 0; i < mechanism->species_count; ++i)
        moles += state[1 + i] / mechanism->species[i].weight;
    return pressure / (GAS_CONSTANT * state[0] * moles);
}

void state_from_moles(const struct mechanism *mechanism, double *state)
{
    double mass = 0;
    for (int i = 0; i < mechanism->species_count; ++i)
        mass += state[1 + i] * mechanism->species[i].weight;
    for (int i = 0; i < mechanism->species_count; ++i)
        state[1 + i] *= mechanism->species[i].weight / mass;
}
