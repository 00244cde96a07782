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
    ANSWER_BEHIND,    /* the sender lacks views from `number` on */
    ANSWER_LATER      /* never sent: a node left out is still to end */
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
        if (node_set_has(before, peer) != node_set_has(members(node), peer))
            events_add(node, &(belay_event){.kind = node_set_has(before, peer) ? BELAY_EVENT_NODE_LEFT
                                                                               : BELAY_EVENT_NODE_JOINED,
                                            .view = number,
                                            .node = peer});
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
    m->trim = m->trim && !set->trims;
    m->joins = node_set_minus(&m->joins, &set->members);
    m->promised = m->accepted_ballot = 0;
    m->has_accepted = m->lapsed = m->install_waits = false;
    m->accept_waits = -1;
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
    struct membership *m = of(node);
    if (message->number != node->view->number + 1)
        return;
    struct node_set left_out = node_set_minus(members(node), &message->set.members);
    m->install_waits = node_set_has(&message->set.members, node->id) && !liveness_end(node, &left_out);
    if (m->install_waits)
        m->install_waiting = *message;
    else
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
    answer->lapsed = m->lapsed || !liveness_leased(node);
    answer->has_accepted = m->has_accepted;
    answer->accepted_ballot = m->accepted_ballot;
    answer->set = m->accepted;
}

/* The fence comes before the word: whoever hears of the acceptance knows that nothing of the nodes left out arrives here. A process
 * of this host has our memory mapped, so it has to end first. */
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
    struct node_set left_out = node_set_minus(members(node), &message->set.members);
    m->promised = message->ballot;
    lose_left_out(node, &message->set);
    if (!liveness_end(node, &left_out)) {
        answer->status = ANSWER_LATER;
        return;
    }
    answer->lapsed = m->lapsed || !liveness_leased(node);
    answer->silent_for = liveness_silent_for(node, &left_out);
    m->promised = m->accepted_ballot = message->ballot;
    m->has_accepted = true;
    m->accepted = message->set;
    FAULT_POINT("view-after-accept");
}

static void answer_accept(belay_node *node, int peer, const struct view_message *message)
{
    struct membership *m = of(node);
    struct view_message answer;
    accept(node, message, &answer);
    m->accept_waits = answer.status == ANSWER_LATER ? peer : -1;
    if (answer.status == ANSWER_LATER)
        m->accept_waiting = *message;
    else
        send_to(node, peer, MESSAGE_VIEW_ACCEPTED, &answer);
}

enum { MESSAGE_OF_NO_MEMBER = 1 };

/* @return MESSAGE_OF_NO_MEMBER: to be ignored; here the view does not hold yet that lets the sender in. */
static int read_message(const belay_node *node, int peer, const void *body, size_t length,
                        struct view_message *message)
{
    if (length != sizeof *message)
        return BELAY_ERR_PROTOCOL;
    memcpy(message, body, sizeof *message);
    if (message->number == 0)
        return BELAY_ERR_PROTOCOL;
    return node_set_has(members(node), peer) ? BELAY_OK : MESSAGE_OF_NO_MEMBER;
}

static int handle_prepare(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    struct view_message message, answer;
    (void)header;
    int result = read_message(node, peer, body, length, &message);
    if (result != BELAY_OK)
        return result < 0 ? result : BELAY_OK;
    prepare(node, &message, &answer);
    send_to(node, peer, MESSAGE_VIEW_PROMISE, &answer);
    return BELAY_OK;
}

static int handle_accept(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct view_message message;
    (void)header;
    int result = read_message(node, peer, body, length, &message);
    if (result == BELAY_OK && !node_set_has(&message.set.members, peer))
        result = BELAY_ERR_PROTOCOL;
    if (result != BELAY_OK)
        return result < 0 ? result : BELAY_OK;
    if (!node_set_has(&message.set.members, node->id)) {
        membership_exclude(node, "the others suspect it");
        return BELAY_OK;
    }
    answer_accept(node, peer, &message);
    return BELAY_OK;
}

static int handle_commit(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct view_message message;
    (void)header;
    int result = read_message(node, peer, body, length, &message);
    if (result != BELAY_OK)
        return result < 0 ? result : BELAY_OK;
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
    if (m->lapsed || m->some_lapsed || !liveness_leased(node))
        return false;
    struct node_set missing = node_set_minus(members(node), &answered);
    struct node_set unknown = node_set_minus(&missing, &m->certain);
    return node_set_empty(&unknown);
}

/*
 * A node that has not accepted may go on in the present view as long as its lease lasts, reading the memory of nodes that are left
 * out. A quorum renews no such lease. So every member must have accepted, be dead, or be without a lease by now; of the nodes of
 * this host none is a matter of leases.
 */
static bool all_settled(belay_node *node)
{
    const struct membership *m = of(node);
    uint64_t now = clock_now();
    struct node_set dead = node_set_both(&m->proposal.members, &m->certain);
    bool dead_stays = !node_set_empty(&dead); /* what it granted is not in the acceptors' words */
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        if (!node_set_has(members(node), peer) || node_set_has(&m->answered, peer) ||
            node_set_has(&m->certain, peer))
            continue;
        if (!liveness_on_other_host(node, peer))
            return false;
        bool stays = node_set_has(&m->proposal.members, peer);
        uint64_t later = m->quorum_since + liveness_lease_ns(node);
        if (now < (stays || dead_stays || later < m->leases_end ? later : m->leases_end))
            return false;
    }
    return true;
}

static void send_round(belay_node *node, enum message_type type)
{
    struct membership *m = of(node);
    struct view_message message = {.number = node->view->number + 1, .ballot = m->ballot, .set = m->proposal};
    m->answered = (struct node_set){0};
    m->some_lapsed = false;
    m->leases_end = m->quorum_since = 0;
    m->round_ends = clock_now() + (ROUND_MS + (uint64_t)node->id % 64) * NANOSECONDS_PER_MS;
    send_to_all(node, type, &message);
}

static void advance(belay_node *node);

static void fill_proposal(belay_node *node)
{
    struct membership *m = of(node);
    m->proposal = (struct view_set){.resets = m->resets, .trims = m->trim};
    for (int i = 0; i < NODE_SET_WORDS; ++i)
        m->proposal.members.words[i] = (members(node)->words[i] | m->joins.words[i]) & ~m->suspects.words[i];
}

static void note_accepted(belay_node *node, int peer, const struct view_message *answer)
{
    struct membership *m = of(node);
    uint64_t now = clock_now(), lease = liveness_lease_ns(node);
    node_set_add(&m->answered, peer);
    m->some_lapsed = m->some_lapsed || answer->lapsed;
    if (answer->silent_for < lease && now + lease - answer->silent_for > m->leases_end)
        m->leases_end = now + lease - answer->silent_for;
}

/* This node's own acceptance may have had to wait for the end of a process. */
static void accept_own(belay_node *node)
{
    struct membership *m = of(node);
    struct view_message own = {.number = node->view->number + 1, .ballot = m->ballot, .set = m->proposal},
                        answer;
    if (m->phase != MEMBERSHIP_ACCEPTING || node_set_has(&m->answered, node->id))
        return;
    accept(node, &own, &answer);
    if (answer.status == ANSWER_OK)
        note_accepted(node, node->id, &answer);
}

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
        note_accepted(node, node->id, &answer);
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
    fill_proposal(node);
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

/* With a quorum, go on. */
static void advance(belay_node *node)
{
    struct membership *m = of(node);
    if (m->phase == MEMBERSHIP_IDLE || !have_quorum(node))
        return;
    if (m->phase == MEMBERSHIP_PREPARING) {
        if (!m->told)
            fill_proposal(node);
        if (node_set_has(&m->proposal.members, node->id))
            begin_accepting(node);
        else
            membership_exclude(node, "the others suspect it");
        return;
    }
    if (m->quorum_since == 0)
        m->quorum_since = clock_now();
    if (node_set_has(&m->answered, node->id) && all_settled(node))
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
    int result = read_message(node, peer, body, length, &answer);
    if (result != BELAY_OK)
        return result < 0 ? result : BELAY_OK;
    if (!take_answer(node, peer, &answer, MEMBERSHIP_PREPARING))
        return BELAY_OK;
    if (answer.has_accepted && (!m->told || answer.accepted_ballot > m->told_ballot)) {
        m->told = true;
        m->told_ballot = answer.accepted_ballot;
        m->proposal = answer.set;
    }
    m->some_lapsed = m->some_lapsed || answer.lapsed;
    node_set_add(&m->answered, peer);
    advance(node);
    return BELAY_OK;
}

static int handle_accepted(belay_node *node, int peer, const struct message_header *header, const void *body,
                           size_t length)
{
    struct view_message answer;
    (void)header;
    int result = read_message(node, peer, body, length, &answer);
    if (result != BELAY_OK)
        return result < 0 ? result : BELAY_OK;
    if (!take_answer(node, peer, &answer, MEMBERSHIP_ACCEPTING))
        return BELAY_OK;
    note_accepted(node, peer, &answer);
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
    node_set_remove(&m->joins, peer);
    if (!node_set_has(members(node), peer) || atomic_load(&node->left))
        return;
    bool news = !node_set_has(&m->suspects, peer) || (certain && !node_set_has(&m->certain, peer));
    if (!news)
        return;
    if (node_set_empty(&m->suspects))
        m->suspected_at = clock_now();
    if (!node_set_has(&m->suspects, peer))
        events_add(node, &(belay_event){
                             .kind = BELAY_EVENT_NODE_SUSPECTED, .view = node->view->number, .node = peer});
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
    if (!suspicion.certain)
        liveness_expect_end(node, suspicion.node);
    return BELAY_OK;
}

void membership_join(belay_node *node, int peer)
{
    if (node_set_has(members(node), peer))
        return;
    node_set_add(&of(node)->joins, peer);
    node_attend(node);
}

void membership_trim(belay_node *node)
{
    of(node)->trim = true;
    node_attend(node);
}

void membership_will_depart(belay_node *node, int peer)
{
    node_set_add(&of(node)->departed, peer);
}

void membership_depart(belay_node *node, int peer)
{
    dispatch_cut(node, peer, "it leaves");
    membership_suspect(node, peer, true, false);
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
    return !node_set_empty(&m->suspects) || !node_set_empty(&m->joins) || m->resets != 0 || m->trim;
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

static void settle_waiting(belay_node *node)
{
    struct membership *m = of(node);
    if (m->install_waits) {
        struct view_message message = m->install_waiting;
        learn(node, &message);
    }
    if (m->accept_waits >= 0 && !node_excluded(node)) {
        struct view_message message = m->accept_waiting;
        answer_accept(node, m->accept_waits, &message);
    }
}

static int progress(belay_node *node, bool *busy)
{
    struct membership *m = of(node);
    uint32_t number = node->view->number;
    if (node_excluded(node))
        return 0;
    settle_waiting(node);
    *busy = *busy || m->accept_waits >= 0 || m->install_waits;
    if (!change_wanted(node))
        return node->view->number != number;
    *busy = true;
    if (!is_proposer(node)) {
        m->phase = MEMBERSHIP_IDLE;
        return 0;
    }
    uint64_t now = clock_now();
    accept_own(node);
    if (now >= m->round_ends && !(m->phase == MEMBERSHIP_ACCEPTING && have_quorum(node)))
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
    of(node)->accept_waits = -1;
    node_handle(node, MESSAGE_SUSPECT, handle_suspect);
    node_handle(node, MESSAGE_VIEW_PREPARE, handle_prepare);
    node_handle(node, MESSAGE_VIEW_PROMISE, handle_promise);
    node_handle(node, MESSAGE_VIEW_ACCEPT, handle_accept);
    node_handle(node, MESSAGE_VIEW_ACCEPTED, handle_accepted);
    node_handle(node, MESSAGE_VIEW_COMMIT, handle_commit);
    node_add_progress_hook(node, progress);
}
