/* SPDX-License-Identifier: BSD-3-Clause */
#include "mechanism.h"

#include <math.h>

static const double *polynomial_at(const struct species *species, double temperature)
{
    return species->polynomial[temperature > species->middle];
}

double species_heat_capacity(const struct species *species, double temperature)
{
    const double *a = polynomial_at(species, temperature), t = temperature;
    return a[0] + t * (a[1] + t * (a[2] + t * (a[3] + t * a[4]))) - 1;
}

static double enthalpy(const struct species *species, double temperature) /* over R T */
{
    const double *a = polynomial_at(species, temperature), t = temperature;
    return a[0] + t * (a[1] / 2 + t * (a[2] / 3 + t * (a[3] / 4 + t * a[4] / 5))) + a[5] / t;
}

double species_energy(const struct species *species, double temperature)
{
    return temperature * (enthalpy(species, temperature) - 1);
}

static double free_enthalpy(const struct species *species, double temperature) /* over R T */
{
    const double *a = polynomial_at(species, temperature), t = temperature;
    double entropy = a[0] * log(t) + t * (a[1] + t * (a[2] / 2 + t * (a[3] / 3 + t * a[4] / 4))) + a[6];
    return enthalpy(species, temperature) - entropy;
}

static double rate_at(const struct rate *rate, double temperature)
{
    return rate->factor * exp(rate->exponent * log(temperature) - rate->temperature / temperature);
}

/* Concentration of collision partners. */
static double partners(const struct mechanism *mechanism, const struct reaction *reaction,
                       const double *concentrations)
{
    double sum = 0;
    for (int i = 0; i < mechanism->species_count; ++i)
        sum += reaction->efficiency[i] * concentrations[i];
    return sum;
}

/* Between the limits of low and high pressure, after Troe. */
static double falloff(const struct reaction *reaction, double temperature, double partner)
{
    double high = rate_at(&reaction->rate, temperature);
    double reduced = rate_at(&reaction->low, temperature) * partner / high;
    if (reduced <= 0)
        return 0;
    double center = log10(reaction->center), place = log10(reduced) - 0.4 - 0.67 * center;
    double ratio = place / (0.75 - 1.27 * center - 0.14 * place);
    return high * reduced / (1 + reduced) * pow(10, center / (1 + ratio * ratio));
}

/* The backward rate over the forward rate. */
static double reversal(const struct reaction *reaction, const double *free_enthalpies, double temperature)
{
    double change = 0;
    for (int i = 0; i < reaction->products; ++i)
        change += free_enthalpies[reaction->product[i]];
    for (int i = 0; i < reaction->reactants; ++i)
        change -= free_enthalpies[reaction->reactant[i]];
    return exp(change) *
           pow(ATMOSPHERE / (GAS_CONSTANT * temperature), reaction->reactants - reaction->products);
}

void mechanism_production(const struct mechanism *mechanism, double temperature, const double *concentrations,
                          double *production)
{
    double free_enthalpies[SPECIES_MAX];
    for (int i = 0; i < mechanism->species_count; ++i) {
        free_enthalpies[i] = free_enthalpy(&mechanism->species[i], temperature);
        production[i] = 0;
    }
    for (int r = 0; r < mechanism->reaction_count; ++r) {
        const struct reaction *reaction = &mechanism->reaction[r];
        double partner = 1;
        if (reaction->needs_partner || reaction->falls_off)
            partner = partners(mechanism, reaction, concentrations);
        double rate = reaction->falls_off ? falloff(reaction, temperature, partner)
                                          : rate_at(&reaction->rate, temperature) * partner;
        double forward = rate, backward = rate * reversal(reaction, free_enthalpies, temperature);
        for (int i = 0; i < reaction->reactants; ++i)
            forward *= concentrations[reaction->reactant[i]];
        for (int i = 0; i < reaction->products; ++i)
            backward *= concentrations[reaction->product[i]];
        for (int i = 0; i < reaction->reactants; ++i)
            production[reaction->reactant[i]] -= forward - backward;
        for (int i = 0; i < reaction->products; ++i)
            production[reaction->product[i]] += forward - backward;
    }
}
