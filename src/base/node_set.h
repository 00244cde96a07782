/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of nodes, one bit per id: of fixed size, so that it can be sent as it is. */
#ifndef BELAY_NODE_SET_H
#define BELAY_NODE_SET_H

#include "belay.h"

#include <stdbool.h>
#include <stdint.h>

enum { NODE_SET_WORDS = BELAY_NODES_MAX / 64 };

struct node_set {
    uint64_t words[NODE_SET_WORDS];
};

static inline bool node_set_has(const struct node_set *set, int node)
{
    return node >= 0 && node < (int)BELAY_NODES_MAX && (set->words[node / 64] >> node % 64 & 1);
}

static inline void node_set_add(struct node_set *set, int node)
{
    set->words[node / 64] |= 1ull << node % 64;
}

static inline void node_set_remove(struct node_set *set, int node)
{
    set->words[node / 64] &= ~(1ull << node % 64);
}

static inline int node_set_count(const struct node_set *set)
{
    int count = 0;
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        count += __builtin_popcountll(set->words[i]);
    return count;
}

static inline bool node_set_empty(const struct node_set *set)
{
    uint64_t any = 0;
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        any |= set->words[i];
    return any == 0;
}

/* a without b */
static inline struct node_set node_set_minus(const struct node_set *a, const struct node_set *b)
{
    struct node_set result;
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        result.words[i] = a->words[i] & ~b->words[i];
    return result;
}

/* what is in a or b */
static inline struct node_set node_set_with(const struct node_set *a, const struct node_set *b)
{
    struct node_set result;
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        result.words[i] = a->words[i] | b->words[i];
    return result;
}

static inline struct node_set node_set_both(const struct node_set *a, const struct node_set *b)
{
    struct node_set result;
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        result.words[i] = a->words[i] & b->words[i];
    return result;
}

/* The smallest member; -1: empty. */
static inline int node_set_first(const struct node_set *set)
{
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        if (set->words[i])
            return i * 64 + __builtin_ctzll(set->words[i]);
    return -1;
}

#endif
