/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file coordinator.c
 * Opening a cache is collective over the servers. The coordinator (the oldest live node) collects the opens of a name:
 *
 *   1. OPEN from every server, settings compared with the first one's. When all have come they are answered with the
 *      cache's number, or, if any differed, all with the difference. Then every server makes its copies.
 *   2. READY from every server; answered when all have come: from then on every copy stands. Clients' OPENs are
 *      answered now, too.
 */
#include "base/log.h"
#include "cache/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
    struct waiter *next;
    int peer;
    uint32_t call;
    bool server;
};

/* A cache as the coordinator knows it. */
struct registered {
    struct cache_settings settings;
    int first_node; /* whose settings these are */
    uint16_t number;
    uint32_t view;
    bool open, ready;                 /* all servers have opened it; all copies stand */
    int status;                       /* of step 2 */
    char mismatch[MISMATCH_TEXT_MAX]; /* "": none */
    struct waiter *openers, *readiers;
    uint8_t *opened, *made; /* by node */
};

static bool all_servers(const belay_node *node, const uint8_t *have)
{
    for (int i = 0; i < node->view->nodes; ++i)
        if (node->view->members[i].server && view_alive(node->view, i) && !have[i])
            return false;
    return true;
}

static void registered_free(struct registered *entry)
{
    struct waiter *lists[2] = {entry->openers, entry->readiers};
    for (int i = 0; i < 2; ++i)
        for (struct waiter *waiter = lists[i], *next; waiter; waiter = next) {
            next = waiter->next;
            free(waiter);
        }
    free(entry->opened);
    free(entry->made);
    free(entry);
}

static struct registered *find_name(belay_node *node, const char *name)
{
    for (unsigned i = 0; i < BELAY_CACHES_MAX; ++i) {
        struct registered *entry = node->caches->registered[i];
        if (entry && strcmp(entry->settings.name, name) == 0)
            return entry;
    }
    return NULL;
}

static struct registered *make_entry(belay_node *node, uint16_t number, int peer,
                                     const struct cache_settings *settings)
{
    struct registered *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->opened = calloc((size_t)node->view->nodes, 1);
    entry->made = calloc((size_t)node->view->nodes, 1);
    if (!entry->opened || !entry->made) {
        registered_free(entry);
        return NULL;
    }
    entry->settings = *settings;
    entry->first_node = peer;
    entry->number = number;
    node->caches->registered[number] = entry;
    return entry;
}

static struct registered *add_name(belay_node *node, int peer, const struct cache_settings *settings)
{
    unsigned number = 0;
    while (number < BELAY_CACHES_MAX &&
           (node->caches->registered[number] || cache_find(node, (uint16_t)number)))
        ++number;
    return number < BELAY_CACHES_MAX ? make_entry(node, (uint16_t)number, peer, settings) : NULL;
}

static void drop(belay_node *node, struct registered *entry)
{
    node->caches->registered[entry->number] = NULL;
    registered_free(entry);
}

static bool add_waiter(belay_node *node, struct waiter **list, int peer, uint32_t call)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    if (!waiter)
        return false;
    *waiter = (struct waiter){*list, peer, call, node->view->members[peer].server};
    *list = waiter;
    return true;
}

static void answer_list(belay_node *node, struct waiter **list, bool servers_only, int status,
                        const void *body, size_t length)
{
    for (struct waiter **at = list; *at;) {
        struct waiter *waiter = *at;
        if (servers_only && !waiter->server) {
            at = &waiter->next;
            continue;
        }
        if (view_alive(node->view, waiter->peer))
            node_reply(node, waiter->peer, waiter->call, status, body, length);
        *at = waiter->next;
        free(waiter);
    }
}

/* Move the opening on as far as it can go. May drop the entry. */
static void advance(belay_node *node, struct registered *entry)
{
    struct open_answer answer = {.number = entry->number, .view = entry->view, .settings = entry->settings};
    if (entry->mismatch[0]) {
        answer_list(node, &entry->openers, false, BELAY_ERR_MISMATCH, entry->mismatch,
                    strlen(entry->mismatch));
        if (all_servers(node, entry->opened))
            drop(node, entry);
        return;
    }
    if (!entry->open && all_servers(node, entry->opened)) {
        entry->open = true;
        entry->view = answer.view = node->view->number;
    }
    if (entry->open && !entry->ready && all_servers(node, entry->made)) {
        entry->ready = true;
        answer_list(node, &entry->readiers, false, entry->status, NULL, 0);
        if (entry->status != BELAY_OK) {
            answer_list(node, &entry->openers, false, entry->status, NULL, 0);
            drop(node, entry);
            return;
        }
    }
    if (entry->open)
        answer_list(node, &entry->openers, !entry->ready, BELAY_OK, &answer, sizeof answer);
    if (entry->ready)
        answer_list(node, &entry->readiers, false, BELAY_OK, NULL, 0);
}

static void note_mismatch(struct registered *entry, int peer, const struct settings_difference *difference,
                          char *text)
{
    snprintf(text, MISMATCH_TEXT_MAX, "cache %s: %s differs: node %d has %s, node %d has %s",
             entry->settings.name, difference->field, entry->first_node, difference->left, peer,
             difference->right);
}

/* A cache that was opened with a coordinator that is gone: it stands, or this server would not have it. */
static struct registered *inherit(belay_node *node, const struct cache_settings *settings)
{
    for (uint16_t number = 0; number < BELAY_CACHES_MAX; ++number) {
        const belay_cache *cache = cache_find(node, number);
        if (!cache || strcmp(cache->settings.name, settings->name) != 0)
            continue;
        struct registered *entry = make_entry(node, number, node->id, &cache->settings);
        if (!entry)
            return NULL;
        entry->open = entry->ready = true;
        entry->view = cache->view;
        return entry;
    }
    return NULL;
}

bool coordinator_wanted(belay_node *node, struct cache_settings *settings)
{
    bool found = false;
    spin_acquire(&node->state_lock);
    for (unsigned i = 0; i < BELAY_CACHES_MAX && !found; ++i) {
        const struct registered *entry = node->caches->registered[i];
        if (!entry || entry->open || entry->mismatch[0] || entry->opened[node->id])
            continue;
        *settings = entry->settings;
        found = true;
    }
    spin_release(&node->state_lock);
    return found;
}

static int handle_open(belay_node *node, int peer, const struct message_header *header, const void *body,
                       size_t length)
{
    struct cache_settings settings;
    struct settings_difference difference;
    char text[MISMATCH_TEXT_MAX];
    if (length != sizeof settings)
        return BELAY_ERR_PROTOCOL;
    memcpy(&settings, body, sizeof settings);
    if (settings_check_cache(&settings) != BELAY_OK)
        return BELAY_ERR_PROTOCOL;
    struct registered *entry = find_name(node, settings.name);
    if (!entry)
        entry = inherit(node, &settings);
    if (!entry && !(entry = add_name(node, peer, &settings))) {
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
        return BELAY_OK;
    }
    if (settings_compare_cache(&entry->settings, &settings, &difference) != BELAY_OK) {
        note_mismatch(entry, peer, &difference, text);
        if (entry->open) { /* too late for the others: they work with it */
            log_error(BELAY_ERR_MISMATCH, "%s", text);
            node_reply(node, peer, header->call, BELAY_ERR_MISMATCH, text, strlen(text));
            return BELAY_OK;
        }
        if (!entry->mismatch[0])
            memcpy(entry->mismatch, text, sizeof text);
    }
    entry->opened[peer] = 1;
    if (!add_waiter(node, &entry->openers, peer, header->call))
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
    advance(node, entry);
    return BELAY_OK;
}

static int handle_ready(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct ready_request request;
    if (length != sizeof request)
        return BELAY_ERR_PROTOCOL;
    memcpy(&request, body, sizeof request);
    struct registered *entry = request.number < BELAY_CACHES_MAX ? node->caches->registered[request.number]
                                                                 : NULL;
    if (request.status > 0)
        return BELAY_ERR_PROTOCOL;
    if (!entry) { /* its coordinator is gone: the sender begins anew */
        node_reply(node, peer, header->call, BELAY_ERR_NODE_FAILED, NULL, 0);
        return BELAY_OK;
    }
    entry->made[peer] = 1;
    if (request.status != BELAY_OK && entry->status == BELAY_OK)
        entry->status = request.status;
    if (!add_waiter(node, &entry->readiers, peer, header->call))
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
    advance(node, entry);
    return BELAY_OK;
}

/* A server less to wait for. */
static void peer_lost(belay_node *node, int peer)
{
    (void)peer;
    for (unsigned i = 0; i < BELAY_CACHES_MAX; ++i)
        if (node->caches->registered[i])
            advance(node, node->caches->registered[i]);
}

void coordinator_register(belay_node *node)
{
    node_handle(node, MESSAGE_CACHE_OPEN, handle_open);
    node_handle(node, MESSAGE_CACHE_READY, handle_ready);
    node_add_lost_hook(node, peer_lost);
}

void coordinator_destroy(belay_node *node)
{
    for (unsigned i = 0; i < BELAY_CACHES_MAX; ++i)
        if (node->caches->registered[i])
            registered_free(node->caches->registered[i]);
}
