/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file observe.h
 * What tools outside ask a job about: its nodes and caches, what each node counts, whether copies agree. A server answers, and
 * asks all other nodes for their part. Answers are these structs as they are: both ends are of one version.
 */
#ifndef BELAY_OBSERVE_H
#define BELAY_OBSERVE_H

#include "cache/timings.h"
#include "cluster/ask.h"
#include "cluster/settings.h"

enum observe_kind {
    OBSERVE_JOB = 1, /* answer: observed_job, observed_node[nodes], observed_cache[caches] */
    OBSERVE_SHARES,  /* question.cache; answer: observed_share[] */
    OBSERVE_VERIFY   /* question.cache, first, count: partitions; answer: belay_verify_report */
};

struct observed_job {
    uint32_t view, nodes, caches, reserved;
};

struct observed_node {
    int32_t id, pid;
    uint32_t role; /* belay_role */
    uint32_t reserved;
    char host[64];
    uint64_t arena_size, arena_used; /* bytes for copies and staging; of a client 0 */
    uint64_t malformed;              /* messages dropped */
};

struct observed_cache {
    uint32_t number, lost; /* partitions */
    struct cache_settings settings;
};

/* One node's part in a cache. */
struct observed_share {
    int32_t node;
    uint32_t primaries, backups; /* copies here */
    uint32_t promoting;          /* primaries that do not serve yet */
    uint32_t restoring, missing; /* backups elsewhere of primaries here: being filled; not begun */
    belay_cache_stats stats;
    belay_latencies latencies[TIMED_KINDS]; /* by belay_timed - 1 */
};
_Static_assert(sizeof(struct observed_share) + sizeof(struct message_header) <= FABRIC_MESSAGE_MAX,
               "it is one message");

void observe_register(belay_node *node);

#endif
