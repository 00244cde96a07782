/* SPDX-License-Identifier: BSD-3-Clause */
/* The job's side of joining: the thread that talks, and what members tell each other. */
#include "cluster/join.h"

#include "base/clock.h"
#include "base/log.h"
#include "cluster/ask.h"
#include "cluster/dispatch.h"
#include "cluster/join_talk.h"
#include "cluster/membership.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TALK_MS = 10000, TRIM_LOOK_MS = 100 };

/* MESSAGE_JOIN_KNOW */
struct know {
    int32_t id;
    uint32_t reserved;
    struct fabric_address address;
    struct introduction introduction;
};
_Static_assert(sizeof(struct know) + sizeof(struct message_header) <= FABRIC_MESSAGE_MAX,
               "it is one message");

/* ---- Between members ---- */

static int handle_id(belay_node *node, int peer, const struct message_header *header, const void *body,
                     size_t length)
{
    (void)body;
    int32_t id = 0;
    if (length != 0)
        return BELAY_ERR_PROTOCOL;
    while (id < node->view->nodes && node->view->members[id].known)
        ++id;
    if (id == node->view->nodes) {
        node_reply(node, peer, header->call, BELAY_ERR_REFUSED, NULL, 0);
        return BELAY_OK;
    }
    node->view->members[id].known = true;
    node_reply(node, peer, header->call, BELAY_OK, &id, sizeof id);
    return BELAY_OK;
}

static int know_process(belay_node *node, const struct know *know)
{
    node->introductions[know->id] = know->introduction;
    node->addresses[know->id] = know->address;
    assemble_member(node, know->id, &know->introduction);
    int result = liveness_add(node, know->id, &know->introduction.process,
                              know->introduction.settings.progress == BELAY_PROGRESS_MANUAL);
    return result == BELAY_OK ? fabric_add_peer(node->fabric, know->id, &know->address) : result;
}

static int handle_know(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct know know;
    if (length != sizeof know)
        return BELAY_ERR_PROTOCOL;
    memcpy(&know, body, sizeof know);
    if (know.id < 0 || know.id >= node->view->nodes ||
        settings_check_node(&know.introduction.settings) != BELAY_OK ||
        fabric_peer_state(node->fabric, know.id) != FABRIC_UNKNOWN)
        return BELAY_ERR_PROTOCOL;
    node_reply(node, peer, header->call, know_process(node, &know), NULL, 0);
    return BELAY_OK;
}

static int handle_join(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    int32_t id;
    (void)peer;
    (void)header;
    if (length != sizeof id)
        return BELAY_ERR_PROTOCOL;
    memcpy(&id, body, sizeof id);
    if (id < 0 || id >= node->view->nodes || !node->view->members[id].known)
        return BELAY_ERR_PROTOCOL;
    membership_join(node, id);
    return BELAY_OK;
}

static int handle_goodbye(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    (void)body;
    if (length != 0)
        return BELAY_ERR_PROTOCOL;
    membership_will_depart(node, peer);
    node_reply(node, peer, header->call, BELAY_OK, NULL, 0);
    if (header->call == 0)
        membership_depart(node, peer);
    return BELAY_OK;
}

static int handle_trim(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    (void)peer;
    (void)header;
    (void)body;
    if (length != 0)
        return BELAY_ERR_PROTOCOL;
    membership_trim(node);
    return BELAY_OK;
}

void join_register(belay_node *node)
{
    node_handle(node, MESSAGE_TRIM, handle_trim);
    node_handle(node, MESSAGE_JOIN_ID, handle_id);
    node_handle(node, MESSAGE_JOIN_KNOW, handle_know);
    node_handle(node, MESSAGE_JOIN, handle_join);
    node_handle(node, MESSAGE_GOODBYE, handle_goodbye);
}

/* ---- The conversation ---- */

static int get_id(belay_node *node, int32_t *id)
{
    struct waited_call call;
    waited_call_init(&call, view_coordinator(node->view), id, sizeof *id);
    int result = node_call_wait(node, call.call.peer, (struct message_header){.type = MESSAGE_JOIN_ID}, NULL,
                                0, &call, node_deadline(node), "joining");
    if (result == BELAY_ERR_REFUSED)
        log_warn("a process wants to join, but all %d places are taken (BELAY_JOIN_ROOM)", node->view->nodes);
    return result == BELAY_OK && call.length != sizeof *id ? BELAY_ERR_PROTOCOL : result;
}

static int tell_all(belay_node *node, const struct know *know)
{
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        struct waited_call call;
        struct message_header header = {.type = MESSAGE_JOIN_KNOW};
        struct iovec part = {(void *)(uintptr_t)know, sizeof *know};
        if (!view_alive(node->view, peer))
            continue;
        waited_call_init(&call, peer, NULL, 0);
        int result = node_call_wait(node, peer, header, &part, 1, &call, node_deadline(node), "joining");
        if (result != BELAY_OK && result != BELAY_ERR_NODE_FAILED)
            return result;
    }
    return BELAY_OK;
}

static int let_in(belay_node *node, int32_t id)
{
    struct message_header header = {.type = MESSAGE_JOIN, .view = node->view->number};
    struct iovec part = {&id, sizeof id};
    struct node_wait wait;
    bool in_time = true;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (view_alive(node->view, peer))
            node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
    node_wait_begin(&wait, node, node_deadline(node));
    while (!view_alive(node->view, id) && in_time)
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    return in_time ? BELAY_OK : log_error(BELAY_ERR_TIMEOUT, "no view lets node %d in", id);
}

static int make_offer(belay_node *node, const struct introduction *theirs, struct join_offer *offer)
{
    struct settings_difference difference;
    *offer = (struct join_offer){.members = node_set_count(&view_at(node->view, 1)->members),
                                 .capacity = node->view->nodes};
    int result = settings_check_node(&theirs->settings);
    if (result == BELAY_OK &&
        settings_compare_node(&node->settings, &theirs->settings, &difference) != BELAY_OK) {
        snprintf(offer->text, sizeof offer->text,
                 "%s differs: the job has %.64s, the process that joins %.64s", difference.field,
                 difference.left, difference.right);
        result = BELAY_ERR_MISMATCH;
    }
    if (result == BELAY_OK)
        result = get_id(node, &offer->id);
    offer->result = result;
    if (result != BELAY_OK && !offer->text[0])
        snprintf(offer->text, sizeof offer->text, "%s", belay_strerror(result));
    return result;
}

static int send_offer(belay_node *node, int socket, const struct join_offer *offer)
{
    int result = join_send(socket, offer, sizeof *offer);
    if (result == BELAY_OK && offer->result == BELAY_OK)
        result = join_send(socket, node->introductions,
                           (size_t)node->view->nodes * sizeof node->introductions[0]);
    return result;
}

static int send_welcome(belay_node *node, int socket, int outcome)
{
    struct join_welcome welcome = {.result = outcome};
    struct view_set *views = NULL;
    void *bytes = NULL;
    size_t length = 0;
    int result = outcome;
    if (outcome == BELAY_OK) {
        spin_acquire(&node->state_lock);
        result = node->tell_joiner(node, &bytes, &length);
        welcome.views = node->view->number;
        views = malloc(welcome.views * sizeof *views);
        if (views)
            memcpy(views, node->view->history, welcome.views * sizeof *views);
        spin_release(&node->state_lock);
        if (!views)
            result = BELAY_ERR_NO_MEMORY;
        welcome.bytes = length;
        welcome.result = result;
    }
    snprintf(welcome.text, sizeof welcome.text, "%s", belay_strerror(welcome.result));
    int sent = join_send(socket, &welcome, sizeof welcome);
    if (sent == BELAY_OK && welcome.result == BELAY_OK)
        sent = join_send(socket, views, welcome.views * sizeof *views);
    if (sent == BELAY_OK && welcome.result == BELAY_OK)
        sent = join_send(socket, node->addresses, (size_t)node->view->nodes * sizeof node->addresses[0]);
    if (sent == BELAY_OK && welcome.result == BELAY_OK)
        sent = join_send(socket, bytes, length);
    free(views);
    free(bytes);
    return sent;
}

static void talk(belay_node *node, int socket)
{
    struct introduction theirs;
    struct join_offer *offer = malloc(sizeof *offer);
    struct know know = {0};
    enum join_purpose purpose;
    join_set_timeouts(socket, TALK_MS);
    if (!offer || join_prove(socket, node->secret, true, &purpose) != BELAY_OK)
        goto end;
    if (purpose == JOIN_TO_ASK) {
        ask_answer(node, socket);
        goto end;
    }
    if (join_send(socket, &node->settings, sizeof node->settings) != BELAY_OK ||
        join_receive(socket, &theirs, sizeof theirs) != BELAY_OK)
        goto end;
    theirs.known = true;
    make_offer(node, &theirs, offer);
    if (send_offer(node, socket, offer) != BELAY_OK || offer->result != BELAY_OK ||
        join_receive(socket, &know.address, sizeof know.address) != BELAY_OK)
        goto end;
    know.id = offer->id;
    know.introduction = theirs;
    int result = tell_all(node, &know);
    if (result == BELAY_OK)
        result = let_in(node, know.id);
    if (send_welcome(node, socket, result) != BELAY_OK || result != BELAY_OK)
        goto end;
    log_info("node %d has joined", know.id);
    node->listener.trim_wanted = node->listener.trim_wanted || theirs.settings.role != BELAY_ROLE_CLIENT;
end:
    free(offer);
}

/* ---- The thread ---- */

/* When a server that joined has its copies, others give theirs up. */
static void trim_if_complete(belay_node *node)
{
    struct message_header header = {.type = MESSAGE_TRIM, .view = node->view->number};
    if (node_excluded(node) || atomic_load(&node->closing) || !node->copies_complete(node))
        return;
    node->listener.trim_wanted = false;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (view_alive(node->view, peer))
            node_send(node, peer, &header, NULL, 0, FABRIC_QUEUE);
}

static void *answer(void *context)
{
    belay_node *node = context;
    struct join_listener *listener = &node->listener;
    struct pollfd ready[2] = {{.fd = listener->socket, .events = POLLIN},
                              {.fd = listener->stop[0], .events = POLLIN}};
    while (poll(ready, 2, listener->trim_wanted ? TRIM_LOOK_MS : -1) >= 0 || errno == EINTR) {
        if (ready[1].revents)
            break;
        if (listener->trim_wanted)
            trim_if_complete(node);
        int socket = ready[0].revents ? accept(listener->socket, NULL, NULL) : -1;
        if (socket < 0)
            continue;
        if (node_excluded(node) || atomic_load(&node->closing))
            log_info("a process wants to join, but this node is leaving");
        else
            talk(node, socket);
        close(socket);
    }
    return NULL;
}

int join_listen(struct join_listener *listener, struct introduction *mine)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof address;
    listener->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->socket < 0 || bind(listener->socket, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener->socket, 16) != 0 ||
        getsockname(listener->socket, (struct sockaddr *)&address, &length) != 0) {
        join_close(listener);
        return log_error(BELAY_ERR_SYSTEM, "cannot listen for processes that join: %s", strerror(errno));
    }
    mine->port = ntohs(address.sin_port);
    if (gethostname(mine->contact, sizeof mine->contact - 1) != 0)
        snprintf(mine->contact, sizeof mine->contact, "localhost");
    return BELAY_OK;
}

void join_close(struct join_listener *listener)
{
    if (listener->socket >= 0)
        close(listener->socket);
    listener->socket = -1;
}

int join_start(belay_node *node)
{
    struct join_listener *listener = &node->listener;
    if (listener->socket < 0)
        return BELAY_OK;
    if (pipe(listener->stop) != 0)
        return log_error(BELAY_ERR_SYSTEM, "pipe: %s", strerror(errno));
    int error = pthread_create(&listener->thread, NULL, answer, node);
    if (error) {
        close(listener->stop[0]);
        close(listener->stop[1]);
        return log_error(BELAY_ERR_SYSTEM, "cannot start a thread: %s", strerror(error));
    }
    listener->running = true;
    return BELAY_OK;
}

void join_stop(belay_node *node)
{
    struct join_listener *listener = &node->listener;
    if (listener->running) {
        if (write(listener->stop[1], "", 1) < 0)
            log_warn("cannot stop the thread that answers processes that join: %s", strerror(errno));
        pthread_join(listener->thread, NULL);
        close(listener->stop[0]);
        close(listener->stop[1]);
        listener->running = false;
    }
    join_close(listener);
}

/* ---- Leaving ---- */

/* First all hear that it will go: else one that has not heard kills it, when others agree on a view without it. */
static void announce_leave(belay_node *node)
{
    for (int peer = 0; peer < node->view->nodes; ++peer) {
        struct waited_call call;
        struct message_header header = {.type = MESSAGE_GOODBYE, .view = node->view->number};
        if (peer == node->id || !view_alive(node->view, peer))
            continue;
        waited_call_init(&call, peer, NULL, 0);
        node_call_wait(node, peer, header, NULL, 0, &call, node_deadline(node), "leaving");
    }
}

int join_leave(belay_node *node)
{
    struct message_header header = {.type = MESSAGE_GOODBYE, .view = node->view->number};
    announce_leave(node);
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (peer != node->id && view_alive(node->view, peer))
            node_send(node, peer, &header, NULL, 0, FABRIC_QUEUE);
    atomic_store(&node->left, true);
    return node_excluded(node) ? node_refuse(node) : BELAY_OK;
}
