/* SPDX-License-Identifier: BSD-3-Clause */
/* The coordinator's side of opening caches. */
#ifndef BELAY_REGISTRY_H
#define BELAY_REGISTRY_H

#include "cache/cache.h"

/* MESSAGE_CACHE_OPEN carries struct cache_settings; answer: struct open_answer, or with MISMATCH the text of the
 * difference. MESSAGE_CACHE_READY: struct ready_request; no body in the answer. */
struct open_answer {
    uint32_t number;
    uint32_t view; /* in which the cache was made: its map begins there */
    struct cache_settings settings;
};

struct ready_request {
    uint32_t number;
    int32_t status; /* of making the copies */
};

enum { MISMATCH_TEXT_MAX = 640 };

/* A cache that another node wants to open, and this server has not opened. @return false: there is none. */
bool coordinator_wanted(belay_node *node, struct cache_settings *settings);

void coordinator_register(belay_node *node);
void coordinator_destroy(belay_node *node);

#endif
