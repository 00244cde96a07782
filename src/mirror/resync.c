/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file resync.c
 * Filling a copy on another node while updates go on. The receiver begins an empty copy, takes the same logical segments, and from then
 * on gets every push; then all segments are written to it, one at a time and under the partition's lock, so that later pushes come
 * behind. Slots of updates that are not published here yet were pushed before: they are written again behind their page. When
 * everything is on its way, the receiver is told that its copy is complete, by a message that arrives behind it all.
 *
 * Everything here runs under the state lock. A backup that is dropped by a new view, or has no room, ends its resync.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 4,            /* resyncs that make progress; the others wait in line */
    SEGMENTS_PER_STEP = 16, /* written in one round of progress */
    SEGMENTS_PER_CALL = 1024,
    ASK_AGAIN_MS = 1,
    NO_ROOM_MS = 100
};

enum step { STEP_BEGIN, STEP_ATTACH, STEP_WRITE, STEP_FINISH, STEP_DONE };

struct resync {
    struct resync *next;
    struct call call;
    struct partition *partition;
    int peer;
    int place;            /* of the backup; -1: another node's promotion pulls the copy */
    struct backup pulled; /* then this is where it goes */
    enum step step;
    bool asked;            /* an answer is missing */
    bool no_room;          /* the receiver cannot keep its old copy beside the new one */
    uint64_t retry_at;     /* clock_now() */
    uint32_t first, count; /* segments being attached; `first` is also how far they are written */
};

static struct backup *target_of(struct resync *resync)
{
    return resync->place < 0 ? &resync->pulled : &resync->partition->backups[resync->place];
}

/* Is it still wanted? */
static bool is_valid(struct resync *resync)
{
    const struct partition *partition = resync->partition;
    if (!view_alive(partition->node->view, resync->peer) || !partition->copy)
        return false;
    if (resync->place < 0)
        return partition->primary == resync->peer && partition->complete;
    const struct backup *backup = target_of(resync);
    return partition_is_primary(partition) && backup->node == resync->peer &&
           backup->state != BACKUP_COMPLETE &&
           (partition->ready || promotion_replaces(partition, resync->place));
}

void resync_wanted(belay_node *node)
{
    atomic_store_explicit(&node->mirror->resync_wanted, true, memory_order_release);
    node_attend(node);
}

/* ---- Beginning ---- */

static bool is_under_way(const struct mirror *mirror, const struct partition *partition, int place)
{
    for (const struct resync *resync = mirror->resyncs; resync; resync = resync->next)
        if (resync->partition == partition && resync->place == place)
            return true;
    return false;
}

static int add(struct partition *partition, int place, int peer)
{
    struct mirror *mirror = partition->node->mirror;
    struct resync *resync = calloc(1, sizeof *resync);
    if (!resync)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to fill a copy");
    resync->partition = partition;
    resync->place = place;
    resync->peer = peer;
    resync->pulled = (struct backup){.node = peer, .state = BACKUP_WAITING};
    struct resync **last = &mirror->resyncs;
    while (*last)
        last = &(*last)->next;
    *last = resync;
    node_attend(partition->node);
    return BELAY_OK;
}

int resync_to(struct partition *partition, int peer)
{
    if (is_under_way(partition->node->mirror, partition, -1))
        return BELAY_OK;
    return add(partition, -1, peer);
}

static void add_waiting(struct partition *partition)
{
    struct mirror *mirror = partition->node->mirror;
    if (!partition_is_primary(partition))
        return;
    for (int i = 0; i < partition->backup_count; ++i) {
        const struct backup *backup = &partition->backups[i];
        bool wanted = backup->node >= 0 && backup->state == BACKUP_WAITING &&
                      (partition->ready || promotion_replaces(partition, i));
        if (wanted && !is_under_way(mirror, partition, i))
            add(partition, i, backup->node);
    }
}

static void add_all_waiting(belay_node *node)
{
    struct mirror *mirror = node->mirror;
    if (!atomic_exchange_explicit(&mirror->resync_wanted, false, memory_order_acq_rel))
        return;
    for (struct partition *partition = NULL; (partition = mirror->walk(node, partition));)
        add_waiting(partition);
}

/* ---- Asking the receiver ---- */

static void answered(struct call *call, int status, const void *body, size_t length);

static void ask(struct resync *resync, enum message_type type, const void *body, size_t length)
{
    struct partition *partition = resync->partition;
    struct message_header header = {.type = (uint8_t)type, .cache = partition->cache};
    resync->call = (struct call){.answered = answered};
    int result = node_call_queued(partition->node, resync->peer, header, body, length, &resync->call);
    resync->asked = result == BELAY_OK;
    if (result != BELAY_OK)
        resync->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
}

static void ask_begin(struct resync *resync)
{
    struct copy_request_body request = {.partition = resync->partition->number};
    ask(resync, MESSAGE_COPY_BEGIN, &request, sizeof request);
}

static void take_begin(struct resync *resync, const void *body, size_t length)
{
    struct copy_place_answer answer;
    if (length != sizeof answer)
        return;
    memcpy(&answer, body, sizeof answer);
    backup_forget_mapping(target_of(resync));
    target_of(resync)->descriptor_offset = answer.descriptor_offset;
    target_of(resync)->state = BACKUP_ATTACHING;
    resync->step = STEP_ATTACH;
}

/* ---- Segments ---- */

static bool lacks(struct resync *resync, uint32_t logical)
{
    const struct backup *target = target_of(resync);
    return copy_physical(resync->partition->copy, logical) != ARENA_NO_SEGMENT &&
           (logical >= target->map_end || target->physical[logical] == ARENA_NO_SEGMENT);
}

/* The next run of segments that the receiver lacks. @return false: it has all of them. */
static bool find_lacking(struct resync *resync)
{
    uint32_t end = copy_logical_end(resync->partition->copy), first = 0;
    while (first < end && !lacks(resync, first))
        ++first;
    resync->first = first;
    resync->count = 0;
    while (first + resync->count < end && resync->count < SEGMENTS_PER_CALL &&
           lacks(resync, first + resync->count))
        ++resync->count;
    return resync->count > 0;
}

/* @return true: go on at once. */
static bool attach(struct resync *resync)
{
    struct partition *partition = resync->partition;
    if (partition->provision.running)
        return false; /* or a segment would be asked for twice */
    if (find_lacking(resync)) {
        struct segments_request request = {
            .partition = partition->number, .first = resync->first, .count = resync->count};
        ask(resync, MESSAGE_SEGMENTS, &request, sizeof request);
        return false;
    }
    target_of(resync)->state = BACKUP_RECEIVING;
    resync->first = 0;
    resync->step = STEP_WRITE;
    return true;
}

/* Segments that were let go of here meanwhile are not kept there. */
static void take_segments(struct resync *resync, const void *body, size_t length)
{
    struct partition *partition = resync->partition;
    const struct segments_answer *answer = body;
    if (length != sizeof *answer + resync->count * sizeof answer->physical[0])
        return;
    if (backup_remember(target_of(resync), resync->first, resync->count, answer->descriptor_offset,
                        answer->physical) != BELAY_OK)
        return;
    for (uint32_t i = resync->first; i < resync->first + resync->count; ++i)
        if (copy_physical(partition->copy, i) == ARENA_NO_SEGMENT)
            partition_release_at(partition, target_of(resync), i, 1);
}

/* ---- Writing ---- */

static void write_pending_slots(struct resync *resync, uint64_t from, uint64_t to)
{
    struct partition *partition = resync->partition;
    for (const struct copy_change *change = copy_oldest_pending(partition->copy); change;
         change = change->newer)
        if (!change->superseded && change->slot_at >= from && change->slot_at < to)
            push_word(partition, target_of(resync), change->slot_at, change->slot);
}

static void write_segment(struct resync *resync, uint32_t logical)
{
    struct partition *partition = resync->partition;
    uint64_t size = arena_segment_size(partition->node->arena), at = logical * size;
    if (copy_physical(partition->copy, logical) == ARENA_NO_SEGMENT)
        return;
    push_range(partition, target_of(resync), at, size);
    write_pending_slots(resync, at, at + size);
}

/* @return true: go on at once. */
static bool write_some(struct resync *resync)
{
    struct partition *partition = resync->partition;
    uint32_t end = copy_logical_end(partition->copy);
    for (int i = 0; i < SEGMENTS_PER_STEP && resync->first < end; ++i) {
        if (fabric_congested(partition->node->fabric, resync->peer))
            return false;
        write_segment(resync, resync->first++);
        FAULT_POINT("resync-segment");
    }
    if (resync->first < end || partition->provision.running)
        return false; /* the receiver may have no room for what it is being asked for: then its copy must not count */
    push_range(partition, target_of(resync), COPY_ROOT_ADDRESS, sizeof(struct copy_root));
    target_of(resync)->state = BACKUP_FINISHING;
    partition->switching += resync->place >= 0;
    resync->step = STEP_FINISH;
    return true;
}

static void ask_finish(struct resync *resync)
{
    struct copy_request_body request = {.partition = resync->partition->number};
    FAULT_POINT("resync-before-finish");
    ask(resync, MESSAGE_COPY_FINISH, &request, sizeof request);
}

static void take_finish(struct resync *resync, const void *body, size_t length)
{
    struct partition *partition = resync->partition;
    belay_node *node = partition->node;
    struct copy_place_answer answer;
    if (length != sizeof answer)
        return;
    memcpy(&answer, body, sizeof answer);
    resync->step = STEP_DONE;
    if (resync->place < 0)
        return;
    target_of(resync)->descriptor_offset = answer.descriptor_offset;
    target_of(resync)->state = BACKUP_COMPLETE;
    partition->switching--;
    belay_event event = {.kind = BELAY_EVENT_PARTITION_RESTORED,
                         .view = node->view->number,
                         .node = resync->peer,
                         .partition = (int)partition->number};
    partition->name_cache(partition, event.cache);
    events_add(node, &event);
}

/* ---- Steps ---- */

/* The receiver has no room, or is not what it was: begin anew later. */
static void fall_back(struct resync *resync, int status)
{
    struct backup *target = target_of(resync);
    if (status == MIRROR_NOT_YET && resync->step == STEP_BEGIN) {
        resync->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
        return;
    }
    if (resync->place >= 0 && target->state == BACKUP_FINISHING)
        resync->partition->switching--;
    backup_forget_mapping(target);
    target->state = BACKUP_WAITING;
    if (status == BELAY_ERR_NO_SPACE)
        partition_want_eviction(resync->partition);
    if (status == BELAY_ERR_NO_SPACE && promotion_replaces(resync->partition, resync->place))
        log_warn(
            "partition %u waits: node %d has no room for a copy beside the one it keeps (BELAY_ARENA_SIZE)",
            resync->partition->number, resync->peer);
    resync->step = STEP_BEGIN;
    resync->retry_at = clock_now() + NO_ROOM_MS * NANOSECONDS_PER_MS;
}

static void take(struct resync *resync, const void *body, size_t length)
{
    switch (resync->step) {
    case STEP_BEGIN: take_begin(resync, body, length); break;
    case STEP_ATTACH: take_segments(resync, body, length); break;
    case STEP_FINISH: take_finish(resync, body, length); break;
    default: break;
    }
}

static void answered(struct call *call, int status, const void *body, size_t length)
{
    struct resync *resync = (struct resync *)((char *)call - offsetof(struct resync, call));
    struct partition *partition = resync->partition;
    spin_acquire(&partition->lock);
    resync->asked = false;
    if (is_valid(resync)) {
        if (status == BELAY_OK)
            take(resync, body, length);
        else if (status != BELAY_ERR_NODE_FAILED)
            fall_back(resync, status);
        partition_activate(partition);
    }
    spin_release(&partition->lock);
}

/* @return false: it is over. */
static bool step(struct resync *resync)
{
    struct partition *partition = resync->partition;
    bool on = true;
    spin_acquire(&partition->lock);
    bool valid = is_valid(resync) && resync->step != STEP_DONE;
    if (valid && resync->step > STEP_BEGIN && target_of(resync)->state == BACKUP_WAITING)
        fall_back(resync, BELAY_ERR_NO_SPACE); /* a provision found no room there */
    while (valid && on && !resync->asked && clock_now() >= resync->retry_at) {
        on = false;
        switch (resync->step) {
        case STEP_BEGIN: ask_begin(resync); break;
        case STEP_ATTACH: on = attach(resync); break;
        case STEP_WRITE: on = write_some(resync); break;
        case STEP_FINISH: ask_finish(resync); break;
        case STEP_DONE: break;
        }
    }
    spin_release(&partition->lock);
    return valid || resync->asked;
}

int resync_progress(belay_node *node, bool *busy)
{
    struct mirror *mirror = node->mirror;
    int at_work = 0;
    add_all_waiting(node);
    for (struct resync **at = &mirror->resyncs; *at && at_work < AT_ONCE;) {
        struct resync *resync = *at;
        if (step(resync)) {
            at = &resync->next;
            ++at_work;
            continue;
        }
        *at = resync->next;
        free(resync->pulled.physical);
        free(resync);
    }
    *busy = *busy || mirror->resyncs;
    return 0;
}

void resync_destroy(belay_node *node)
{
    for (struct resync *resync = node->mirror->resyncs, *next; resync; resync = next) {
        next = resync->next;
        free(resync->pulled.physical);
        free(resync);
    }
    node->mirror->resyncs = NULL;
}
