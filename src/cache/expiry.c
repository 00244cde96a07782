/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/expiry.h"

#include "base/log.h"
#include "cache/cache.h"
#include "cache/client.h"
#include "cache/partitions.h"
#include "cache/removal.h"

#include <stdlib.h>

enum {
    LOOKS_PER_ROUND = 512, /* entries and partitions that one round of progress looks at */
    REMOVALS_PER_ROUND = 64,
    PAUSE_NS = 100 * 1000000,     /* between two passes over all partitions, at least */
    PAUSE_FACTOR = 50,            /* and so many times as long as the pass took */
    PAUSE_MAX_NS = 900 * 1000000, /* but what ends faster than that must go, too */
    NAP_MS = 100                  /* the longest that progress sleeps while there is something that ends */
};

/* Under the state lock, but for `wanted`. */
struct expiry {
    atomic_bool wanted; /* something may end here */
    bool passing;
    bool again; /* something is left for the next pass */
    struct partition_walk walk;
    uint64_t began_at, next_at; /* clock_now() */
};

/* ---- For readers ---- */

int expiry_settle(belay_cache *cache, const struct read_key *key, void *buffer, size_t capacity,
                  struct read_result *result)
{
    struct belay_request request;
    client_operation(&request, OPERATION_EXPIRE, key->data, key->length, NULL, 0);
    client_begin(&request, cache, NULL);
    int status = client_finish(&request);
    if (status == BELAY_OK)
        return BELAY_ERR_NOT_FOUND;
    if (status != BELAY_ERR_CONFLICT)
        return status;
    return lookup_settled(cache, key, buffer, capacity, result); /* it lives on, or was written anew */
}

/* ---- What nobody reads ---- */

/* @return BELAY_OK: through, or something is left for another pass; COPY_NEEDS_LOOKS. */
static int look_through(struct expiry *expiry, struct partition *partition, unsigned *looks,
                        unsigned *removals)
{
    uint64_t now = clock_of_day(), due_at;
    struct copy_key ended;
    if (!partition->ready) {
        expiry->again |= !partition->lost; /* it will be */
        return BELAY_OK;
    }
    if (!copy_has_endings(partition->copy, &due_at))
        return BELAY_OK;
    expiry->again = true;
    if (due_at > now || (partition->quiet_until && clock_now() < partition->quiet_until))
        return BELAY_OK;
    while (*removals > 0 && !partition_must_wait(partition)) {
        int result = copy_next_ended(partition->copy, now, looks, &ended);
        if (result == COPY_NOTHING)
            return BELAY_OK;
        if (result == COPY_NEEDS_LOOKS)
            return result;
        if (removal_execute(partition, OPERATION_EXPIRE, ended.hash, ended.bytes, ended.length) ==
            OPERATION_PARK)
            return BELAY_OK;
        --*removals;
    }
    return *removals == 0 ? COPY_NEEDS_LOOKS : BELAY_OK;
}

static void begin_pass(struct expiry *expiry, uint64_t now)
{
    atomic_store(&expiry->wanted, false); /* whoever writes something that ends from now on says so again */
    expiry->passing = true;
    expiry->again = false;
    expiry->walk = (struct partition_walk){0};
    expiry->began_at = now;
}

static void end_pass(struct expiry *expiry)
{
    uint64_t now = clock_now(), pause = (now - expiry->began_at) * PAUSE_FACTOR;
    if (pause < PAUSE_NS)
        pause = PAUSE_NS;
    if (pause > PAUSE_MAX_NS)
        pause = PAUSE_MAX_NS;
    expiry->passing = false;
    expiry->next_at = now + pause;
    if (expiry->again)
        atomic_store(&expiry->wanted, true);
}

static void set_nap(belay_node *node, int ms)
{
    if (atomic_load_explicit(&node->nap_ms, memory_order_relaxed) != ms)
        atomic_store_explicit(&node->nap_ms, ms, memory_order_relaxed);
}

static int progress(belay_node *node, bool *busy)
{
    struct expiry *expiry = node->caches->expiry;
    unsigned looks = LOOKS_PER_ROUND, removals = REMOVALS_PER_ROUND;
    if (!expiry->passing) {
        bool wanted = atomic_load_explicit(&expiry->wanted, memory_order_relaxed);
        set_nap(node, wanted ? NAP_MS : 0);
        uint64_t now = wanted ? clock_now() : 0;
        if (now < expiry->next_at || !wanted)
            return 0;
        begin_pass(expiry, now);
    }
    while (looks > 0 && removals > 0) {
        struct partition *partition = partitions_next_primary(node, &expiry->walk);
        if (!partition) {
            end_pass(expiry);
            break;
        }
        --looks;
        spin_acquire(&partition->lock);
        int result = look_through(expiry, partition, &looks, &removals);
        spin_release(&partition->lock);
        if (result == COPY_NEEDS_LOOKS)
            expiry->walk.partition--; /* it comes next again */
    }
    *busy = *busy || expiry->passing;
    return (int)(REMOVALS_PER_ROUND - removals);
}

void expiry_wake(belay_node *node)
{
    struct expiry *expiry = node->caches->expiry;
    if (atomic_load_explicit(&expiry->wanted, memory_order_relaxed))
        return;
    atomic_store(&expiry->wanted, true);
    node_attend(node);
    if (atomic_load_explicit(&node->nap_ms, memory_order_relaxed) == 0)
        fabric_wake(node->fabric); /* it may be asleep for ever */
}

/* What was a backup here may be the primary now. */
static void another_view(belay_node *node)
{
    expiry_wake(node);
}

int expiry_create(belay_node *node)
{
    node->caches->expiry = calloc(1, sizeof *node->caches->expiry);
    if (!node->caches->expiry)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for what is known of entries that end");
    node_add_progress_hook(node, progress);
    node_add_view_hook(node, another_view);
    return BELAY_OK;
}

void expiry_destroy(belay_node *node)
{
    free(node->caches->expiry);
}
