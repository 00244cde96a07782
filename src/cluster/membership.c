/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file membership.c
 * Agreement on the next view: one instance of single-decree Paxos per view number (L. Lamport, "The Part-Time
 * Parliament", ACM TOCS 16(2), 1998). Acceptors are the members of the present view. See doc/failover.md for the rules;
 * what differs from the textbook is the fence before an acceptance, the quorum of all that are not dead for certain, and
 * ballot 0, which belongs to the oldest member and needs no first phase.
 *
 * Messages may be lost with a peer only, so a proposer asks again just when its round has taken too long.
 */
#include "cluster/membership.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cluster/dispatch.h"
#include "cluster/events.h"
#include "cluster/liveness.h"
#include "cluster/node.h"

#include <string.h>

enum { ROUND_MS = 250 };

enum answer_status {
    ANSWER_OK,
    ANSWER_REFUSED,   /* more was promised: `ballot` says what */
    ANSWER_INSTALLED, /* that view holds already: `set` */
    ANSWER_BEHIND     /* the sender lacks views from `number` on */
};

struct view_message {
    uint32_t number, ballot;
    uint32_t status;
    uint32_t has_accepted, accepted_ballot, reserved; /* of a promise: then `set` is the accepted one */
    struct view_set set;
};

struct suspicion {
    int32_t node;
    uint32_t certain;
};

static struct membership *of(belay_node *node)
{
    return &node->membership;
}

static const struct node_set *members(const belay_node *node)
{
    return &view_now(node->view)->members;
}

static void send_to(belay_node *node, int peer, enum message_type type, const struct view_message *message)
{
    struct message_header header = {.type = (uint8_t)type, .view = node->view->number};
    struct iovec part = {(void *)(uintptr_t)message, sizeof *message};
    node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
}

static void send_to_all(belay_node *node, enum message_type type, const struct view_message *message)
{
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (peer != node->id && view_alive(node->view, peer))
            send_to(node, peer, type, message);
}

/* ---- A new view ---- */

static void lose_left_out(belay_node *node, const struct view_set *set)
{
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (peer != node->id && node_set_has(members(node), peer) && !node_set_has(&set->members, peer))
            dispatch_cut(node, peer, "it is left out of the view");
}

static void tell_events(belay_node *node, const struct node_set *before)
{
    uint32_t number = node->view->number;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (node_set_has(before, peer) && !node_set_has(members(node), peer))
            events_add(node, &(belay_event){.kind = BELAY_EVENT_NODE_LEFT, .view = number, .node = peer});
    events_add(node, &(belay_event){.kind = BELAY_EVENT_VIEW_CHANGED, .view = number, .node = node->id});
}

static void install(belay_node *node, const struct view_set *set)
{
    struct membership *m = of(node);
    struct node_set before = *members(node);
    if (!node_set_has(&set->members, node->id)) {
        membership_exclude(node, "the others have agreed on a view without it");
        return;
    }
    lose_left_out(node, set);
    FAULT_POINT("view-install");
    if (!view_advance(node->view, set)) {
        membership_exclude(node, "no memory for another view");
        return;
    }
    m->suspects = node_set_both(&m->suspects, &set->members);
    m->certain = node_set_both(&m->certain, &set->members);
    m->resets &= ~set->resets;
    m->promised = m->accepted_ballot = 0;
    m->has_accepted = false;
    m->phase = MEMBERSHIP_IDLE;
    m->round_ends = 0;
    m->without_quorum_since = 0;
    log_info("view %u: %d nodes", node->view->number, node_set_count(&set->members));
    for (int i = 0; i < node->view_hook_count; ++i)
        node->view_hooks[i](node);
    tell_events(node, &before);
    node_attend(node);
}

/* A set that is known to hold, for the number behind the present one or an older one. */
static void learn(belay_node *node, const struct view_message *message)
{
    if (message->number == node->view->number + 1)
        install(node, &message->set);
}

/* ---- Acceptor ---- */

/* @return true: the message is about the next view and can be answered. */
static bool is_for_next(belay_node *node, const struct view_message *message, struct view_message *answer)
{
    *answer = (struct view_message){.number = message->number, .ballot = message->ballot};
    if (message->number <= node->view->number) {
        answer->status = ANSWER_INSTALLED;
        answer->set = *view_at(node->view, message->number);
        return false;
    }
    if (message->number > node->view->number + 1) {
        answer->status = ANSWER_BEHIND;
        answer->number = node->view->number + 1;
        return false;
    }
    return true;
}

static void prepare(belay_node *node, const struct view_message *message, struct view_message *answer)
{
    struct membership *m = of(node);
    if (!is_for_next(node, message, answer))
        return;
    if (message->ballot < m->promised) {
        answer->status = ANSWER_REFUSED;
        answer->ballot = m->promised;
        return;
    }
    m->promised = message->ballot;
    answer->has_accepted = m->has_accepted;
    answer->accepted_ballot = m->accepted_ballot;
    answer->set = m->accepted;
}

/* The fence comes before the word: whoever hears of the acceptance knows that nothing of the nodes left out arrives here. */
static void accept(belay_node *node, const struct view_message *message, struct view_message *answer)
{
    struct membership *m = of(node);
    if (!is_for_next(node, message, answer))
        return;
    if (message->ballot < m->promised) {
        answer->status = ANSWER_REFUSED;
        answer->ballot = m->promised;
        return;
    }
    FAULT_POINT("view-before-accept");
    lose_left_out(node, &message->set);
    m->promised = m->accepted_ballot = message->ballot;
    m->has_accepted = true;
    m->accepted = message->set;
    FAULT_POINT("view-after-accept");
}

static bool read_message(const belay_node *node, int peer, const void *body, size_t length,
                         struct view_message *message)
{
    if (length != sizeof *message)
        return false;
    memcpy(message, body, sizeof *message);
    return message->number > 0 && node_set_has(members(node), peer);
}

static int handle_prepare(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    struct view_message message, answer;
    (void)header;
    if (!read_message(node, peer, body, length, &message))
        return BELAY_ERR_PROTOCOL;
    prepare(node, &message, &answer);
    send_to(node, peer, MESSAGE_VIEW_PROMISE, &answer);
    return BELAY_OK;
}

static int handle_accept(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct view_message message, answer;
    (void)header;
    if (!read_message(node, peer, body, length, &message) || !node_set_has(&message.set.members, peer))
        return BELAY_ERR_PROTOCOL;
    if (!node_set_has(&message.set.members, node->id)) {
        membership_exclude(node, "the others suspect it");
        return BELAY_OK;
    }
    accept(node, &message, &answer);
    send_to(node, peer, MESSAGE_VIEW_ACCEPTED, &answer);
    return BELAY_OK;
}

static int handle_commit(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct view_message message;
    (void)header;
    if (!read_message(node, peer, body, length, &message))
        return BELAY_ERR_PROTOCOL;
    learn(node, &message);
    return BELAY_OK;
}

/* ---- Proposer ---- */

static bool have_quorum(belay_node *node)
{
    const struct membership *m = of(node);
    struct node_set answered = node_set_both(&m->answered, members(node));
    if (2 * node_set_count(&answered) > node_set_count(members(node)))
        return true;
    if (!liveness_in_touch(node))
        return false;
    struct node_set missing = node_set_minus(members(node), &answered);
    struct node_set unknown = node_set_minus(&missing, &m->certain);
    return node_set_empty(&unknown);
}

static void send_round(belay_node *node, enum message_type type)
{
    struct membership *m = of(node);
    struct view_message message = {.number = node->view->number + 1, .ballot = m->ballot, .set = m->proposal};
    m->answered = (struct node_set){0};
    m->round_ends = clock_now() + (ROUND_MS + (uint64_t)node->id % 64) * NANOSECONDS_PER_MS;
    send_to_all(node, type, &message);
}

static void advance(belay_node *node);

static void begin_accepting(belay_node *node)
{
    struct membership *m = of(node);
    struct view_message own = {.number = node->view->number + 1, .ballot = m->ballot, .set = m->proposal},
                        answer;
    m->phase = MEMBERSHIP_ACCEPTING;
    send_round(node, MESSAGE_VIEW_ACCEPT);
    FAULT_POINT("view-proposed");
    accept(node, &own, &answer);
    if (answer.status == ANSWER_OK)
        node_set_add(&m->answered, node->id);
    advance(node);
}

static void begin_preparing(belay_node *node)
{
    struct membership *m = of(node);
    struct view_message own = {.number = node->view->number + 1}, answer;
    m->phase = MEMBERSHIP_PREPARING;
    m->told = false;
    own.ballot = m->ballot = ++m->rounds * BELAY_NODES_MAX + (uint32_t)node->id;
    send_round(node, MESSAGE_VIEW_PREPARE);
    prepare(node, &own, &answer);
    if (answer.status != ANSWER_OK)
        return;
    node_set_add(&m->answered, node->id);
    if (m->has_accepted) {
        m->told = true;
        m->told_ballot = m->accepted_ballot;
        m->proposal = m->accepted;
    }
    advance(node);
}

static void begin_round(belay_node *node)
{
    struct membership *m = of(node);
    m->proposal.members = node_set_minus(members(node), &m->suspects);
    m->proposal.resets = m->resets;
    uint32_t next = node->view->number + 1;
    if (node_set_first(members(node)) == node->id && m->first_ballot_of != next && m->promised == 0) {
        m->first_ballot_of = next;
        m->ballot = 0;
        begin_accepting(node);
    } else {
        begin_preparing(node);
    }
}

static void commit(belay_node *node)
{
    struct membership *m = of(node);
    struct view_message message = {.number = node->view->number + 1, .ballot = m->ballot, .set = m->proposal};
    FAULT_POINT("view-before-commit");
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (peer == node->id || !view_alive(node->view, peer))
            continue;
        send_to(node, peer, MESSAGE_VIEW_COMMIT, &message);
        FAULT_POINT("view-between-commits");
    }
    struct view_set chosen = m->proposal;
    install(node, &chosen);
}

/* With a quorum, go on. A view without a node whose lease may still hold is committed later. */
static void advance(belay_node *node)
{
    struct membership *m = of(node);
    if (m->phase == MEMBERSHIP_IDLE || !have_quorum(node))
        return;
    if (m->phase == MEMBERSHIP_PREPARING) {
        if (!m->told) {
            m->proposal.members = node_set_minus(members(node), &m->suspects);
            m->proposal.resets = m->resets;
        }
        if (node_set_has(&m->proposal.members, node->id))
            begin_accepting(node);
        else
            membership_exclude(node, "the others suspect it");
        return;
    }
    struct node_set left_out = node_set_minus(members(node), &m->proposal.members);
    if (liveness_leases_ended(node, &left_out))
        commit(node);
}

/* The other node is behind: tell it what it lacks, then ask again. */
static void catch_up(belay_node *node, int peer, uint32_t from)
{
    struct membership *m = of(node);
    struct view_message message;
    for (uint32_t number = from; number > 0 && number <= node->view->number; ++number) {
        message = (struct view_message){.number = number, .set = *view_at(node->view, number)};
        send_to(node, peer, MESSAGE_VIEW_COMMIT, &message);
    }
    message = (struct view_message){
        .number = node->view->number + 1, .ballot = m->ballot, .set = m->proposal};
    if (m->phase != MEMBERSHIP_IDLE)
        send_to(node, peer, m->phase == MEMBERSHIP_PREPARING ? MESSAGE_VIEW_PREPARE : MESSAGE_VIEW_ACCEPT,
                &message);
}

/* @return true: it is a yes to the present round. */
static bool take_answer(belay_node *node, int peer, const struct view_message *answer,
                        enum membership_phase phase)
{
    struct membership *m = of(node);
    if (answer->status == ANSWER_INSTALLED) {
        learn(node, answer);
        return false;
    }
    if (answer->status == ANSWER_BEHIND) {
        catch_up(node, peer, answer->number);
        return false;
    }
    if (m->phase != phase || answer->number != node->view->number + 1)
        return false;
    if (answer->status == ANSWER_REFUSED) {
        if (answer->ballot / BELAY_NODES_MAX > m->rounds)
            m->rounds = answer->ballot / BELAY_NODES_MAX;
        m->phase = MEMBERSHIP_IDLE; /* again, after a while */
        return false;
    }
    return answer->ballot == m->ballot;
}

static int handle_promise(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    struct membership *m = of(node);
    struct view_message answer;
    (void)header;
    if (!read_message(node, peer, body, length, &answer))
        return BELAY_ERR_PROTOCOL;
    if (!take_answer(node, peer, &answer, MEMBERSHIP_PREPARING))
        return BELAY_OK;
    if (answer.has_accepted && (!m->told || answer.accepted_ballot > m->told_ballot)) {
        m->told = true;
        m->told_ballot = answer.accepted_ballot;
        m->proposal = answer.set;
    }
    node_set_add(&m->answered, peer);
    advance(node);
    return BELAY_OK;
}

static int handle_accepted(belay_node *node, int peer, const struct message_header *header, const void *body,
                           size_t length)
{
    struct view_message answer;
    (void)header;
    if (!read_message(node, peer, body, length, &answer))
        return BELAY_ERR_PROTOCOL;
    if (!take_answer(node, peer, &answer, MEMBERSHIP_ACCEPTING))
        return BELAY_OK;
    node_set_add(&of(node)->answered, peer);
    advance(node);
    return BELAY_OK;
}

/* ---- Suspicion ---- */

static void tell_all(belay_node *node, int peer, bool certain)
{
    struct suspicion suspicion = {.node = peer, .certain = certain};
    struct message_header header = {.type = MESSAGE_SUSPECT, .view = node->view->number};
    struct iovec part = {&suspicion, sizeof suspicion};
    for (int other = 0; other < node->view->nodes; ++other)
        if (other != node->id && other != peer && view_alive(node->view, other))
            node_send(node, other, &header, &part, 1, FABRIC_QUEUE);
}

void membership_suspect(belay_node *node, int peer, bool certain, bool tell)
{
    struct membership *m = of(node);
    if (!node_set_has(members(node), peer) || atomic_load(&node->left))
        return;
    bool news = !node_set_has(&m->suspects, peer) || (certain && !node_set_has(&m->certain, peer));
    if (!news)
        return;
    if (node_set_empty(&m->suspects))
        m->suspected_at = clock_now();
    node_set_add(&m->suspects, peer);
    if (certain)
        node_set_add(&m->certain, peer);
    if (tell)
        tell_all(node, peer, certain);
    node_attend(node);
    advance(node);
}

/* An older node's word is believed; a younger one's only about a death that is certain: of two nodes that cannot reach each other the
 * older one stays. */
static int handle_suspect(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    struct suspicion suspicion;
    (void)header;
    if (length != sizeof suspicion)
        return BELAY_ERR_PROTOCOL;
    memcpy(&suspicion, body, sizeof suspicion);
    if (suspicion.node < 0 || suspicion.node >= node->view->nodes)
        return BELAY_ERR_PROTOCOL;
    if (suspicion.node == node->id || (!suspicion.certain && suspicion.node < peer))
        return BELAY_OK;
    if (suspicion.certain)
        dispatch_cut(node, suspicion.node, "its process has ended");
    membership_suspect(node, suspicion.node, suspicion.certain, false);
    return BELAY_OK;
}

void membership_reset(belay_node *node, uint64_t caches)
{
    of(node)->resets |= caches;
    node_attend(node);
}

/* ---- Progress ---- */

static bool change_wanted(const belay_node *node)
{
    const struct membership *m = &node->membership;
    return !node_set_empty(&m->suspects) || m->resets != 0;
}

static bool is_proposer(const belay_node *node)
{
    struct node_set unsuspected = node_set_minus(members(node), &node->membership.suspects);
    return node_set_first(&unsuspected) == node->id;
}

static void note_quorum_missing(belay_node *node, uint64_t now)
{
    struct membership *m = of(node);
    if (m->without_quorum_since == 0)
        m->without_quorum_since = now;
    else if (now - m->without_quorum_since > 4 * node->settings.failure_timeout_ms * NANOSECONDS_PER_MS)
        membership_exclude(node, "it is cut off from the majority of the nodes");
}

static int progress(belay_node *node, bool *busy)
{
    struct membership *m = of(node);
    uint32_t number = node->view->number;
    if (!change_wanted(node) || node_excluded(node))
        return 0;
    *busy = true;
    if (!is_proposer(node)) {
        m->phase = MEMBERSHIP_IDLE;
        return 0;
    }
    uint64_t now = clock_now();
    if (now >= m->round_ends)
        begin_round(node);
    else
        advance(node);
    if (node->view->number == number && now - m->suspected_at > ROUND_MS * NANOSECONDS_PER_MS)
        note_quorum_missing(node, now);
    return node->view->number != number;
}

void membership_exclude(belay_node *node, const char *why)
{
    if (atomic_exchange(&node->excluded, true))
        return;
    atomic_store(&node->guarded, true);
    log_error(BELAY_ERR_EXCLUDED, "this node is left out of the job: %s", why);
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (peer != node->id)
            dispatch_cut(node, peer, "this node is left out");
    for (int i = 0; i < node->view_hook_count; ++i)
        node->view_hooks[i](node);
    events_add(node,
               &(belay_event){.kind = BELAY_EVENT_EXCLUDED, .view = node->view->number, .node = node->id});
}

void membership_register(belay_node *node)
{
    node_handle(node, MESSAGE_SUSPECT, handle_suspect);
    node_handle(node, MESSAGE_VIEW_PREPARE, handle_prepare);
    node_handle(node, MESSAGE_VIEW_PROMISE, handle_promise);
    node_handle(node, MESSAGE_VIEW_ACCEPT, handle_accept);
    node_handle(node, MESSAGE_VIEW_ACCEPTED, handle_accepted);
    node_handle(node, MESSAGE_VIEW_COMMIT, handle_commit);
    node_add_progress_hook(node, progress);
}
