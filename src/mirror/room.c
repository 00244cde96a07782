/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file room.c
 * Making room: dead entries are cleaned away a little with every update, and as far as it goes when an arena is full.
 *
 * What a sweep moves goes to room that arenas hold back for it. Once begun, a segment is emptied before other changes
 * go on: they would take the room, and sweeping would end with less than there was.
 *
 * A segment without live entries may still be the source of pushes under way: it is fenced on every backup before it is
 * reused. Free segments stay with their partition, mapped on all copies, until memory gets short.
 *
 * What a former primary applied, and has not answered, is known from its entries alone. So a new primary reuses no segment that it
 * has found until all are settled (cluster/settlement.h).
 */
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>

enum {
    MOVES_PER_UPDATE = 2,
    MOVES_PER_SWEEP = 256,
    SHORT_OF_SEGMENTS = 8 /* short: less than 1/8 of the arena is free */
};

/* Have the answers sent before these fences arrived? Without backups nobody will ever have to know again. A member that is suspected
 * may be the one that stays. */
static bool answers_arrived(const struct partition *partition, const fabric_ticket *fences)
{
    const belay_node *node = partition->node;
    for (int peer = 0; partition->backup_count > 0 && peer < node->view->nodes; ++peer) {
        if (peer == node->id || !view_has(node->view, peer))
            continue;
        if (!view_alive(node->view, peer) || fabric_congested(node->fabric, peer) ||
            !fabric_done(node->fabric, peer, fences[peer]))
            return false;
    }
    return true;
}

static bool fences_done(const struct partition *partition, const fabric_ticket *fences)
{
    for (int i = 0; i < partition->backup_count; ++i) {
        const struct backup *backup = &partition->backups[i];
        if (backup_takes_pushes(backup) &&
            (backup->failed || !fabric_done(partition->node->fabric, backup->node, fences[i])))
            return false;
    }
    return answers_arrived(partition, fences + partition->backup_count);
}

int partition_recycle_ready(struct partition *partition)
{
    int recycled = 0;
    for (struct freed_segment **at = &partition->freed; *at;) {
        struct freed_segment *freed = *at;
        if (!fences_done(partition, freed->fences)) {
            at = &freed->next;
            continue;
        }
        copy_recycle(partition->copy, freed->logical);
        *at = freed->next;
        free(freed);
        ++recycled;
    }
    return recycled;
}

static void fence(struct partition *partition, fabric_ticket *fences)
{
    belay_node *node = partition->node;
    for (int i = 0; i < partition->backup_count; ++i) {
        struct backup *backup = &partition->backups[i];
        fences[i] = 0;
        if (backup_takes_pushes(backup) && fabric_fence(node->fabric, backup->node, &fences[i]) != BELAY_OK)
            backup->failed = true;
    }
    fences += partition->backup_count;
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        fences[peer] = 0;
        if (peer != node->id && node->verbs && view_alive(node->view, peer))
            fabric_fence(node->fabric, peer, &fences[peer]);
    }
}

/* Take freed segments out of the copy; most can be recycled at once. */
static void collect_freed(struct partition *partition)
{
    uint32_t logical;
    size_t fences = (size_t)partition->backup_count + (size_t)partition->node->view->nodes;
    while (copy_next_freed(partition->copy, &logical)) {
        struct freed_segment *freed = malloc(sizeof *freed + fences * sizeof freed->fences[0]);
        if (!freed) {
            log_warn("no memory to track a freed segment: it stays unused");
            continue;
        }
        fence(partition, freed->fences);
        if (fences_done(partition, freed->fences)) {
            copy_recycle(partition->copy, logical);
            free(freed);
            continue;
        }
        freed->logical = logical;
        freed->next = partition->freed;
        partition->freed = freed;
        partition_activate(partition);
    }
}

void partition_let_go(struct partition *partition)
{
    if (partition->promoted_in == 0 || !settlement_reached(partition->node, partition->promoted_in))
        return;
    partition->promoted_in = 0;
    copy_let_go(partition->copy);
    collect_freed(partition);
}

/* Not while room is asked for: a long entry gets its segments in several steps. */
static bool release_spare(struct partition *partition)
{
    uint32_t logical;
    bool released = false;
    if (partition->cleaning || partition->provision.running)
        return false;
    while (copy_releasable(partition->copy, &logical)) {
        for (int i = 0; i < partition->backup_count; ++i)
            if (backup_has_segments(&partition->backups[i]))
                partition_release_at(partition, &partition->backups[i], logical, 1);
        if (copy_detach(partition->copy, logical) != BELAY_OK)
            break;
        released = true;
    }
    return released;
}

/* Move one live entry out of a thin segment. @return BELAY_OK; FABRIC_AGAIN: it cannot go on just now; else it cannot at all. */
static int clean_one(struct partition *partition, bool under_pressure)
{
    struct copy_change change;
    uint32_t failures = PROVISION_NEVER_FAILED;
    if (partition_pushes_wait(partition))
        return FABRIC_AGAIN;
    int result = copy_clean(partition->copy, under_pressure, &change);
    if (result == COPY_NEEDS_DRAIN)
        return FABRIC_AGAIN;
    if (result == COPY_NEEDS_SEGMENTS)
        return partition_provision(partition, copy_clean_bytes(partition->copy),
                                   under_pressure ? ROOM_FOR_CLEANING : ROOM_FOR_TIDYING, &failures);
    if (result == BELAY_OK && change.effect_count > 0)
        partition_push_now(partition, &change);
    return result;
}

static bool is_worth_cleaning(const struct partition *partition, bool under_pressure)
{
    return copy_is_cleaning(partition->copy) || copy_worth_cleaning(partition->copy, under_pressure);
}

/* Do so up to @p moves times, under pressure up to the end of the segment that was begun. @return as clean_one(). */
static int clean(struct partition *partition, bool under_pressure, int moves, int *made)
{
    int result = BELAY_OK;
    *made = 0;
    while (result == BELAY_OK && is_worth_cleaning(partition, under_pressure) &&
           (*made < moves || (under_pressure && copy_is_cleaning(partition->copy)))) {
        result = clean_one(partition, under_pressure);
        *made += result == BELAY_OK;
    }
    collect_freed(partition);
    return result;
}

static bool short_of_segments(const struct partition *partition)
{
    const arena *a = partition->node->arena;
    return arena_free_segments(a) < arena_total_segments(a) / SHORT_OF_SEGMENTS;
}

void partition_tidy(struct partition *partition)
{
    int made;
    clean(partition, false, MOVES_PER_UPDATE, &made);
    if (short_of_segments(partition))
        release_spare(partition);
}

bool partition_sweep(struct partition *partition)
{
    int made;
    partition->cleaning = false;
    if (!partition->ready)
        return false;
    partition->cleaning = clean(partition, true, MOVES_PER_SWEEP, &made) == FABRIC_AGAIN;
    if (partition->cleaning)
        partition_activate(partition);
    partition_recycle_ready(partition);
    return release_spare(partition) || made > 0;
}
