/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the test `operations`. Each checks one group of calls in one cache; all ranks call it
 * together, and each works on keys of its own unless it says otherwise.
 */
#ifndef TESTS_OPERATIONS_H
#define TESTS_OPERATIONS_H

#include "../../support/job.h"
#include "../../support/key.h"

#include <belay.h>
#include <stdbool.h>

/* A cache under test. */
struct subject {
    const struct job *job;
    belay_node *node;
    belay_cache *cache;
    belay_cache_config config;
    int servers;      /* nodes that hold copies: ids 0 ... servers - 1 */
    unsigned backups; /* copies beside the primary that each partition must have */
};

/* Key number n of a rank. No two ranks share one. */
void own_key(const struct subject *s, int rank, unsigned n, struct key *key);

/* What a write waits for, with these options (NULL: the cache's). */
belay_sync effective_sync(const struct subject *s, const belay_write_options *options);

/* The value is these bytes / is not there. */
void expect_value(const struct subject *s, const struct key *key, const void *value, size_t length);
void expect_absent(const struct subject *s, const struct key *key);

/* Flush and meet: what was written before by any rank is on every copy. */
void settle(const struct subject *s);

void test_one_key(const struct subject *s, const belay_write_options *options);
void test_sizes(const struct subject *s, size_t longest);
void test_many_keys(const struct subject *s, const belay_write_options *options);
void test_loading(const struct subject *s);
void test_requests(const struct subject *s, const belay_write_options *options);
void register_functions(belay_node *node, const struct job *job);
void test_functions(const struct subject *s);
void test_sharing(const struct subject *s);
void test_iteration(const struct subject *s);
void test_clear(const struct subject *s);
void test_placement(const struct subject *s);
void test_hosts(const struct subject *s, const int *host_of);
void test_stats(const struct subject *s);
void test_arguments(const struct subject *s);
void test_cache_configurations(belay_node *node);
void test_texts(void);

#endif
