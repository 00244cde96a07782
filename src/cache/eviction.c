/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/eviction.h"

#include "cache/removal.h"

enum {
    LOOKS_PER_STEP = 256,
    PARKS_BORNE = 100 /* steps that found no room for a removal: then it is left at that */
};

static bool begin(struct partition *partition, bool thorough)
{
    partition->evicting = copy_evict_begin(partition->copy, thorough);
    partition->eviction_parks = 0;
    return partition->evicting;
}

static bool end(struct partition *partition)
{
    partition->evicting = false;
    return true;
}

bool eviction_step(struct partition *partition, bool thorough)
{
    unsigned looks = LOOKS_PER_STEP;
    struct copy_key entry;
    if (!partition->ready || (!partition->evicting && !begin(partition, thorough)))
        return end(partition);
    while (!partition_must_wait(partition)) {
        int result = copy_evict_next(partition->copy, &looks, &entry);
        if (result == COPY_NOTHING && partition->evictions_pending == 0)
            return end(partition);
        if (result != BELAY_OK)
            break;
        if (removal_execute(partition, OPERATION_EVICT, entry.hash, entry.bytes, entry.length) !=
            OPERATION_PARK)
            continue;
        copy_evict_again(partition->copy);
        if (++partition->eviction_parks > PARKS_BORNE)
            return end(partition);
        break;
    }
    partition_activate(partition);
    return false;
}
