/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file reactor.h
 * Chemistry of a well-mixed gas of constant volume, integrated by SUNDIALS' CVODE.
 */
#ifndef HYDROGEN_REACTOR_H
#define HYDROGEN_REACTOR_H

#include "mechanism.h"

enum { STATE_MAX = 1 + SPECIES_MAX };

/* A state: temperature in K, then the mass fraction of every species. */

/* Opaque: not for two threads at once. */
struct reactor;

/* NULL, with a message, on failure. @p mechanism must stay. */
struct reactor *reactor_new(const struct mechanism *mechanism, double density);
void reactor_free(struct reactor *reactor);

/* Let time pass. False, with a message, if CVODE fails. Equal states give equal bits, whatever came before. */
bool reactor_advance(struct reactor *reactor, double seconds, double *state);

/* The ignition delay: when the mass of @p species, or with IGNITION_BY_PRESSURE the pressure, grows fastest within
 * @p seconds. Negative, with a message, on failure. */
enum { IGNITION_BY_PRESSURE = -1 };
double reactor_ignition_delay(struct reactor *reactor, const double *state, int species, double seconds);

/* g / cm^3 of a gas at this pressure (dyn / cm^2). */
double state_density(const struct mechanism *mechanism, const double *state, double pressure);

/* From mole fractions (state[1...]) to mass fractions. */
void state_from_moles(const struct mechanism *mechanism, double *state);

#endif
