/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/assemble.h"

#include "base/fault.h"
#include "base/log.h"
#include "cluster/dispatch.h"
#include "cluster/join.h"
#include "cluster/liveness.h"
#include "cluster/membership.h"
#include "cluster/placement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_DEFAULT_PINNED_MAX = 1 << 30 };

int assemble_introduction(const struct node_settings *settings, struct introduction *mine)
{
    *mine = (struct introduction){.settings = *settings, .known = true};
    int result = fabric_host_identity(mine->host);
    return result == BELAY_OK ? process_self(&mine->process) : result;
}

static bool same_host(const struct assembly *a, int i, int j)
{
    return memcmp(a->all[i].host, a->all[j].host, FABRIC_HOST_SIZE) == 0;
}

static void count_hosts(struct assembly *a)
{
    for (int i = 0; i < a->capacity; ++i) {
        int first = 0;
        if (!a->all[i].known)
            continue;
        while (!same_host(a, first, i))
            ++first;
        a->hosts += first == i;
        if (same_host(a, i, a->id)) {
            a->nodes_on_host++;
            a->index_on_host += i < a->id;
        }
    }
}

/* ---- The node ---- */

static bool wants_verbs(const struct assembly *a, const struct node_settings *settings)
{
    return settings->transport == BELAY_TRANSPORT_VERBS ||
           (settings->transport == BELAY_TRANSPORT_AUTO && a->hosts > 1);
}

static int check_transport(const struct assembly *a, const struct node_settings *settings)
{
    if (settings->transport == BELAY_TRANSPORT_SHM && a->hosts > 1)
        return log_error(
            BELAY_ERR_CONFIG,
            "transport is shm, but the nodes are on %d hosts: set BELAY_TRANSPORT=auto to use verbs between them",
            a->hosts);
    return BELAY_OK;
}

/* Half of what the host has available, shared among its nodes. */
static size_t default_arena_size(const struct assembly *a, bool pinned)
{
    size_t available = (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    char line[128];
    unsigned long kib;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
            available = (size_t)kib * 1024;
    if (file)
        fclose(file);
    size_t size = available / 2 / (size_t)a->nodes_on_host;
    if (pinned && size > ARENA_DEFAULT_PINNED_MAX)
        size = ARENA_DEFAULT_PINNED_MAX;
    return size;
}

static size_t arena_size_for(const struct assembly *a, const struct node_settings *settings, bool pinned)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = settings->arena_size ? (size_t)settings->arena_size : default_arena_size(a, pinned);
    return size / page * page;
}

static int make_view(struct assembly *a)
{
    belay_node *node = a->node;
    node->view = view_make(a->capacity, a->members);
    node->close_wanted = calloc((size_t)a->capacity, sizeof *node->close_wanted);
    node->close_calls = calloc((size_t)a->capacity, sizeof *node->close_calls);
    node->addresses = calloc((size_t)a->capacity, sizeof *node->addresses);
    if (!node->view || !node->close_wanted || !node->close_calls || !node->addresses)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a view of %d nodes", a->capacity);
    for (int i = 0; i < a->capacity; ++i) {
        if (a->all[i].known)
            assemble_member(node, i, &a->all[i]);
        node->view->servers += i < a->members && a->all[i].settings.role == BELAY_ROLE_SERVER;
    }
    return BELAY_OK;
}

void assemble_member(belay_node *node, int id, const struct introduction *introduction)
{
    struct member *member = &node->view->members[id];
    memcpy(&member->host, introduction->host, sizeof member->host);
    view_set_role(node->view, id, introduction->settings.role);
    member->known = true;
}

static int make_liveness(struct assembly *a)
{
    int result = liveness_create(a->node);
    for (int i = 0; i < a->capacity && result == BELAY_OK; ++i)
        if (i != a->id && a->all[i].known && (!a->alive || node_set_has(a->alive, i)))
            result = liveness_add(a->node, i, &a->all[i].process,
                                  a->all[i].settings.progress == BELAY_PROGRESS_MANUAL);
    return result;
}

static void near_device(void *context, const char *device, void *region, size_t size)
{
    belay_node *node = context;
    snprintf(node->device, sizeof node->device, "%s", device);
    int memory = placement_bind_near(device, region, size);
    if (memory >= 0)
        log_info("the arena lies in memory near %s, from NUMA node %d on", device, memory);
}

static int make_fabric(struct assembly *a)
{
    belay_node *node = a->node;
    const struct node_settings *settings = &node->settings;
    bool verbs = wants_verbs(a, settings);
    struct fabric_options options = {
        .node = a->id,
        .peers_max = a->capacity,
        .shm = settings->transport != BELAY_TRANSPORT_VERBS,
        .verbs = verbs,
        .device = settings->device[0] ? settings->device : NULL,
        .region_size = arena_size_for(a, settings, verbs),
        .timeout_ms = settings->operation_timeout_ms,
        .handler = {.message = dispatch_message,
                    .ahead = dispatch_ahead,
                    .lost = dispatch_lost,
                    .context = node},
        .chosen = near_device,
    };
    memcpy(options.secret, a->secret, sizeof options.secret);
    node->verbs = verbs;
    int result = fabric_create(&options, &node->fabric);
    if (result != BELAY_OK)
        return result;
    return arena_create(fabric_region(node->fabric), fabric_region_size(node->fabric),
                        (size_t)settings->segment_size, &node->arena);
}

int assemble_node(struct assembly *a, const struct node_settings *settings)
{
    count_hosts(a);
    int result = check_transport(a, settings);
    if (result == BELAY_OK)
        result = node_create(settings, &a->node);
    if (result != BELAY_OK)
        return result;
    belay_node *node = a->node;
    node->id = a->id;
    node->introductions = a->all;
    memcpy(node->secret, a->secret, sizeof node->secret);
    FAULT_INIT(a->id);
    result = make_view(a);
    if (result == BELAY_OK)
        result = make_liveness(a);
    if (result == BELAY_OK)
        result = make_fabric(a);
    if (result != BELAY_OK)
        return result;
    fabric_local_address(node->fabric, &node->addresses[a->id]);
    membership_register(node);
    liveness_register(node);
    join_register(node);
    result = settlement_create(node);
    if (result != BELAY_OK)
        return result;
    node->progress_cpu = placement_choose((int)settings->progress_core, a->nodes_on_host, a->index_on_host,
                                          node->device);
    return a->prepare(node);
}

void assemble_destroy(belay_node *node)
{
    join_stop(node);
    if (node->release)
        node->release(node);
    if (node->arena)
        arena_destroy(node->arena);
    if (node->fabric)
        fabric_destroy(node->fabric);
    node_destroy(node);
}
