/* SPDX-License-Identifier: BSD-3-Clause */
#include "mirror/verify.h"

#include "base/clock.h"
#include "base/log.h"
#include "mirror/mirror_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    DIGESTS_PER_MESSAGE = 256,
    DIGEST_CHECK = 1,
    /* Where entries end by themselves, a removal may be on its way while copies are compared. So the primary pauses with them, and
     * what differs is looked at again. */
    QUIET_NS = 300 * 1000000,
    COMPARISONS = 4,
    PAUSE_NS = 20 * 1000000
};

struct digest_request {
    uint32_t partition, first, flags, reserved;
};

struct digest_answer {
    uint64_t root;                         /* digest of the copy's root */
    uint64_t entries, damaged;             /* with DIGEST_CHECK */
    uint64_t endings;                      /* entries end here */
    uint32_t end;                          /* one more than the last attached logical segment */
    uint32_t count;                        /* digests that follow, from `first` on */
    uint64_t digests[DIGESTS_PER_MESSAGE]; /* 0: not attached */
};

/* ---- At a holder ---- */

static void take_digests(const struct copy *held, const struct digest_request *request,
                         struct digest_answer *answer)
{
    answer->root = copy_digest(held, UINT32_MAX);
    answer->end = copy_logical_end(held);
    for (uint32_t logical = request->first; logical < answer->end && answer->count < DIGESTS_PER_MESSAGE;
         ++logical) {
        bool attached = copy_physical(held, logical) != ARENA_NO_SEGMENT;
        answer->digests[answer->count++] = attached ? copy_digest(held, logical) : 0;
    }
    if (request->flags & DIGEST_CHECK) {
        struct copy_check check;
        copy_check(held, &check);
        answer->entries = check.entries;
        answer->damaged = check.damaged;
    }
}

static int handle_digest(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct digest_request request;
    struct digest_answer answer = {0};
    if (length != sizeof request)
        return BELAY_ERR_PROTOCOL;
    memcpy(&request, body, sizeof request);
    struct partition *partition = node->mirror->find(node, header->cache, request.partition);
    if (!partition)
        return BELAY_ERR_PROTOCOL;
    bool wants_primary = request.flags & DIGEST_CHECK;
    if (!partition->copy || !partition->complete || (wants_primary && !partition->ready)) {
        node_reply(node, peer, header->call, MIRROR_NOT_YET, NULL, 0);
        return BELAY_OK;
    }
    uint64_t due_at;
    spin_acquire(&partition->lock);
    answer.endings = copy_has_endings(partition->copy, &due_at);
    if (wants_primary && answer.endings)
        partition->quiet_until = clock_now() + QUIET_NS;
    take_digests(partition->copy, &request, &answer);
    spin_release(&partition->lock);
    node_reply(node, peer, header->call, BELAY_OK, &answer,
               offsetof(struct digest_answer, digests) + answer.count * sizeof answer.digests[0]);
    return BELAY_OK;
}

void mirror_handle_digests(belay_node *node)
{
    node_handle(node, MESSAGE_DIGEST, handle_digest);
}

/* ---- At the caller ---- */

static int ask(belay_node *node, int holder, uint16_t cache, const struct digest_request *request,
               struct digest_answer *answer)
{
    struct waited_call call;
    struct message_header header = {.type = MESSAGE_DIGEST, .cache = cache};
    struct iovec part = part_of(request, sizeof *request);
    waited_call_init(&call, holder, answer, sizeof *answer);
    int result = node_call_wait(node, holder, header, &part, 1, &call, node_deadline(node), "belay_verify");
    if (result != BELAY_OK)
        return result; /* MIRROR_NOT_YET too */
    if (call.length < offsetof(struct digest_answer, digests) || answer->count > DIGESTS_PER_MESSAGE ||
        call.length != offsetof(struct digest_answer, digests) + answer->count * sizeof answer->digests[0])
        return log_error(BELAY_ERR_PROTOCOL, "belay_verify: node %d gave a malformed answer", holder);
    return BELAY_OK;
}

static void report_difference(belay_verify_report *report, const belay_difference *difference)
{
    size_t room = sizeof report->list / sizeof report->list[0];
    report->differences++;
    if (report->listed < room)
        report->list[report->listed++] = *difference;
}

static void compare(belay_verify_report *report, belay_difference where, const struct digest_request *request,
                    const struct digest_answer *primary, const struct digest_answer *backup)
{
    if (request->first == 0 && primary->root != backup->root) {
        where.segment = UINT32_MAX;
        where.primary_digest = primary->root;
        where.backup_digest = backup->root;
        report_difference(report, &where);
    }
    for (uint32_t i = 0; i < primary->count || i < backup->count; ++i) {
        where.segment = request->first + i;
        where.primary_digest = i < primary->count ? primary->digests[i] : 0;
        where.backup_digest = i < backup->count ? backup->digests[i] : 0;
        if (where.primary_digest != where.backup_digest)
            report_difference(report, &where);
    }
}

static void count_bytes(const belay_node *node, belay_verify_report *report,
                        const struct digest_answer *answer)
{
    for (uint32_t i = 0; i < answer->count; ++i)
        if (answer->digests[i])
            report->bytes += arena_segment_size(node->arena);
}

struct comparison {
    struct digest_answer primary, backup;
};

/* One stretch of segments, on all holders. *end: how far the longest copy goes. */
static int compare_stretch(belay_node *node, uint16_t cache, const struct digest_request *request,
                           const int *nodes, int copies, struct comparison *c, belay_verify_report *report,
                           uint32_t *end)
{
    struct digest_request plain = *request;
    int result = ask(node, nodes[0], cache, request, &c->primary);
    if (result != BELAY_OK)
        return result;
    plain.flags = 0;
    *end = c->primary.end;
    count_bytes(node, report, &c->primary);
    if (request->first == 0) {
        report->copies++;
        report->entries += c->primary.entries;
        report->damaged += c->primary.damaged;
    }
    for (int i = 1; i < copies; ++i) {
        if (!view_alive(node->view, nodes[i]))
            continue;
        result = ask(node, nodes[i], cache, &plain, &c->backup);
        if (result == MIRROR_NOT_YET)
            continue; /* its copy is on its way */
        if (result != BELAY_OK)
            return result;
        belay_difference where = {.partition = (int)request->partition, .node = nodes[i]};
        compare(report, where, request, &c->primary, &c->backup);
        count_bytes(node, report, &c->backup);
        report->copies += request->first == 0;
        if (c->backup.end > *end)
            *end = c->backup.end;
    }
    return BELAY_OK;
}

static int compare_once(belay_node *node, uint16_t cache, uint32_t partition, const int *nodes, int copies,
                        struct comparison *comparison, belay_verify_report *report)
{
    struct digest_request request = {.partition = partition, .flags = DIGEST_CHECK};
    uint32_t end = 0;
    int result;
    do {
        result = compare_stretch(node, cache, &request, nodes, copies, comparison, report, &end);
        request.first += DIGESTS_PER_MESSAGE;
        request.flags = 0;
    } while (result == BELAY_OK && request.first < end);
    report->partitions += result == BELAY_OK;
    return result;
}

static void pause_a_little(belay_node *node)
{
    struct node_wait wait;
    node_wait_begin(&wait, node, clock_now() + PAUSE_NS);
    while (node_wait_more(&wait))
        ;
    node_wait_end(&wait);
}

int verify_partition(belay_node *node, uint16_t cache, uint32_t partition, const int *nodes, int copies,
                     belay_verify_report *report)
{
    const belay_verify_report before = *report;
    struct comparison *comparison = malloc(sizeof *comparison);
    if (!comparison)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for digests");
    int result = compare_once(node, cache, partition, nodes, copies, comparison, report);
    for (int i = 1; i < COMPARISONS && result == BELAY_OK && comparison->primary.endings &&
                    report->differences > before.differences;
         ++i) {
        pause_a_little(node);
        *report = before;
        result = compare_once(node, cache, partition, nodes, copies, comparison, report);
    }
    free(comparison);
    return result;
}
