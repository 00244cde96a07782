/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file push.c
 * Effects on their way to the backups: one-sided writes from this copy's bytes to the same logical place of theirs.
 */
#include "base/fault.h"
#include "mirror/mirror_private.h"

/* Where a logical address lies in a node's region. */
static uint64_t region_offset(const arena *a, uint32_t physical, uint64_t within)
{
    return arena_segment_offset(a, physical) + within;
}

struct push {
    struct partition *partition;
    struct backup *backup;
    fabric_ticket ticket;
    bool last;   /* effect of the change: the doorbell need not wait for more */
    bool waited; /* somebody waits for this effect */
};

static void write_piece(struct push *push, uint64_t offset, const void *local, size_t length, bool last_piece)
{
    unsigned flags = (push->last && last_piece ? 0 : FABRIC_MORE) |
                     (push->waited && last_piece ? FABRIC_SIGNALED : 0);
    fabric_ticket ticket;
    /* A failed write needs no answer here: the peer is lost, and its loss comes up by itself. Until then it counts as
     * not done. */
    if (fabric_write(push->partition->node->fabric, push->backup->node, offset, local, length, flags,
                     &ticket) == BELAY_OK)
        push->ticket = ticket;
    else
        push->backup->failed = true;
    push->partition->push_bytes += length;
}

/* The segments of all arenas have one size and lie at the same offsets for equal numbers, so this node's arena can
 * translate for all. */
static void write_range(struct push *push, uint64_t address, uint64_t length)
{
    struct partition *partition = push->partition;
    arena *a = partition->node->arena;
    size_t segment_size = arena_segment_size(a);
    while (length > 0) {
        uint32_t logical = (uint32_t)(address / segment_size);
        uint64_t within = address % segment_size;
        uint64_t piece = segment_size - within;
        uint32_t here = copy_physical(partition->copy, logical);
        uint32_t there = push->backup->physical[logical];
        /* Physically consecutive on both sides: one write. */
        for (uint32_t next = 1; piece < length; ++next) {
            if (copy_physical(partition->copy, logical + next) != here + next ||
                push->backup->physical[logical + next] != there + next)
                break;
            piece += segment_size;
        }
        if (piece > length)
            piece = length;
        const unsigned char *local = (const unsigned char *)arena_segment(a, here) + within;
        write_piece(push, region_offset(a, there, within), local, piece, piece == length);
        address += piece;
        length -= piece;
    }
}

/* Where a logical address lies in the backup's region. */
static uint64_t offset_there(const struct push *push, uint64_t address)
{
    const arena *a = push->partition->node->arena;
    size_t segment_size = arena_segment_size(a);
    if (address >= COPY_ROOT_ADDRESS)
        return push->backup->descriptor_offset + (address - COPY_ROOT_ADDRESS);
    return region_offset(a, push->backup->physical[address / segment_size], address % segment_size);
}

static void write_effect(struct push *push, const struct copy_effect *effect)
{
    struct partition *partition = push->partition;
    if (effect->is_word) {
        write_piece(push, offset_there(push, effect->address), &effect->word, sizeof effect->word, true);
    } else if (effect->address >= COPY_ROOT_ADDRESS) {
        uint64_t here = partition->descriptor_offset + (effect->address - COPY_ROOT_ADDRESS);
        const unsigned char *local = (const unsigned char *)arena_base(partition->node->arena) + here;
        write_piece(push, offset_there(push, effect->address), local, effect->length, true);
    } else {
        write_range(push, effect->address, effect->length);
    }
}

/* A range that later changes may alter, and that the device may read only after this call: until it is read, nothing may
 * be changed, or a backup could see a slot before its entry. */
static bool must_settle(const struct copy_effect *effect)
{
    return effect->changes && !effect->is_word && effect->length > FABRIC_INLINE_MAX;
}

/* The last write is waited for, so it is signalled, if any effect must settle. */
static fabric_ticket push_to(struct partition *partition, struct backup *backup,
                             const struct copy_change *change, bool waited)
{
    struct push push = {.partition = partition, .backup = backup};
    fabric_ticket entry_ticket = 0;
    bool settle = false;
    for (unsigned i = 0; i < change->effect_count; ++i) {
        const struct copy_effect *effect = &change->effects[i];
        bool slot_follows = i + 2 == change->effect_count && change->effects[i + 1].is_word;
        settle = settle || must_settle(effect);
        push.last = i + 1 == change->effect_count;
        if (slot_follows)
            FAULT_POINT("push-before-entry");
        if (push.last && effect->is_word && i > 0)
            FAULT_POINT("push-before-slot");
        if (change->slot_at == 0 && i > 0)
            FAULT_POINT("push-structure"); /* in the middle of a split */
        push.waited = (waited && (slot_follows || (push.last && !effect->is_word))) || (push.last && settle);
        write_effect(&push, effect);
        if (!effect->is_word)
            entry_ticket = push.ticket;
    }
    if (settle && push.ticket > 0) {
        backup->unsettled = push.ticket;
        partition->unsettled = true;
    }
    return entry_ticket;
}

void partition_push(struct partition *partition, const struct copy_change *change, fabric_ticket *tickets)
{
    for (int i = 0; i < partition->backup_count; ++i) {
        struct backup *backup = &partition->backups[i];
        fabric_ticket ticket = 0;
        if (backup_takes_pushes(backup))
            ticket = push_to(partition, backup, change, tickets != NULL);
        if (tickets)
            tickets[i] = ticket;
        FAULT_POINT("push-between-backups");
    }
}

bool push_range(struct partition *partition, struct backup *backup, uint64_t address, uint64_t length)
{
    struct push push = {.partition = partition, .backup = backup, .last = true};
    struct copy_effect effect = {.address = address, .length = length};
    write_effect(&push, &effect);
    return !backup->failed;
}

bool push_word(struct partition *partition, struct backup *backup, uint64_t address, uint64_t word)
{
    struct push push = {.partition = partition, .backup = backup, .last = true};
    struct copy_effect effect = {.address = address, .length = sizeof word, .word = word, .is_word = true};
    write_effect(&push, &effect);
    return !backup->failed;
}

void partition_push_now(struct partition *partition, struct copy_change *change)
{
    if (change->effect_count > 0)
        partition_push(partition, change, NULL);
    copy_publish(partition->copy, change);
}

bool partition_pushes_wait(struct partition *partition)
{
    const fabric *f = partition->node->fabric;
    bool unsettled = false;
    if (!partition->ready || partition->switching > 0)
        return true;
    for (int i = 0; i < partition->backup_count; ++i) {
        const struct backup *backup = &partition->backups[i];
        if (!backup_takes_pushes(backup))
            continue;
        if (fabric_congested(f, backup->node))
            return true;
        unsettled = unsettled || (partition->unsettled && !fabric_done(f, backup->node, backup->unsettled));
    }
    partition->unsettled = unsettled;
    return unsettled;
}

void partition_count_update(struct partition *partition)
{
    partition->updates++;
    for (int i = 0; i < partition->backup_count; ++i)
        partition->pushes += backup_takes_pushes(&partition->backups[i]);
}
