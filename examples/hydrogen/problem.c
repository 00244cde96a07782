/* SPDX-License-Identifier: BSD-3-Clause */
#include "problem.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>

#define PRESSURE    (2 * ATMOSPHERE)
#define TEMPERATURE 1000.0 /* K, of the gas around the hot spots */

enum { CELLS_MIN = 8, CELLS_MAX = 1024, STEPS_MAX = 100000, PICTURES_MAX = 100 };

/* Hot spots: place and radius as parts of the square's side, and how much hotter their middle is. */
static const struct {
    double x, y, radius, excess;
} spots[] = {{0.30, 0.36, 0.07, 500}, {0.68, 0.27, 0.06, 550}, {0.53, 0.71, 0.08, 450}};

static const char usage[] =
    "Usage: hydrogen [OPTIONS] MECHANISM\n\n"
    "  --cells N          cells on each side of the square (default 64)\n"
    "  --steps N          steps (default 30)\n"
    "  --step SECONDS     length of a step (default 1e-6)\n"
    "  --cell CM          length of a cell (default 0.004)\n"
    "  --diffusivity D    of heat and species, cm^2/s (default 3)\n"
    "  --tolerance PART   states that differ by less react alike (default 1e-3); 0: every cell is integrated\n"
    "  --compare          run without reuse first, and tell the differences\n"
    "  --picture NAME     draw temperature and OH into NAME-STEP.png\n"
    "  --pictures N       how many, evenly spread, the last at the end (default 3)\n"
    "  --kill RANK:STEP   that rank dies by SIGKILL in that step; may be given again\n";

static bool in_range(const char *option, double value, double least, double most)
{
    if (value >= least && value <= most)
        return true;
    fprintf(stderr, "hydrogen: --%s %g: not from %g to %g\n", option, value, least, most);
    return false;
}

static bool check(const struct problem *problem)
{
    double reach = problem->diffusivity * problem->step / (problem->cell * problem->cell);
    if (!in_range("cells", problem->cells, CELLS_MIN, CELLS_MAX) ||
        !in_range("steps", problem->steps, 1, STEPS_MAX) ||
        !in_range("tolerance", problem->tolerance, 0, 0.1) ||
        !in_range("pictures", problem->pictures, 1, PICTURES_MAX) ||
        !in_range("cell", problem->cell, 1e-6, 10) || !in_range("step", problem->step, 1e-12, 1) ||
        !in_range("diffusivity", problem->diffusivity, 0, 1e3))
        return false;
    if (problem->pictures > problem->steps || reach > 0.25) {
        fprintf(stderr,
                reach > 0.25
                    ? "hydrogen: diffusion is unstable with such long steps: D t / x^2 is %g, over 0.25\n"
                    : "hydrogen: more pictures than steps\n",
                reach);
        return false;
    }
    return true;
}

static bool add_death(struct problem *problem, const char *text)
{
    char end;
    struct death *death = &problem->death[problem->deaths];
    return problem->deaths++ < DEATHS_MAX && sscanf(text, "%d:%d%c", &death->rank, &death->step, &end) == 2;
}

static bool set_option(struct problem *problem, int option)
{
    switch (option) {
    case 'c': problem->cells = atoi(optarg); return true;
    case 's': problem->steps = atoi(optarg); return true;
    case 't': problem->step = atof(optarg); return true;
    case 'x': problem->cell = atof(optarg); return true;
    case 'd': problem->diffusivity = atof(optarg); return true;
    case 'r': problem->tolerance = atof(optarg); return true;
    case 'C': problem->compare = true; return true;
    case 'p': problem->picture = optarg; return true;
    case 'P': problem->pictures = atoi(optarg); return true;
    case 'k': return add_death(problem, optarg);
    default: return false;
    }
}

/* Stoichiometric hydrogen and air. */
static bool set_gas(const struct mechanism *mechanism, double temperature, double *state)
{
    static const struct {
        const char *name;
        double moles;
    } air[] = {{"H2", 2}, {"O2", 1}, {"N2", 3.76}};
    for (int i = 0; i < mechanism->species_count; ++i)
        state[1 + i] = 0;
    for (int i = 0; i < 3; ++i) {
        int number = mechanism_find(mechanism, air[i].name);
        if (number < 0) {
            fprintf(stderr, "hydrogen: the mechanism has no %s\n", air[i].name);
            return false;
        }
        state[1 + number] = air[i].moles / 6.76;
    }
    state[0] = temperature;
    state_from_moles(mechanism, state);
    return true;
}

bool problem_read(int argc, char **argv, struct problem *problem)
{
    static const struct option options[] = {{"cells", required_argument, NULL, 'c'},
                                            {"steps", required_argument, NULL, 's'},
                                            {"step", required_argument, NULL, 't'},
                                            {"cell", required_argument, NULL, 'x'},
                                            {"diffusivity", required_argument, NULL, 'd'},
                                            {"tolerance", required_argument, NULL, 'r'},
                                            {"compare", no_argument, NULL, 'C'},
                                            {"picture", required_argument, NULL, 'p'},
                                            {"pictures", required_argument, NULL, 'P'},
                                            {"kill", required_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    *problem = (struct problem){.cells = 64,
                                .steps = 30,
                                .step = 1e-6,
                                .cell = 4e-3,
                                .diffusivity = 3,
                                .tolerance = 1e-3,
                                .pictures = 3};
    int option;
    double state[STATE_MAX];
    bool good = true;
    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        good = set_option(problem, option);
    if (!good || optind != argc - 1) {
        fputs(usage, stderr);
        return false;
    }
    if (!check(problem) || !mechanism_read(argv[optind], &problem->mechanism) ||
        !set_gas(&problem->mechanism, TEMPERATURE, state))
        return false;
    problem->density = state_density(&problem->mechanism, state, PRESSURE);
    return true;
}

int problem_state_size(const struct problem *problem)
{
    return 1 + problem->mechanism.species_count;
}

int problem_row_size(const struct problem *problem)
{
    return problem->cells * problem_state_size(problem);
}

void problem_begin_row(const struct problem *problem, int row, double *states)
{
    int size = problem_state_size(problem);
    double y = (row + 0.5) / problem->cells;
    for (int column = 0; column < problem->cells; ++column) {
        double x = (column + 0.5) / problem->cells, temperature = TEMPERATURE;
        for (size_t i = 0; i < sizeof spots / sizeof *spots; ++i) {
            double distance = hypot(x - spots[i].x, y - spots[i].y) / spots[i].radius;
            temperature += spots[i].excess * exp(-distance * distance);
        }
        set_gas(&problem->mechanism, temperature, states + column * size);
    }
}
