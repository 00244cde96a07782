/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mechanism against an experiment: ignition delays as computed and as measured.
 *
 *     ignition MECHANISM EXPERIMENT [FACTOR]
 *
 * Fails if a computed delay is more than FACTOR times too long or too short.
 */
#include "reactor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DELAYS_MAX = 64 };

#define LONGEST 1e-2 /* s */

struct experiment {
    double pressure; /* Pa */
    int target;      /* of which species the growth is ignition, or IGNITION_BY_PRESSURE */
    double moles[SPECIES_MAX];
    int delays;
    double temperature[DELAYS_MAX], delay[DELAYS_MAX]; /* K, microseconds */
};

static bool read_line(const struct mechanism *mechanism, const char *line, struct experiment *experiment)
{
    char name[NAME_MAX_LENGTH + 1];
    double first, second;
    int i;
    if (line[strspn(line, " \t\n")] == '\0' || line[0] == '#')
        return true;
    if (sscanf(line, "pressure %lf", &first) == 1) {
        experiment->pressure = first;
        return first > 0;
    }
    if (sscanf(line, "ignition %15s", name) == 1) {
        experiment->target = mechanism_find(mechanism, name);
        return experiment->target >= 0 || strcmp(name, "pressure") == 0;
    }
    if (sscanf(line, "mole %15s %lf", name, &first) == 2 && (i = mechanism_find(mechanism, name)) >= 0) {
        experiment->moles[i] = first;
        return first >= 0;
    }
    if (sscanf(line, "delay %lf %lf", &first, &second) == 2 && experiment->delays < DELAYS_MAX) {
        experiment->temperature[experiment->delays] = first;
        experiment->delay[experiment->delays++] = second;
        return first > 0 && second > 0;
    }
    return false;
}

static bool read_experiment(const char *path, const struct mechanism *mechanism,
                            struct experiment *experiment)
{
    char line[256];
    int number = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return false;
    }
    *experiment = (struct experiment){.target = IGNITION_BY_PRESSURE};
    bool good = true;
    while (good && fgets(line, sizeof line, file)) {
        ++number;
        good = read_line(mechanism, line, experiment);
    }
    fclose(file);
    if (!good)
        fprintf(
            stderr,
            "%s:%d: not: pressure P, ignition SPECIES or pressure, mole SPECIES X or delay T MICROSECONDS\n",
            path, number);
    else if (experiment->delays == 0 || experiment->pressure == 0)
        fprintf(stderr, "%s: no pressure or no delays\n", path);
    return good && experiment->delays > 0 && experiment->pressure > 0;
}

/* Microseconds; negative on failure. */
static double compute(const struct mechanism *mechanism, const struct experiment *experiment, int number)
{
    double state[STATE_MAX] = {experiment->temperature[number]};
    memcpy(state + 1, experiment->moles, sizeof experiment->moles);
    state_from_moles(mechanism, state);
    struct reactor *reactor = reactor_new(
        mechanism, state_density(mechanism, state, experiment->pressure * 10 /* dyn / cm^2 */));
    if (!reactor)
        return -1;
    double delay = reactor_ignition_delay(reactor, state, experiment->target, LONGEST);
    reactor_free(reactor);
    return delay * 1e6;
}

int main(int argc, char **argv)
{
    struct mechanism mechanism;
    struct experiment experiment;
    double sum = 0, worst = 0;
    double allowed = argc == 4 ? atof(argv[3]) : HUGE_VAL;
    if (argc < 3 || argc > 4 || !(allowed > 1)) {
        fprintf(stderr, "Usage: ignition MECHANISM EXPERIMENT [FACTOR]\n");
        return 2;
    }
    if (!mechanism_read(argv[1], &mechanism) || !read_experiment(argv[2], &mechanism, &experiment))
        return 1;
    printf("    T/K  measured/us  computed/us  ratio\n");
    for (int i = 0; i < experiment.delays; ++i) {
        double computed = compute(&mechanism, &experiment, i);
        if (computed <= 0)
            return 1;
        double ratio = computed / experiment.delay[i];
        printf("%7.0f %12.1f %12.1f %6.2f\n", experiment.temperature[i], experiment.delay[i], computed,
               ratio);
        sum += log(ratio);
        worst = fmax(worst, fabs(log(ratio)));
    }
    double average = exp(sum / experiment.delays);
    printf("ignition: computed over measured: %.2f on average, at most %.2f times off\n", average,
           exp(worst));
    return worst > log(allowed);
}
