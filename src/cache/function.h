/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file function.h
 * Functions that belay_invoke() applies at the primary (OPERATION_INVOKE). What one gives is kept in the log before the change that
 * it wants (copy_keep_result()), so that a caller who asks a promoted backup again gets the same.
 *
 * Functions are added and never taken away, so finding one needs no lock. One runs with its partition's lock held: a call of Belay
 * from within is noticed by the mark of the thread.
 */
#ifndef BELAY_FUNCTION_H
#define BELAY_FUNCTION_H

#include "belay.h"

#include <stdatomic.h>
#include <stdbool.h>

struct function {
    struct function *next;
    belay_function apply;
    void *context;
    size_t name_length;
    char name[BELAY_FUNCTION_NAME_MAX];
};

struct functions {
    _Atomic(struct function *) first;
};

/* What an operation of kind INVOKE has beside key and value; its value is the argument. */
struct invoked {
    char name[BELAY_FUNCTION_NAME_MAX + 1]; /* at the caller; "": it is no INVOKE */
    size_t argument_length;
    void *result;
    size_t result_capacity, result_length; /* the length is what there would be, if TRUNCATED */
    const struct function *function;       /* at the primary; NULL: it has none of this name */
    int action;                            /* belay_action */
};

/* Is a function running in this thread? */
extern _Thread_local bool function_running __attribute__((tls_model("initial-exec")));

/* Errors: EXISTS, NO_MEMORY. */
int function_add(belay_node *node, const char *name, belay_function apply, void *context);

/* NULL: there is none of this name. */
const struct function *function_find(const belay_node *node, const char *name, size_t length);

void functions_destroy(struct functions *functions);

struct copy;
struct copy_found;
struct operation;

/*
 * Let the operation's function look at the key's newest state. @p found: NULL if the key is not there. @p value: room for
 * BELAY_INVOKE_VALUE_MAX bytes, in which the new value is then, operation->value_length bytes long.
 * Errors: NO_FUNCTION, TOO_LARGE, TRUNCATED, INVALID.
 */
int function_apply(const struct copy *held, struct operation *operation, const struct copy_found *found,
                   void *value);

#endif
