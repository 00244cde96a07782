/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/removal.h"

#include <stdlib.h>
#include <string.h>

struct removal {
    struct operation operation;
    struct partition *partition;
    unsigned char key[];
};

static void removed(struct operation *operation)
{
    struct removal *removal = (struct removal *)operation;
    removal->partition->evictions_pending -= operation->kind == OPERATION_EVICT;
    free(removal);
}

enum operation_outcome removal_execute(struct partition *partition, enum operation_kind kind, uint64_t hash,
                                       const void *key, size_t key_length)
{
    belay_cache *cache = cache_find(partition->node, partition->cache);
    struct removal *removal = malloc(sizeof *removal + key_length);
    if (!removal)
        return OPERATION_PARK;
    memcpy(removal->key, key, key_length);
    removal->partition = partition;
    removal->operation = (struct operation){.kind = (uint8_t)kind,
                                            .sync = cache->sync,
                                            .key_length = (uint16_t)key_length,
                                            .key = removal->key,
                                            .hash = hash,
                                            .failures_seen = PROVISION_NEVER_FAILED,
                                            .finished = removed};
    enum operation_outcome outcome = operation_execute(partition, &removal->operation);
    if (outcome == OPERATION_PENDING) {
        partition->evictions_pending += kind == OPERATION_EVICT;
        return outcome;
    }
    if (removal->operation.status == BELAY_ERR_NO_SPACE)
        outcome = OPERATION_PARK;
    free(removal);
    return outcome;
}
