/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/subscription.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/node_set.h"
#include "cache/operation.h"
#include "cache/wire.h"

#include <stdlib.h>
#include <string.h>

/* Notes that are not told yet; a catch-up goes on below half of it. */
enum { NOTES_MAX = 4096, NOTE_BYTES_MAX = 16 << 20, NOBODY = -1, ASK_AGAIN_MS = 10 };

/* What is known of one partition. */
struct watched {
    uint64_t seen, told; /* everything up to the first; the newest of all */
    int source;          /* node that told last: its primary */
    uint32_t view;       /* of that message */
    bool owed;
};

struct server_told {
    struct call call;
    belay_subscription *subscription;
    bool told, asked;
    uint64_t retry_at; /* after a refusal; clock_now() */
};

struct belay_subscription {
    belay_subscription *next; /* in the registry */
    belay_cache *cache;
    belay_change_handler handler;
    void *context;
    uint32_t number;
    atomic_uint references; /* the registry's, of notes, and of calls */
    atomic_bool closed, told_all;
    uint32_t told_view;          /* in which all servers have been told */
    bool late;                   /* servers that are told from now on may have missed something */
    struct server_told *servers; /* by node */

    atomic_uint notes;
    atomic_size_t note_bytes;
    uint32_t owed_count, owed_next;
    uint64_t retry_at; /* after a catch-up that was refused; clock_now() */

    /* The catch-up under way. */
    struct call call;
    int64_t active; /* partition; NOBODY: none */
    bool asked;
    struct key_cursor cursor;

    size_t prefix_length;
    unsigned char *prefix;
    struct watched partitions[];
};

struct change_note {
    struct event_note note;
    belay_subscription *subscription;
    size_t bytes;
    belay_change change;
    unsigned char data[];
};

static void release(belay_subscription *subscription)
{
    if (atomic_fetch_sub(&subscription->references, 1) != 1)
        return;
    free(subscription->servers);
    free(subscription->prefix);
    free(subscription);
}

static void keep(belay_subscription *subscription)
{
    atomic_fetch_add(&subscription->references, 1);
}

/* ---- Notes ---- */

static void tell(belay_node *node, struct event_note *note)
{
    struct change_note *noted = (struct change_note *)note;
    belay_subscription *subscription = noted->subscription;
    if (node && !atomic_load(&subscription->closed))
        subscription->handler(subscription->cache, &noted->change, subscription->context);
    atomic_fetch_sub(&subscription->notes, 1);
    atomic_fetch_sub(&subscription->note_bytes, noted->bytes);
    free(noted);
    release(subscription);
    if (node)
        node_attend(node);
}

static bool is_half_full(const belay_subscription *subscription)
{
    return atomic_load(&subscription->notes) >= NOTES_MAX / 2 ||
           atomic_load(&subscription->note_bytes) >= NOTE_BYTES_MAX / 2;
}

/* @return false: there is no room. */
static bool note(belay_subscription *subscription, const belay_change *change, const void *bytes,
                 size_t length)
{
    if (atomic_load(&subscription->notes) >= NOTES_MAX ||
        atomic_load(&subscription->note_bytes) + length > NOTE_BYTES_MAX)
        return false;
    struct change_note *noted = malloc(sizeof *noted + length);
    if (!noted)
        return false;
    noted->note.tell = tell;
    noted->subscription = subscription;
    noted->bytes = length;
    noted->change = *change;
    if (length)
        memcpy(noted->data, bytes, length);
    noted->change.key.data = noted->data;
    if (change->value.data)
        noted->change.value.data = noted->data + change->key.length;
    atomic_fetch_add(&subscription->notes, 1);
    atomic_fetch_add(&subscription->note_bytes, length);
    keep(subscription);
    events_note(subscription->cache->node, &noted->note);
    return true;
}

/* ---- What may be missing ---- */

static void owe(belay_subscription *subscription, struct watched *watched)
{
    subscription->owed_count += !watched->owed;
    watched->owed = true;
    node_attend(subscription->cache->node);
}

static void caught_up(struct call *call, int status, const void *body, size_t length)
{
    belay_subscription *subscription = (belay_subscription *)((char *)call -
                                                              offsetof(struct belay_subscription, call));
    struct watched *watched = &subscription->partitions[subscription->active];
    struct wire_caught_up answer;
    subscription->asked = false;
    bool valid = status == BELAY_OK && length == sizeof answer;
    if (valid) {
        memcpy(&answer, body, sizeof answer);
        valid = key_cursor_valid(&answer.cursor);
    }
    if (!valid) {
        owe(subscription, watched);
        subscription->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
    } else if (!watched->owed && answer.cursor.prefix == KEY_PREFIX_END && answer.settled > watched->seen) {
        watched->seen = answer.settled;
    }
    if (!valid || watched->owed || answer.cursor.prefix == KEY_PREFIX_END)
        subscription->active = NOBODY;
    else
        subscription->cursor = answer.cursor;
    node_attend(subscription->cache->node);
    release(subscription);
}

static void ask(belay_subscription *subscription)
{
    belay_cache *cache = subscription->cache;
    struct watched *watched = &subscription->partitions[subscription->active];
    struct wire_catch_up wire = {.subscription = subscription->number,
                                 .partition = (uint32_t)subscription->active,
                                 .since = watched->seen,
                                 .told = watched->told,
                                 .cursor = subscription->cursor};
    struct message_header header = {
        .type = MESSAGE_CATCH_UP, .cache = cache->number, .view = cache->node->view->number};
    subscription->call = (struct call){.answered = caught_up};
    subscription->asked = true;
    keep(subscription);
    if (node_call_queued(cache->node, watched->source, header, &wire, sizeof wire, &subscription->call) ==
        BELAY_OK)
        return;
    subscription->asked = false;
    subscription->active = NOBODY;
    owe(subscription, watched);
    release(subscription);
}

/* The next partition that is owed, if its primary can be asked. */
static bool begin_catch_up(belay_subscription *subscription)
{
    const belay_cache *cache = subscription->cache;
    for (uint32_t looks = 0; looks < cache->partition_count; ++looks) {
        uint32_t number = subscription->owed_next;
        subscription->owed_next = (number + 1) % cache->partition_count;
        struct watched *watched = &subscription->partitions[number];
        belay_change gap = {.kind = BELAY_CHANGE_GAP, .partition = (int)number, .version = watched->seen};
        if (!watched->owed || !view_alive(cache->node->view, watched->source))
            continue;
        if (!note(subscription, &gap, NULL, 0))
            return false;
        watched->owed = false;
        --subscription->owed_count;
        subscription->active = number;
        subscription->cursor = (struct key_cursor){0};
        return true;
    }
    return false;
}

/* ---- Telling the servers ---- */

static void server_answered(struct call *call, int status, const void *body, size_t length)
{
    struct server_told *server = (struct server_told *)((char *)call - offsetof(struct server_told, call));
    belay_subscription *subscription = server->subscription;
    (void)body;
    (void)length;
    server->asked = false;
    server->told = status == BELAY_OK;
    if (!server->told)
        server->retry_at = clock_now() + ASK_AGAIN_MS * NANOSECONDS_PER_MS;
    node_attend(subscription->cache->node);
    release(subscription);
}

static void tell_server(belay_subscription *subscription, int peer)
{
    belay_cache *cache = subscription->cache;
    struct server_told *server = &subscription->servers[peer];
    unsigned char body[sizeof(struct wire_watch) + BELAY_KEY_MAX];
    struct wire_watch wire = {.subscription = subscription->number,
                              .prefix_length = (uint16_t)subscription->prefix_length,
                              .late = subscription->late};
    struct message_header header = {
        .type = MESSAGE_WATCH, .cache = cache->number, .view = cache->node->view->number};
    memcpy(body, &wire, sizeof wire);
    memcpy(body + sizeof wire, subscription->prefix, subscription->prefix_length);
    server->call = (struct call){.answered = server_answered};
    server->subscription = subscription;
    server->asked = true;
    keep(subscription);
    if (node_call_queued(cache->node, peer, header, body, sizeof wire + subscription->prefix_length,
                         &server->call) != BELAY_OK) {
        server->asked = false;
        release(subscription);
    }
}

static void tell_servers(belay_subscription *subscription)
{
    const struct view *view = subscription->cache->node->view;
    bool all = true;
    if (subscription->told_view == view->number)
        return;
    for (int peer = 0; peer < view->nodes; ++peer) {
        struct server_told *server = &subscription->servers[peer];
        if (!view->members[peer].server || !view_alive(view, peer) || server->told)
            continue;
        all = false;
        if (!server->asked && (server->retry_at == 0 || clock_now() >= server->retry_at))
            tell_server(subscription, peer);
    }
    subscription->late = subscription->late || all;
    if (all) {
        subscription->told_view = view->number;
        atomic_store(&subscription->told_all, true);
    }
}

static int progress(belay_node *node, bool *busy)
{
    int done = 0;
    for (belay_subscription *s = node->caches->subscriptions; s; s = s->next) {
        tell_servers(s);
        if (s->asked || is_half_full(s))
            continue;
        if (s->active == NOBODY &&
            (s->owed_count == 0 || (s->retry_at && clock_now() < s->retry_at) || !begin_catch_up(s)))
            continue;
        ask(s);
        ++done;
    }
    (void)busy;
    return done;
}

/* ---- Changes ---- */

static belay_subscription *find(const belay_node *node, uint32_t number)
{
    belay_subscription *subscription = node->caches->subscriptions;
    while (subscription && subscription->number != number)
        subscription = subscription->next;
    return subscription;
}

static bool change_valid(const struct wire_change *wire, size_t length)
{
    bool keyed = wire->kind == WIRE_CHANGE_PUT || wire->kind == WIRE_CHANGE_REMOVED;
    return wire->kind < WIRE_CHANGE_KINDS && wire->with_value <= (wire->kind == WIRE_CHANGE_PUT) &&
           (keyed ? wire->key_length > 0 && wire->key_length <= BELAY_KEY_MAX : wire->key_length == 0) &&
           wire->value_length <= BELAY_VALUE_MAX &&
           length == wire->key_length + (wire->with_value ? (size_t)wire->value_length : 0);
}

/* Messages of a former primary are not listened to any more; with the first one of the next, something may be missing.
 * @return false: it counts for nothing. */
static bool from_primary(belay_subscription *subscription, struct watched *watched, int peer, uint32_t view,
                         uint8_t kind)
{
    if (peer == watched->source)
        return true;
    if (watched->source != NOBODY && view < watched->view)
        return false;
    /* What was missed since the former primary's death is not caught up with: versions say nothing any more. */
    if (watched->owed || subscription->active == watched - subscription->partitions)
        watched->seen = 0;
    if (watched->source != NOBODY || kind == WIRE_CHANGE_GAP)
        owe(subscription, watched);
    watched->source = peer;
    watched->view = view;
    return true;
}

static void take_change(belay_subscription *subscription, const struct wire_change *wire, const void *bytes,
                        size_t length)
{
    static const belay_change_kind kinds[] = {[WIRE_CHANGE_PUT] = BELAY_CHANGE_PUT,
                                              [WIRE_CHANGE_REMOVED] = BELAY_CHANGE_REMOVED,
                                              [WIRE_CHANGE_CLEARED] = BELAY_CHANGE_CLEARED};
    struct watched *watched = &subscription->partitions[wire->partition];
    if (wire->kind == WIRE_CHANGE_GAP)
        owe(subscription, watched);
    if (watched->owed)
        return;
    if (wire->kind != WIRE_CHANGE_BEGIN) {
        belay_change change = {.kind = kinds[wire->kind],
                               .partition = (int)wire->partition,
                               .version = wire->version,
                               .key = {NULL, wire->key_length},
                               .value = {wire->with_value ? bytes : NULL, wire->value_length}};
        if (!note(subscription, &change, bytes, length)) {
            owe(subscription, watched);
            return;
        }
    }
    if (wire->version > watched->told)
        watched->told = wire->version;
    if (subscription->active != (int64_t)wire->partition && wire->settled > watched->seen)
        watched->seen = wire->settled;
}

static int handle_change(belay_node *node, int peer, const struct message_header *header, const void *body,
                         size_t length)
{
    struct wire_change wire;
    if (length < sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    if (!change_valid(&wire, length - sizeof wire))
        return BELAY_ERR_PROTOCOL;
    if (peer == node->id)
        atomic_fetch_sub_explicit(&node->caches->own_changes, 1, memory_order_relaxed);
    belay_subscription *subscription = find(node, wire.subscription);
    if (!subscription || subscription->cache->number != header->cache)
        return BELAY_OK; /* it has been closed */
    if (wire.partition >= subscription->cache->partition_count)
        return BELAY_ERR_PROTOCOL;
    if (from_primary(subscription, &subscription->partitions[wire.partition], peer, header->view, wire.kind))
        take_change(subscription, &wire, (const char *)body + sizeof wire, length - sizeof wire);
    return BELAY_OK;
}

/* ---- Opening and closing ---- */

static belay_subscription *create(belay_cache *cache, const void *prefix, size_t prefix_length)
{
    belay_subscription *s = calloc(1, sizeof *s + cache->partition_count * sizeof s->partitions[0]);
    unsigned char *bytes = malloc(prefix_length + 1);
    struct server_told *servers = calloc((size_t)cache->node->view->nodes, sizeof *servers);
    if (!s || !bytes || !servers) {
        free(s);
        free(bytes);
        free(servers);
        log_error(BELAY_ERR_NO_MEMORY, "no memory for a subscription");
        return NULL;
    }
    if (prefix_length)
        memcpy(bytes, prefix, prefix_length);
    s->cache = cache;
    s->prefix = bytes;
    s->prefix_length = prefix_length;
    s->servers = servers;
    s->references = 1;
    s->active = NOBODY;
    for (uint32_t i = 0; i < cache->partition_count; ++i)
        s->partitions[i].source = NOBODY;
    return s;
}

int subscription_open(belay_cache *cache, const void *prefix, size_t prefix_length,
                      belay_change_handler handler, void *context, belay_subscription **out)
{
    belay_node *node = cache->node;
    struct node_wait wait;
    bool in_time = true;
    belay_subscription *subscription = create(cache, prefix, prefix_length);
    if (!subscription)
        return BELAY_ERR_NO_MEMORY;
    subscription->handler = handler;
    subscription->context = context;
    spin_acquire(&node->state_lock);
    subscription->number = ++node->caches->last_subscription;
    subscription->next = node->caches->subscriptions;
    node->caches->subscriptions = subscription;
    spin_release(&node->state_lock);
    node_attend(node);
    node_wait_begin(&wait, node, node_deadline(node));
    while (in_time && !atomic_load(&subscription->told_all) && !node_excluded(node))
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    if (!atomic_load(&subscription->told_all)) {
        subscription_close(subscription);
        return node_excluded(node)
                   ? node_refuse(node)
                   : log_quiet(BELAY_ERR_TIMEOUT, "belay_subscribe: not all servers answered");
    }
    *out = subscription;
    return BELAY_OK;
}

void subscription_close(belay_subscription *subscription)
{
    belay_cache *cache = subscription->cache;
    belay_node *node = cache->node;
    struct message_header header = {.type = MESSAGE_UNWATCH, .cache = cache->number};
    struct iovec part = part_of(&subscription->number, sizeof subscription->number);
    spin_acquire(&node->state_lock);
    header.view = node->view->number;
    belay_subscription **at = &node->caches->subscriptions;
    while (*at != subscription)
        at = &(*at)->next;
    *at = subscription->next;
    for (int peer = 0; peer < node->view->nodes; ++peer)
        if (view_alive(node->view, peer) &&
            (subscription->servers[peer].told || subscription->servers[peer].asked))
            node_send(node, peer, &header, &part, 1, FABRIC_QUEUE);
    spin_release(&node->state_lock);
    atomic_store(&subscription->closed, true);
    events_await(node);
    release(subscription);
}

void subscriptions_destroy(belay_node *node)
{
    for (belay_subscription *s = node->caches->subscriptions, *next; s; s = next) {
        next = s->next;
        for (int peer = 0; peer < node->view->nodes; ++peer)
            if (s->servers[peer].asked) /* nobody will answer */
                release(s);
        if (s->asked)
            release(s);
        release(s);
    }
    node->caches->subscriptions = NULL;
}

void subscriptions_register(belay_node *node)
{
    node_handle(node, MESSAGE_CHANGE, handle_change);
    node_add_progress_hook(node, progress);
}
