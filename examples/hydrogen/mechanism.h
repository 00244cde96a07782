/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file mechanism.h
 * Species and reactions of a gas: read from a file, and the rates they give. Units: cm, mol, s, K, erg, g.
 */
#ifndef HYDROGEN_MECHANISM_H
#define HYDROGEN_MECHANISM_H

#include <stdbool.h>
#include <stdio.h>

enum { SPECIES_MAX = 12, REACTIONS_MAX = 40, NAME_MAX_LENGTH = 15 };

#define GAS_CONSTANT 8.31446261815324e7 /* erg / (mol K) */
#define ATMOSPHERE   1.01325e6          /* dyn / cm^2 */

struct species {
    char name[NAME_MAX_LENGTH + 1];
    double weight;           /* g / mol */
    double middle;           /* K: below it the first polynomial holds, above it the second */
    double polynomial[2][7]; /* NASA: heat capacity, enthalpy and entropy over the gas constant */
};

struct rate { /* factor * T^exponent * exp(-temperature / T) */
    double factor, exponent, temperature;
};

struct reaction {
    int reactants, products;        /* how many, up to three each */
    int reactant[3], product[3];    /* numbers of species */
    bool needs_partner;             /* + M */
    bool falls_off;                 /* (+M) */
    double efficiency[SPECIES_MAX]; /* as M */
    struct rate rate;               /* with (+M) the limit at high pressure */
    struct rate low;
    double center;
};

struct mechanism {
    int species_count, reaction_count;
    struct species species[SPECIES_MAX];
    struct reaction reaction[REACTIONS_MAX];
};

/* False, with a message on standard error that names file and line, if the file is not as described in
 * burke2012.txt. */
bool mechanism_read(const char *path, struct mechanism *mechanism);

/* Number of the species, or -1. */
int mechanism_find(const struct mechanism *mechanism, const char *name);

/* Heat capacity at constant volume and energy over the gas constant: without unit, and in K. */
double species_heat_capacity(const struct species *species, double temperature);
double species_energy(const struct species *species, double temperature);

/* @p production of every species in mol / (cm^3 s) by all reactions at these concentrations (mol / cm^3). */
void mechanism_production(const struct mechanism *mechanism, double temperature, const double *concentrations,
                          double *production);

#endif
