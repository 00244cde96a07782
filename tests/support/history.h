/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file history.h
 * What concurrent callers did to a few keys, and when: recorded per thread, sorted out by
 * key.
 *
 * Values are 64-bit numbers. 0 stands for "no value"; every write makes a number that never was before, so
 * that a value names the write that made it.
 */
#ifndef TESTS_HISTORY_H
#define TESTS_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HISTORY_NEVER UINT64_MAX /* `returned` of an operation of which nobody knows whether it was applied */

enum history_kind {
    HISTORY_GET,
    HISTORY_CONTAINS,
    HISTORY_PUT,
    HISTORY_REMOVE,
    HISTORY_PUT_IF_ABSENT,
    HISTORY_REPLACE,
    HISTORY_GET_AND_PUT,
    HISTORY_COMPARE_AND_SET,
    HISTORY_FETCH_ADD,
    HISTORY_KINDS
};

struct history_operation {
    uint64_t invoked, returned; /* nanoseconds of one clock */
    uint64_t argument;          /* the value to be set; FETCH_ADD: the number to be added */
    uint64_t expected;          /* COMPARE_AND_SET: the value whose version was given, 0 for version 0 */
    uint64_t answer;            /* GET, GET_AND_PUT, FETCH_ADD: the value that was there, 0 for none */
    uint64_t version;           /* that the call told with its answer; 0 if it tells none */
    int32_t result;             /* BELAY_OK, or what the call gave instead */
    uint32_t key, process, kind;
};

struct history {
    struct history_operation *operations;
    size_t count, capacity;
};

void history_create(struct history *history, size_t capacity);
void history_destroy(struct history *history);

/* Append; false when the history is full. One thread per history. */
int history_record(struct history *history, const struct history_operation *operation);

/* Sort by key and time of invocation. */
void history_sort(struct history *history);

/* One line for a human. */
void history_print(FILE *out, const struct history_operation *operation);

#endif
