/* SPDX-License-Identifier: BSD-3-Clause */
/* The side of the process that joins. */
#include "base/clock.h"
#include "base/log.h"
#include "cluster/join.h"
#include "cluster/join_talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct joining {
    int socket;
    struct join_address address;
    struct node_settings settings;
    settings_file *file;
    struct join_offer offer;
    struct join_welcome welcome;
    struct assembly assembly;
    struct view_set *views;
    struct fabric_address *addresses;
    void *bytes;
};

/* Any member will do: the first that answers. */
static int reach(struct joining *j, const char *path)
{
    for (int i = 0; i < j->address.count; ++i) {
        j->socket = join_connect(&j->address.contacts[i], j->settings.operation_timeout_ms);
        if (j->socket >= 0)
            return BELAY_OK;
    }
    return log_error(BELAY_ERR_TIMEOUT, "nobody of the job that wrote %s answers: has it ended?", path);
}

/* What has to be equal is as the job has it, unless it was set here to something else. */
static void take_equal_settings(struct node_settings *mine, const struct node_settings *job)
{
    mine->transport = job->transport;
    mine->segment_size = job->segment_size;
    mine->failure_timeout_ms = job->failure_timeout_ms;
    mine->join_room = job->join_room;
    memcpy(mine->address_file, job->address_file, sizeof mine->address_file);
}

static int ask(struct joining *j)
{
    struct introduction mine;
    enum join_purpose purpose = JOIN_TO_JOIN;
    int result = assemble_introduction(&j->settings, &mine);
    if (result == BELAY_OK)
        result = join_prove(j->socket, j->address.secret, false, &purpose);
    struct node_settings job;
    if (result == BELAY_OK)
        result = join_receive(j->socket, &job, sizeof job);
    if (result != BELAY_OK)
        return result;
    take_equal_settings(&j->settings, &job);
    mine.settings = j->settings;
    result = join_send(j->socket, &mine, sizeof mine);
    if (result == BELAY_OK)
        result = join_receive(j->socket, &j->offer, sizeof j->offer);
    if (result != BELAY_OK)
        return result;
    j->offer.text[JOIN_TEXT - 1] = '\0';
    if (j->offer.result != BELAY_OK)
        return log_error(j->offer.result, "the job refuses: %s", j->offer.text);
    if (j->offer.capacity < 1 || j->offer.capacity > (int)BELAY_NODES_MAX || j->offer.id < 0 ||
        j->offer.id >= j->offer.capacity || j->offer.members < 1 || j->offer.members > j->offer.capacity)
        return log_error(BELAY_ERR_PROTOCOL, "joining: a malformed offer");
    struct assembly *a = &j->assembly;
    a->all = calloc((size_t)j->offer.capacity, sizeof *a->all);
    if (!a->all)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for %d introductions", j->offer.capacity);
    a->id = j->offer.id;
    a->members = j->offer.members;
    a->capacity = j->offer.capacity;
    memcpy(a->secret, j->address.secret, sizeof a->secret);
    result = join_receive(j->socket, a->all, (size_t)a->capacity * sizeof *a->all);
    a->all[a->id] = mine;
    return result;
}

static int be_welcome(struct joining *j)
{
    struct fabric_address mine;
    belay_node *node = j->assembly.node;
    fabric_local_address(node->fabric, &mine);
    int result = join_send(j->socket, &mine, sizeof mine);
    if (result == BELAY_OK)
        result = join_receive(j->socket, &j->welcome, sizeof j->welcome);
    if (result != BELAY_OK)
        return result;
    j->welcome.text[JOIN_TEXT - 1] = '\0';
    if (j->welcome.result != BELAY_OK)
        return log_error(j->welcome.result, "the job lets nobody in: %s", j->welcome.text);
    if (j->welcome.views < 1 || j->welcome.views > 1u << 20 || j->welcome.bytes > 1u << 24)
        return log_error(BELAY_ERR_PROTOCOL, "joining: a malformed welcome");
    j->views = malloc(j->welcome.views * sizeof *j->views);
    j->addresses = malloc((size_t)j->offer.capacity * sizeof *j->addresses);
    j->bytes = malloc(j->welcome.bytes + 1);
    if (!j->views || !j->addresses || !j->bytes)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for what the job tells");
    result = join_receive(j->socket, j->views, j->welcome.views * sizeof *j->views);
    if (result == BELAY_OK)
        result = join_receive(j->socket, j->addresses, (size_t)j->offer.capacity * sizeof *j->addresses);
    if (result == BELAY_OK)
        result = join_receive(j->socket, j->bytes, j->welcome.bytes);
    return result;
}

/* The views so far, and those that are members of the newest. */
static int take_views(struct joining *j)
{
    belay_node *node = j->assembly.node;
    int result = BELAY_OK;
    spin_acquire(&node->state_lock);
    node->view->history[0] = j->views[0];
    for (uint32_t i = 1; i < j->welcome.views && result == BELAY_OK; ++i)
        if (!view_advance(node->view, &j->views[i]))
            result = log_error(BELAY_ERR_NO_MEMORY, "no memory for %u views", j->welcome.views);
    const struct node_set *members = &view_now(node->view)->members;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        atomic_store(&node->view->members[peer].alive, node_set_has(members, peer));
    for (int peer = 0; peer < node->view->nodes && result == BELAY_OK; ++peer) {
        if (peer == node->id || !node_set_has(members, peer))
            continue;
        node->addresses[peer] = j->addresses[peer];
        result = liveness_add(node, peer, &node->introductions[peer].process,
                              node->introductions[peer].settings.progress == BELAY_PROGRESS_MANUAL);
        if (result == BELAY_OK)
            result = fabric_add_peer(node->fabric, peer, &j->addresses[peer]);
    }
    spin_release(&node->state_lock);
    return result;
}

static int run(struct joining *j, const char *path, const belay_config *config)
{
    static const struct node_set nobody;
    log_init(-1);
    int result = settings_resolve_node(config, &j->settings, &j->file);
    if (result == BELAY_OK)
        result = join_read_file(path, &j->address);
    if (result == BELAY_OK)
        result = reach(j, path);
    if (result == BELAY_OK)
        result = ask(j);
    if (result != BELAY_OK)
        return result;
    log_init(j->offer.id);
    j->assembly.alive = &nobody;
    result = assemble_node(&j->assembly, &j->settings);
    if (result == BELAY_OK)
        result = be_welcome(j);
    return result == BELAY_OK ? take_views(j) : result;
}

int join_node(const char *path, const belay_config *config, int (*prepare)(belay_node *node),
              belay_node **node, void **bytes, size_t *length)
{
    struct joining *j = calloc(1, sizeof *j);
    if (!j)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to join");
    j->socket = -1;
    j->assembly.prepare = prepare;
    int result = run(j, path, config);
    if (j->socket >= 0)
        close(j->socket);
    if (result == BELAY_OK) {
        j->assembly.node->config_file = j->file;
        j->assembly.node->listener.socket = -1;
        j->assembly.node->joined = true;
        *node = j->assembly.node;
        *bytes = j->bytes;
        *length = j->welcome.bytes;
    } else {
        settings_file_free(j->file);
        free(j->bytes);
        if (j->assembly.node)
            assemble_destroy(j->assembly.node);
        else
            free(j->assembly.all);
    }
    free(j->views);
    free(j->addresses);
    free(j);
    return result;
}
