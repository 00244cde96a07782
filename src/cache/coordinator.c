/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file coordinator.c
 * Opening a cache is collective over the servers. The coordinator (the oldest live node) collects the opens of a name:
 *
 *   1. OPEN from every server, settings compared with the first one's. When all have come they are answered with the
 *      cache's number, or, if any differed, all with the difference. Then every server makes its copies.
 *   2. READY from every server; answered when all have come: from then on every copy stands. Clients' OPENs are
 *      answered now, too.
 *
 * When the coordinator dies, what it has answered to some is to hold for all. So each server tells the next one what it was told
 * of each cache (STANDS): that it stands, that it is being made, under which number and from which view, or that it failed.
 * Who was not answered asks again.
 */
#include "base/clock.h"
#include "base/fault.h"
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
    bool open, ready;         /* all servers have opened it; all copies stand */
    int status;               /* of step 2 */
    int failure;              /* of step 1 */
    char text[OPEN_TEXT_MAX]; /* what is to be said of the failure */
    struct waiter *openers, *readiers;
    uint8_t *opened, *made, *told; /* by node; told: of the failure */
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
    free(entry->told);
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
    entry->told = calloc((size_t)node->view->nodes, 1);
    if (!entry->opened || !entry->made || !entry->told) {
        registered_free(entry);
        return NULL;
    }
    entry->settings = *settings;
    entry->first_node = peer;
    entry->number = number;
    node->caches->registered[number] = entry;
    return entry;
}

/* @return BELAY_CACHES_MAX: none. */
static unsigned free_number(belay_node *node)
{
    unsigned number = 0;
    while (number < BELAY_CACHES_MAX &&
           (node->caches->registered[number] || cache_find(node, (uint16_t)number)))
        ++number;
    return number;
}

static struct registered *add_name(belay_node *node, int peer, const struct cache_settings *settings)
{
    unsigned number = free_number(node);
    return number < BELAY_CACHES_MAX ? make_entry(node, (uint16_t)number, peer, settings) : NULL;
}

/* A name that could not be added. */
static void refuse_name(belay_node *node, int peer, const struct message_header *header, const char *name)
{
    char text[OPEN_TEXT_MAX];
    if (free_number(node) < BELAY_CACHES_MAX) {
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
        return;
    }
    snprintf(text, sizeof text, "cache %s: the job has its %u caches; those that were closed count", name,
             BELAY_CACHES_MAX);
    node_reply(node, peer, header->call, BELAY_ERR_TOO_LARGE, text, strlen(text));
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
        FAULT_POINT("open-between-answers");
        *at = waiter->next;
        free(waiter);
    }
}

/* All who wait; the entry stays until every server has been told, whatever it was told before. */
static void fail_waiting(belay_node *node, struct registered *entry)
{
    const struct waiter *lists[2] = {entry->openers, entry->readiers};
    for (int i = 0; i < 2; ++i)
        for (const struct waiter *waiter = lists[i]; waiter; waiter = waiter->next)
            entry->told[waiter->peer] = 1;
    answer_list(node, &entry->openers, false, entry->failure, entry->text, strlen(entry->text));
    answer_list(node, &entry->readiers, false, entry->failure, NULL, 0);
    if (all_servers(node, entry->told))
        drop(node, entry);
}

/* Move the opening on as far as it can go. May drop the entry. */
static void advance(belay_node *node, struct registered *entry)
{
    struct open_answer answer = {.number = entry->number, .view = entry->view, .settings = entry->settings};
    if (entry->failure != BELAY_OK) {
        fail_waiting(node, entry);
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
    snprintf(text, OPEN_TEXT_MAX, "cache %s: %s differs: node %d has %s, node %d has %s",
             entry->settings.name, difference->field, entry->first_node, difference->left, peer,
             difference->right);
}

bool coordinator_wanted(belay_node *node, struct cache_settings *settings)
{
    bool found = false;
    spin_acquire(&node->state_lock);
    for (unsigned i = 0; i < BELAY_CACHES_MAX && !found; ++i) {
        const struct registered *entry = node->caches->registered[i];
        if (!entry || entry->open || entry->failure != BELAY_OK || entry->opened[node->id])
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
    char text[OPEN_TEXT_MAX];
    if (length != sizeof settings)
        return BELAY_ERR_PROTOCOL;
    memcpy(&settings, body, sizeof settings);
    if (settings_check_cache(&settings) != BELAY_OK)
        return BELAY_ERR_PROTOCOL;
    struct registered *entry = find_name(node, settings.name);
    if (!entry && !(entry = add_name(node, peer, &settings))) {
        refuse_name(node, peer, header, settings.name);
        return BELAY_OK;
    }
    if (settings_compare_cache(&entry->settings, &settings, &difference) != BELAY_OK) {
        note_mismatch(entry, peer, &difference, text);
        if (entry->open) { /* too late for the others: they work with it */
            log_error(BELAY_ERR_MISMATCH, "%s", text);
            node_reply(node, peer, header->call, BELAY_ERR_MISMATCH, text, strlen(text));
            return BELAY_OK;
        }
        if (entry->failure == BELAY_OK)
            memcpy(entry->text, text, sizeof text);
        entry->failure = BELAY_ERR_MISMATCH;
    }
    entry->opened[peer] = 1;
    if (!add_waiter(node, &entry->openers, peer, header->call))
        node_reply(node, peer, header->call, BELAY_ERR_NO_MEMORY, NULL, 0);
    FAULT_POINT("open-asked");
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
    if (request.status > 0 || request.name[BELAY_CACHE_NAME_MAX] != '\0')
        return BELAY_ERR_PROTOCOL;
    struct registered *entry = find_name(node, request.name);
    if (!entry ||
        (!entry->open && entry->failure == BELAY_OK)) { /* its coordinator is gone: the sender begins anew */
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

/* ---- Another coordinator ---- */

static void send_outcome(belay_node *node, const struct open_outcome *outcome)
{
    struct message_header header = {.type = MESSAGE_CACHE_STANDS, .view = node->view->number};
    struct iovec part = part_of(outcome, sizeof *outcome);
    node_send(node, view_first_server(node->view), &header, &part, 1, FABRIC_QUEUE);
}

static void tell_standing(const belay_cache *cache)
{
    struct open_outcome outcome = {
        .agreed = {.number = cache->number, .view = cache->view, .settings = cache->settings},
        .told_at = clock_now(),
        .ready = cache->ready};
    send_outcome(cache->node, &outcome);
}

/* An older failure was told to all while the former coordinator lived. */
static bool is_recent(const belay_node *node, const struct open_outcome *failed)
{
    return clock_now() - failed->told_at < 2 * node->settings.failure_timeout_ms * NANOSECONDS_PER_MS;
}

static void tell_next_coordinator(belay_node *node)
{
    struct cache_registry *registry = node->caches;
    for (uint16_t number = 0; number < BELAY_CACHES_MAX; ++number)
        if (cache_find(node, number))
            tell_standing(cache_find(node, number));
    for (int i = 0; i < FAILED_OPENS_KEPT; ++i)
        if (registry->failed[i] && is_recent(node, registry->failed[i]))
            send_outcome(node, registry->failed[i]);
}

void coordinator_note_ready(belay_cache *cache, int asked)
{
    belay_node *node = cache->node;
    spin_acquire(&node->state_lock);
    cache->ready = true;
    if (!view_alive(node->view, asked))
        tell_standing(cache);
    spin_release(&node->state_lock);
}

void coordinator_note_failed(belay_node *node, const struct cache_settings *settings, int status,
                             const char *text, int asked)
{
    struct cache_registry *registry = node->caches;
    struct open_outcome *failed = calloc(1, sizeof *failed);
    if (!failed) {
        log_warn("no memory to note that cache %s could not be opened", settings->name);
        return;
    }
    failed->agreed.settings = *settings;
    failed->told_at = clock_now();
    failed->status = status;
    snprintf(failed->text, sizeof failed->text, "%s", text);
    spin_acquire(&node->state_lock);
    struct open_outcome **place = &registry->failed[registry->failed_count++ % FAILED_OPENS_KEPT];
    free(*place);
    *place = failed;
    if (!view_alive(node->view, asked))
        send_outcome(node, failed);
    spin_release(&node->state_lock);
}

void coordinator_forget_failed(belay_node *node, const char *name)
{
    spin_acquire(&node->state_lock);
    for (int i = 0; i < FAILED_OPENS_KEPT; ++i) {
        struct open_outcome **failed = &node->caches->failed[i];
        if (!*failed || strcmp((*failed)->agreed.settings.name, name) != 0)
            continue;
        free(*failed);
        *failed = NULL;
    }
    spin_release(&node->state_lock);
}

/* Give the entry (NULL: make one) the number that the former coordinator gave. Another one that has it here is not open. */
static struct registered *renumber(belay_node *node, int peer, struct registered *entry,
                                   const struct open_answer *agreed)
{
    struct registered **all = node->caches->registered, *other = all[agreed->number];
    if (other && other == entry)
        return entry;
    if (other) {
        unsigned number = free_number(node);
        if (other->open || number == BELAY_CACHES_MAX)
            return NULL;
        all[number] = other;
        other->number = (uint16_t)number;
        all[agreed->number] = NULL;
    }
    if (!entry)
        return make_entry(node, (uint16_t)agreed->number, peer, &agreed->settings);
    all[entry->number] = NULL;
    entry->number = (uint16_t)agreed->number;
    all[agreed->number] = entry;
    return entry;
}

static void take_standing(belay_node *node, int peer, const struct open_outcome *outcome)
{
    const struct open_answer *agreed = &outcome->agreed;
    struct registered *entry = renumber(node, peer, find_name(node, agreed->settings.name), agreed);
    if (!entry) {
        log_error(BELAY_ERR_NO_MEMORY, "cache %s cannot be registered as number %u", agreed->settings.name,
                  agreed->number);
        return;
    }
    entry->open = true;
    entry->view = agreed->view;
    entry->settings = agreed->settings;
    entry->ready = entry->ready || outcome->ready;
    advance(node, entry);
}

static void take_failed(belay_node *node, int peer, const struct open_outcome *outcome)
{
    struct registered *entry = find_name(node, outcome->agreed.settings.name);
    if (!entry)
        entry = add_name(node, peer, &outcome->agreed.settings);
    if (!entry || entry->ready)
        return;
    entry->failure = outcome->status;
    memcpy(entry->text, outcome->text, sizeof entry->text);
    entry->told[peer] = 1;
    advance(node, entry);
}

static int handle_stands(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct open_outcome outcome;
    (void)header;
    if (length != sizeof outcome)
        return BELAY_ERR_PROTOCOL;
    memcpy(&outcome, body, sizeof outcome);
    if (outcome.status > 0 || outcome.agreed.number >= BELAY_CACHES_MAX ||
        settings_check_cache(&outcome.agreed.settings) != BELAY_OK || outcome.text[OPEN_TEXT_MAX - 1] != '\0')
        return BELAY_ERR_PROTOCOL;
    if (outcome.status == BELAY_OK)
        take_standing(node, peer, &outcome);
    else
        take_failed(node, peer, &outcome);
    return BELAY_OK;
}

/* A server less to wait for, or another one to turn to. */
static void peer_lost(belay_node *node, int peer)
{
    for (unsigned i = 0; i < BELAY_CACHES_MAX; ++i)
        if (node->caches->registered[i])
            advance(node, node->caches->registered[i]);
    if (node_is_server(node) && node->view->members[peer].server && view_first_server(node->view) > peer)
        tell_next_coordinator(node);
}

void coordinator_register(belay_node *node)
{
    node_handle(node, MESSAGE_CACHE_OPEN, handle_open);
    node_handle(node, MESSAGE_CACHE_READY, handle_ready);
    node_handle(node, MESSAGE_CACHE_STANDS, handle_stands);
    node_add_lost_hook(node, peer_lost);
}

void coordinator_destroy(belay_node *node)
{
    for (unsigned i = 0; i < BELAY_CACHES_MAX; ++i)
        if (node->caches->registered[i])
            registered_free(node->caches->registered[i]);
    for (int i = 0; i < FAILED_OPENS_KEPT; ++i)
        free(node->caches->failed[i]);
}
