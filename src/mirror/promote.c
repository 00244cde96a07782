/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file promote.c
 * A holder becomes the primary. Its copy is rebuilt from its bytes; if other holders are left, it is first made sure that
 * nobody knows more than this copy, and that theirs are mirrors of it: only then may anything be shown or changed here. All of
 * it goes on in steps without waiting; a change of the holders meanwhile begins it anew.
 *
 * A holder that does not answer holds everything up until the next view leaves it out. To go on without it would be wrong:
 * it might live and be believed later.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

enum { ASK_AGAIN_MS = 1 };

enum phase {
    PHASE_START,   /* rebuild the copy here, ask the others */
    PHASE_ASKED,   /* answers are missing */
    PHASE_PULLING, /* a better copy comes */
    PHASE_ALIGN,   /* compare with the others, one by one */
    PHASE_COMPARING,
    PHASE_REPLACING /* those that differ get a new copy */
};

/* What another holder has. */
struct other {
    bool answered, complete, aligned, differs;
    uint64_t version;
    uint32_t first; /* compared up to this segment */
};

struct promotion {
    enum phase phase;
    uint32_t generation;
    uint64_t retry_at;                          /* somebody was not ready to answer; 0: not */
    struct other others[PARTITION_BACKUPS_MAX]; /* by place */
};

struct promotion_call {
    struct call call;
    struct partition *partition;
    uint32_t generation;
    int place;
    void (*take)(struct partition *partition, int place, const void *body, size_t length);
};

void promotion_begin(struct partition *partition)
{
    struct promotion *promotion = partition->promotion;
    uint32_t generation = promotion ? promotion->generation + 1 : 1;
    partition->ready = false;
    copy_serve(partition->copy, COPY_SERVES_NOBODY);
    if (!promotion && !(promotion = malloc(sizeof *promotion))) {
        log_error(BELAY_ERR_NO_MEMORY, "no memory to become the primary of partition %u", partition->number);
        return;
    }
    *promotion = (struct promotion){.generation = generation};
    partition->promotion = promotion;
    for (int i = 0; i < partition->backup_count; ++i)
        if (partition->backups[i].node >= 0 && partition->backups[i].state != BACKUP_WAITING) {
            struct backup anew = {.node = partition->backups[i].node,
                                  .blank = partition->backups[i].blank,
                                  .state = BACKUP_WAITING};
            partition_drop_backup(partition, i);
            partition->backups[i] = anew;
        }
    partition_activate(partition);
}

void promotion_end(struct partition *partition)
{
    free(partition->promotion);
    partition->promotion = NULL;
}

void promotion_filled(struct partition *partition)
{
    promotion_begin(partition);
}

/* ---- Asking ---- */

static void answered(struct call *call, int status, const void *body, size_t length)
{
    struct promotion_call *mine = (struct promotion_call *)call;
    struct partition *partition = mine->partition;
    spin_acquire(&partition->lock);
    struct promotion *promotion = partition->promotion;
    if (promotion && promotion->generation == mine->generation) {
        if (status == BELAY_OK)
            mine->take(partition, mine->place, body, length);
        else if (status != BELAY_ERR_NODE_FAILED)
            promotion->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
        partition_activate(partition);
    }
    spin_release(&partition->lock);
    free(mine);
}

static void ask(struct partition *partition, int place, enum message_type type, uint32_t first,
                void (*take)(struct partition *partition, int place, const void *body, size_t length))
{
    struct promotion *promotion = partition->promotion;
    struct promotion_call *call = malloc(sizeof *call);
    struct message_header header = {.type = (uint8_t)type, .cache = partition->cache};
    struct copy_request_body request = {.partition = partition->number, .first = first};
    int result = BELAY_ERR_NO_MEMORY;
    if (call) {
        *call = (struct promotion_call){.call = {.answered = answered},
                                        .partition = partition,
                                        .generation = promotion->generation,
                                        .place = place,
                                        .take = take};
        result = node_call_queued(partition->node, partition->backups[place].node, header, &request,
                                  sizeof request, &call->call);
    }
    if (result == BELAY_OK)
        return;
    free(call);
    if (result != BELAY_ERR_NODE_FAILED)
        promotion->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
}

static void take_query(struct partition *partition, int place, const void *body, size_t length)
{
    struct other *other = &partition->promotion->others[place];
    struct copy_query_answer answer;
    if (length != sizeof answer)
        return;
    memcpy(&answer, body, sizeof answer);
    *other = (struct other){.answered = true, .complete = answer.complete, .version = answer.version};
}

/* Holders that this view has chosen have nothing to tell, and get their copies in the background. */
static bool is_other(const struct partition *partition, int place)
{
    return partition->backups[place].node >= 0 && !partition->backups[place].blank;
}

static void ask_versions(struct partition *partition)
{
    for (int i = 0; i < partition->backup_count; ++i)
        if (is_other(partition, i) && !partition->promotion->others[i].answered)
            ask(partition, i, MESSAGE_COPY_QUERY, 0, take_query);
}

static bool all_answered(const struct partition *partition)
{
    for (int i = 0; i < partition->backup_count; ++i)
        if (is_other(partition, i) && !partition->promotion->others[i].answered)
            return false;
    return true;
}

/* ---- Deciding ---- */

/* The place of the holder that knows more than this node; -1: nobody does. */
static int better_place(const struct partition *partition)
{
    uint64_t best = copy_version(partition->copy);
    int place = -1;
    for (int i = 0; i < partition->backup_count; ++i) {
        const struct other *other = &partition->promotion->others[i];
        if (!is_other(partition, i) || !other->complete)
            continue;
        if (other->version > best || (!partition->complete && place < 0)) {
            best = other->version;
            place = i;
        }
    }
    return place;
}

static void take_nothing(struct partition *partition, int place, const void *body, size_t length)
{
    (void)partition;
    (void)place;
    (void)body;
    (void)length;
}

static void add_event(const struct partition *partition, belay_event_kind kind)
{
    belay_node *node = partition->node;
    belay_event event = {
        .kind = kind, .view = node->view->number, .node = node->id, .partition = (int)partition->number};
    partition->name_cache(partition, event.cache);
    events_add(node, &event);
}

/* @return false: the cache layer is not ready; a promotion tries again. */
static bool serve(struct partition *partition)
{
    FAULT_POINT("promote-before-serve");
    if (partition->promoted && !partition->promoted(partition)) {
        if (partition->promotion)
            partition->promotion->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
        return false;
    }
    partition_raise_version(partition);
    partition->ready = true;
    partition->promoted_in = partition->node->view->number;
    partition_let_go(partition);
    copy_serve(partition->copy, COPY_SERVES);
    promotion_end(partition);
    add_event(partition, BELAY_EVENT_PARTITION_PROMOTED);
    resync_wanted(partition->node);
    partition_activate(partition);
    return true;
}

/* No holder has a complete copy. The cache's policy says whether an empty one will do. */
static void lose(struct partition *partition)
{
    log_warn("partition %u of cache %u is lost: its last complete copy is gone", partition->number,
             partition->cache);
    add_event(partition, BELAY_EVENT_PARTITION_LOST);
    if (partition->begin_empty(partition)) {
        partition->complete = true;
        serve(partition);
        return;
    }
    promotion_end(partition);
    partition->lost = true;
    partition_activate(partition);
}

void partition_begin_anew(struct partition *partition)
{
    spin_acquire(&partition->lock);
    if (partition->lost && partition->copy) {
        partition->lost = false;
        partition->complete = true;
        if (!serve(partition))
            promotion_begin(partition);
    }
    spin_release(&partition->lock);
}

static bool decide(struct partition *partition)
{
    struct promotion *promotion = partition->promotion;
    int better = better_place(partition);
    if (better < 0 && !partition->complete) {
        lose(partition);
        return false;
    }
    if (better >= 0) {
        promotion->phase = PHASE_PULLING;
        partition->source = partition->backups[better].node;
        ask(partition, better, MESSAGE_COPY_PULL, 0, take_nothing);
        return false;
    }
    promotion->phase = PHASE_ALIGN;
    return true;
}

/* ---- The others become mirrors ---- */

static void compare(struct partition *partition, int place, const struct copy_adopt_answer *answer)
{
    struct other *other = &partition->promotion->others[place];
    const struct copy *held = partition->copy;
    other->differs = other->differs || answer->root != copy_digest(held, UINT32_MAX) ||
                     answer->end != copy_logical_end(held);
    for (uint32_t i = 0; i < answer->count && !other->differs; ++i) {
        uint32_t logical = other->first + i;
        uint64_t digest = copy_physical(held, logical) != ARENA_NO_SEGMENT ? copy_digest(held, logical) : 0;
        other->differs = digest != answer->segments[i].digest;
    }
}

static int remember(struct partition *partition, int place, const struct copy_adopt_answer *answer)
{
    struct other *other = &partition->promotion->others[place];
    for (uint32_t i = 0; i < answer->count; ++i) {
        uint32_t physical = answer->segments[i].physical;
        int result = backup_remember(&partition->backups[place], other->first + i, 1,
                                     answer->descriptor_offset, &physical);
        if (result != BELAY_OK)
            return result;
    }
    partition->backups[place].descriptor_offset = answer->descriptor_offset;
    return BELAY_OK;
}

static void take_adopt(struct partition *partition, int place, const void *body, size_t length)
{
    struct promotion *promotion = partition->promotion;
    struct other *other = &promotion->others[place];
    const struct copy_adopt_answer *answer = body;
    size_t listed = offsetof(struct copy_adopt_answer, segments);
    if (length < listed || answer->count > ADOPT_PER_MESSAGE ||
        length != listed + answer->count * sizeof answer->segments[0])
        return;
    compare(partition, place, answer);
    if (!other->differs && remember(partition, place, answer) != BELAY_OK)
        other->differs = true;
    other->first += answer->count;
    promotion->phase = PHASE_ALIGN;
    if (!other->differs && other->first < answer->end)
        return;
    other->aligned = true;
    if (!other->differs)
        partition->backups[place].state = BACKUP_COMPLETE;
}

/* @return false: an answer is missing. */
static bool align(struct partition *partition)
{
    struct promotion *promotion = partition->promotion;
    for (int i = 0; i < partition->backup_count; ++i) {
        struct other *other = &promotion->others[i];
        if (!is_other(partition, i) || !other->complete || other->aligned)
            continue;
        promotion->phase = PHASE_COMPARING;
        ask(partition, i, MESSAGE_COPY_ADOPT, other->first, take_adopt);
        return false;
    }
    promotion->phase = PHASE_REPLACING;
    for (int i = 0; i < partition->backup_count; ++i) {
        struct other *other = &promotion->others[i];
        if (is_other(partition, i) && other->complete && other->differs) {
            backup_forget_mapping(&partition->backups[i]);
            resync_wanted(partition->node);
        }
    }
    return true;
}

bool promotion_replaces(const struct partition *partition, int place)
{
    const struct promotion *promotion = partition->promotion;
    return promotion && promotion->phase == PHASE_REPLACING && promotion->others[place].complete;
}

static bool all_replaced(const struct partition *partition)
{
    for (int i = 0; i < partition->backup_count; ++i)
        if (is_other(partition, i) && partition->promotion->others[i].complete &&
            partition->backups[i].state != BACKUP_COMPLETE)
            return false;
    return true;
}

/* ---- Steps ---- */

static bool start(struct partition *partition)
{
    uint64_t repaired;
    if (partition->complete && copy_rebuild(partition->copy, &repaired) != BELAY_OK)
        partition->complete = false; /* logged; another holder may have a good one */
    partition->promotion->phase = PHASE_ASKED;
    ask_versions(partition);
    return true;
}

static void ask_again(struct partition *partition)
{
    struct promotion *promotion = partition->promotion;
    promotion->retry_at = 0;
    switch (promotion->phase) {
    case PHASE_ASKED: ask_versions(partition); break;
    case PHASE_PULLING: promotion->phase = PHASE_ASKED; break;
    case PHASE_COMPARING: promotion->phase = PHASE_ALIGN; break;
    default: break;
    }
}

void promotion_step(struct partition *partition)
{
    struct promotion *promotion = partition->promotion;
    bool on = true;
    if (promotion->retry_at) {
        if (clock_now() < promotion->retry_at)
            return;
        ask_again(partition);
    }
    while (on && partition->promotion) {
        switch (promotion->phase) {
        case PHASE_START: on = start(partition); break;
        case PHASE_ASKED: on = all_answered(partition) && decide(partition); break;
        case PHASE_ALIGN: on = align(partition); break;
        case PHASE_REPLACING:
            if (all_replaced(partition))
                serve(partition);
            on = false;
            break;
        default: on = false;
        }
    }
}
