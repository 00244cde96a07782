/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file problem.h
 * What is simulated: a square of hydrogen and air with hot spots, from the command line.
 */
#ifndef HYDROGEN_PROBLEM_H
#define HYDROGEN_PROBLEM_H

#include "reactor.h"

enum { DEATHS_MAX = 8 };

struct problem {
    struct mechanism mechanism;
    int cells; /* on each side */
    int steps;
    double step;         /* s */
    double cell;         /* cm */
    double diffusivity;  /* cm^2 / s, of heat and of every species */
    double density;      /* g / cm^3; the gas does not move, so it stays */
    double tolerance;    /* of reused chemistry, relative; 0: no reuse */
    bool compare;        /* run without reuse first */
    const char *picture; /* beginning of the names of pictures; NULL: none */
    int pictures;
    int deaths;
    struct death {
        int rank, step; /* that rank kills itself in that step */
    } death[DEATHS_MAX];
};

/* False, with a message, if there is nothing to run. */
bool problem_read(int argc, char **argv, struct problem *problem);

/* Doubles of a cell's state, and of a row of cells. */
int problem_state_size(const struct problem *problem);
int problem_row_size(const struct problem *problem);

/* The first state of a row. */
void problem_begin_row(const struct problem *problem, int row, double *states);

#endif
