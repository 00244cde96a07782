/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening caches: what the nodes and their coordinator tell each other. */
#ifndef BELAY_REGISTRY_H
#define BELAY_REGISTRY_H

#include "cache/cache.h"

enum { OPEN_TEXT_MAX = 640 };

/* MESSAGE_CACHE_OPEN carries struct cache_settings; answer: struct open_answer, or with an error what is to be said of it.
 * MESSAGE_CACHE_READY: struct ready_request; no body in the answer. */
struct open_answer {
    uint32_t number;
    uint32_t view; /* in which the cache is made: its map begins there */
    struct cache_settings settings;
};

struct ready_request {
    int32_t status; /* of making the copies */
    char name[BELAY_CACHE_NAME_MAX + 1];
};

/* MESSAGE_CACHE_STANDS */
struct open_outcome {
    struct open_answer agreed; /* if status is OK */
    uint64_t told_at;          /* clock_now() of the sender */
    int32_t status;            /* an error: the cache was not opened */
    uint32_t ready;            /* all servers have made it */
    char text[OPEN_TEXT_MAX];
};

/* A cache that another node wants to open, and this server has not opened. @return false: there is none. */
bool coordinator_wanted(belay_node *node, struct cache_settings *settings);

void coordinator_register(belay_node *node);
void coordinator_destroy(belay_node *node);

/* What the coordinator, @p asked, has told this node. If it is gone by now, the next one has to know. */
void coordinator_note_ready(belay_cache *cache, int asked);
void coordinator_note_failed(belay_node *node, const struct cache_settings *settings, int status,
                             const char *text, int asked);
/* This node tries once more. */
void coordinator_forget_failed(belay_node *node, const char *name);

#endif
