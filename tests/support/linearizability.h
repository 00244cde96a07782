/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file linearizability.h
 * Is a history of one key explained by the operations having happened one at a
 * time, each at a moment between its invocation and its return? A history of many keys is linearizable when
 * that of each key is (Herlihy, Wing 1990).
 *
 * Method: just-in-time linearization (G. Lowe, "Testing for linearizability", Concurrency and Computation
 * 2017), after Wing and Gong's search. The events are followed in time order with the set of all
 * configurations that explain them so far; a configuration is the key's value and which of the open
 * operations have taken effect. An operation takes effect as late as possible: when its return, or
 * another's that needs it, is met. The set stays small as long as few operations are open at a time, so the
 * time is linear in the history's length.
 */
#ifndef TESTS_LINEARIZABILITY_H
#define TESTS_LINEARIZABILITY_H

#include "history.h"

enum linearizability { LINEARIZABLE, NOT_LINEARIZABLE, UNDECIDED };

struct linearizability_verdict {
    enum linearizability verdict;
    size_t failed;            /* NOT_LINEARIZABLE: index of the operation whose return nothing explains */
    size_t configurations;    /* the largest set there was */
    uint64_t possible_values; /* NOT_LINEARIZABLE: how many values the key may have had before */
    uint64_t some_value;      /* one of them */
    const char *why;          /* UNDECIDED: the reason */
};

/* What the specification says of one operation on a key that has @p value: 1 if the recorded result is
 * possible (an operation that never returned may have any); @p next: the value after it. */
int linearizability_step(const struct history_operation *operation, uint64_t value, uint64_t *next);

/* Check @p count operations of one key, sorted by invocation, the key's value being @p initial at first. */
struct linearizability_verdict linearizability_check(const struct history_operation *operations, size_t count,
                                                     uint64_t initial);

#endif
