/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/watch.h"

#include "base/log.h"
#include "base/own_key.h"
#include "cache/cache.h"
#include "cache/operation.h"
#include "cache/partitions.h"
#include "cache/request.h"
#include "cache/wire.h"
#include "copy/keys.h"

#include <stdlib.h>
#include <string.h>

/* Messages to this node itself that are not handled yet: no more than so many. */
enum { OWN_MESSAGES_MAX = 1024 };

struct watcher {
    _Atomic(struct watcher *) next;
    int peer;
    uint32_t subscription;
    atomic_bool owes; /* something in `owed` */
    size_t prefix_length;
    unsigned char *prefix;
    _Atomic uint64_t owed[]; /* partitions, a bit each */
};

struct change_message {
    struct wire_change wire;
    unsigned char bytes[WIRE_CHANGE_ROOM];
};

/* ---- Telling ---- */

static uint64_t settled_version(const copy *held)
{
    const struct copy_change *oldest = copy_oldest_pending(held);
    return oldest ? oldest->version - 1 : copy_version(held);
}

static bool is_congested(const belay_node *node, int peer)
{
    return peer == node->id
               ? atomic_load_explicit(&node->caches->own_changes, memory_order_relaxed) >= OWN_MESSAGES_MAX
               : fabric_congested(node->fabric, peer);
}

static void owe(struct partition *partition, struct watcher *watcher)
{
    atomic_fetch_or(&watcher->owed[partition->number / 64], 1ull << partition->number % 64);
    atomic_store(&watcher->owes, true);
    atomic_store(&partition->node->caches->changes_owed, true);
    node_attend(partition->node);
}

static bool is_owed(const struct partition *partition, const struct watcher *watcher)
{
    return atomic_load_explicit(&watcher->owed[partition->number / 64], memory_order_relaxed) >>
               partition->number % 64 &
           1;
}

static size_t bytes_of(const struct wire_change *wire)
{
    return wire->key_length + (wire->with_value ? (size_t)wire->value_length : 0);
}

static void send(struct partition *partition, const struct watcher *watcher, struct change_message *message)
{
    belay_node *node = partition->node;
    struct message_header header = {
        .type = MESSAGE_CHANGE, .cache = partition->cache, .view = node->view->number};
    message->wire.subscription = watcher->subscription;
    message->wire.partition = partition->number;
    message->wire.settled = settled_version(partition->copy);
    struct iovec part = part_of(message, sizeof message->wire + bytes_of(&message->wire));
    if (watcher->peer == node->id)
        atomic_fetch_add_explicit(&node->caches->own_changes, 1, memory_order_relaxed);
    node_send(node, watcher->peer, &header, &part, 1, FABRIC_QUEUE);
}

static void send_or_owe(struct partition *partition, struct watcher *watcher, struct change_message *message)
{
    if (is_owed(partition, watcher) || !view_has(partition->node->view, watcher->peer))
        return;
    if (is_congested(partition->node, watcher->peer))
        owe(partition, watcher);
    else
        send(partition, watcher, message);
}

static bool fill(const copy *held, uint64_t entry_at, struct change_message *message)
{
    struct copy_written written;
    copy_written(held, entry_at, &written);
    bool with_value = !written.removes &&
                      written.key_length + (size_t)written.value_length <= sizeof message->bytes;
    message->wire = (struct wire_change){.version = written.version,
                                         .value_length = written.value_length,
                                         .key_length = written.key_length,
                                         .kind = written.removes ? WIRE_CHANGE_REMOVED : WIRE_CHANGE_PUT,
                                         .with_value = with_value};
    copy_entry_bytes(held, &written, message->bytes, bytes_of(&message->wire));
    return !own_key(message->bytes, written.key_length);
}

static bool matches(const struct watcher *watcher, const struct change_message *message)
{
    return message->wire.key_length >= watcher->prefix_length &&
           memcmp(message->bytes, watcher->prefix, watcher->prefix_length) == 0;
}

static struct watch *watch_of(const struct partition *partition)
{
    return &cache_find(partition->node, partition->cache)->watch;
}

#define FOR_EACH_WATCHER(watch, watcher)                                                                     \
    for (struct watcher *watcher = atomic_load_explicit(&(watch)->first, memory_order_acquire); watcher;     \
         watcher = atomic_load_explicit(&watcher->next, memory_order_acquire))

static void promoted(struct partition *partition)
{
    FOR_EACH_WATCHER(watch_of(partition), watcher)
    owe(partition, watcher);
}

void watch_tell(struct partition *partition, const struct copy_change *change)
{
    struct change_message message;
    if (!change) {
        promoted(partition);
        return;
    }
    if (change->superseded || !fill(partition->copy, change->entry_at, &message))
        return; /* nobody ever saw it */
    FOR_EACH_WATCHER(watch_of(partition), watcher)
    if (matches(watcher, &message))
        send_or_owe(partition, watcher, &message);
}

void watch_tell_cleared(struct partition *partition)
{
    struct change_message message = {
        .wire = {.version = copy_version(partition->copy), .kind = WIRE_CHANGE_CLEARED}};
    FOR_EACH_WATCHER(watch_of(partition), watcher)
    send_or_owe(partition, watcher, &message);
}

/* ---- What is owed ---- */

/* @return false: it has to wait. */
static bool pay(belay_cache *cache, struct watcher *watcher, uint32_t number)
{
    struct change_message message = {.wire = {.kind = WIRE_CHANGE_GAP}};
    struct partition *partition = &cache->partitions[number];
    bool paid = true;
    spin_acquire(&partition->lock);
    if (partition_is_primary(partition) && !partition->lost)
        paid = partition->ready && !is_congested(cache->node, watcher->peer);
    if (paid) {
        atomic_fetch_and(&watcher->owed[number / 64], ~(1ull << number % 64));
        if (partition_is_primary(partition) && partition->ready)
            send(partition, watcher, &message);
    }
    spin_release(&partition->lock);
    return paid;
}

static int pay_all(belay_cache *cache, struct watcher *watcher, bool *busy)
{
    int paid = 0;
    bool all = true;
    atomic_store(&watcher->owes, false); /* whoever owes something from now on says so again */
    for (uint32_t word = 0; word < (cache->partition_count + 63) / 64; ++word)
        for (uint64_t bits = atomic_load(&watcher->owed[word]); bits; bits &= bits - 1) {
            bool now = pay(cache, watcher, word * 64 + (uint32_t)__builtin_ctzll(bits));
            paid += now;
            all = all && now;
        }
    if (!all) {
        atomic_store(&watcher->owes, true);
        atomic_store(&cache->node->caches->changes_owed, true);
        *busy = true;
    }
    return paid;
}

static int progress(belay_node *node, bool *busy)
{
    int paid = 0;
    if (!atomic_load_explicit(&node->caches->changes_owed, memory_order_relaxed))
        return 0;
    atomic_store(&node->caches->changes_owed, false);
    for (uint16_t i = 0; i < BELAY_CACHES_MAX; ++i) {
        belay_cache *cache = cache_find(node, i);
        if (!cache)
            continue;
        FOR_EACH_WATCHER(&cache->watch, watcher)
        if (atomic_load_explicit(&watcher->owes, memory_order_relaxed))
            paid += pay_all(cache, watcher, busy);
    }
    return paid;
}

/* ---- The list ---- */

static struct watcher *find(const belay_cache *cache, int peer, uint32_t subscription)
{
    FOR_EACH_WATCHER(&cache->watch, watcher)
    if (watcher->peer == peer && watcher->subscription == subscription)
        return watcher;
    return NULL;
}

static void free_watcher(struct watcher *watcher)
{
    free(watcher->prefix);
    free(watcher);
}

/* Who still reads it does so under the lock of a partition. */
static void take_out(belay_cache *cache, struct watcher *out)
{
    _Atomic(struct watcher *) *at = &cache->watch.first;
    while (atomic_load(at) != out)
        at = &atomic_load(at)->next;
    atomic_store(at, atomic_load(&out->next));
    bool last = !atomic_load(&cache->watch.first);
    for (uint32_t i = 0; i < cache->partition_count; ++i) {
        spin_acquire(&cache->partitions[i].lock);
        if (last)
            cache->partitions[i].changed = NULL;
        spin_release(&cache->partitions[i].lock);
    }
    free_watcher(out);
}

/* From now on it is told; of what was before, only if it is late. */
static void begin(belay_cache *cache, struct watcher *watcher, bool late)
{
    struct change_message message = {.wire = {.kind = WIRE_CHANGE_BEGIN}};
    for (uint32_t i = 0; i < cache->partition_count; ++i) {
        struct partition *partition = &cache->partitions[i];
        spin_acquire(&partition->lock);
        partition->changed = watch_tell;
        if (partition_is_primary(partition) && !partition->lost) {
            if (late || !partition->ready)
                owe(partition, watcher);
            else
                send(partition, watcher, &message);
        }
        spin_release(&partition->lock);
    }
}

static struct watcher *new_watcher(const belay_cache *cache, int peer, const struct wire_watch *wire,
                                   const void *prefix)
{
    struct watcher *watcher = calloc(1, sizeof *watcher +
                                            (cache->partition_count + 63) / 64 * sizeof watcher->owed[0]);
    unsigned char *bytes = malloc(wire->prefix_length + 1u);
    if (!watcher || !bytes) {
        free(watcher);
        free(bytes);
        return NULL;
    }
    memcpy(bytes, prefix, wire->prefix_length);
    watcher->peer = peer;
    watcher->subscription = wire->subscription;
    watcher->prefix_length = wire->prefix_length;
    watcher->prefix = bytes;
    return watcher;
}

/* ---- Messages ---- */

enum { WATCHERS_MAX = 4096 }; /* of one cache */

static unsigned count_watchers(const belay_cache *cache)
{
    unsigned count = 0;
    FOR_EACH_WATCHER(&cache->watch, watcher)
    count += watcher != NULL;
    return count;
}

static int handle_watch(belay_node *node, int peer, const struct message_header *header, const void *body,
                        size_t length)
{
    struct wire_watch wire;
    if (length < sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    if (wire.prefix_length > BELAY_KEY_MAX || length != sizeof wire + wire.prefix_length)
        return BELAY_ERR_PROTOCOL;
    belay_cache *cache = cache_find(node, header->cache);
    int status = cache ? BELAY_OK : OPERATION_ELSEWHERE;
    if (cache && !find(cache, peer, wire.subscription)) {
        struct watcher *watcher = count_watchers(cache) < WATCHERS_MAX
                                      ? new_watcher(cache, peer, &wire, (const char *)body + sizeof wire)
                                      : NULL;
        if (watcher) {
            atomic_store(&watcher->next, atomic_load(&cache->watch.first));
            atomic_store(&cache->watch.first, watcher);
            begin(cache, watcher, wire.late);
        } else {
            status = log_error(BELAY_ERR_NO_MEMORY, "no memory for a subscription of node %d", peer);
        }
    }
    node_reply(node, peer, header->call, status, NULL, 0);
    return BELAY_OK;
}

static int handle_unwatch(belay_node *node, int peer, const struct message_header *header, const void *body,
                          size_t length)
{
    uint32_t subscription;
    if (length != sizeof subscription)
        return BELAY_ERR_PROTOCOL;
    memcpy(&subscription, body, sizeof subscription);
    belay_cache *cache = cache_find(node, header->cache);
    struct watcher *watcher = cache ? find(cache, peer, subscription) : NULL;
    if (watcher)
        take_out(cache, watcher);
    return BELAY_OK;
}

/* Tell a listed key, if it matches and is newer. A change of it that is pending will be told by itself. */
static void tell_listed(struct partition *partition, struct watcher *watcher, uint64_t since, const void *key,
                        size_t length)
{
    struct change_message message;
    struct copy_found found;
    int looked = copy_find(partition->copy, key_hash(key, length), key, length, &found);
    if (looked != BELAY_OK || found.pending || found.version <= since)
        return;
    if (fill(partition->copy, found.entry_at, &message) && matches(watcher, &message))
        send(partition, watcher, &message);
}

/* What was told may have been lost with the former primary: then keys have older values again, nobody knows which. */
static uint64_t known_since(const struct partition *partition, const struct wire_catch_up *wire)
{
    bool lost = wire->told > partition->found_version && wire->told <= partition->raised_version;
    bool anew = wire->told > copy_version(partition->copy);
    return lost || anew ? 0 : wire->since;
}

/* @return the status. */
static int catch_up(struct partition *partition, struct watcher *watcher, const struct wire_catch_up *wire,
                    struct wire_caught_up *answer)
{
    unsigned char keys[BELAY_KEY_MAX + sizeof(uint16_t)];
    uint16_t length;
    const struct arena_view *view = cache_arena_of(partition->node, partition->node->id);
    int status = partition_not_ready(partition);
    if (status != BELAY_OK || !view)
        return status != BELAY_OK ? status : OPERATION_ELSEWHERE;
    const struct copy_descriptor *descriptor = (const void *)(view->base + partition->descriptor_offset);
    uint64_t since = known_since(partition, wire);
    long used = copy_list_keys(view, descriptor, &answer->cursor, keys, sizeof keys);
    for (size_t at = 0; used > 0 && at < (size_t)used; at += length) {
        memcpy(&length, keys + at, sizeof length);
        at += sizeof length;
        tell_listed(partition, watcher, since, keys + at, length);
    }
    answer->settled = settled_version(partition->copy);
    return used < 0 ? (int)used : BELAY_OK;
}

static int handle_catch_up(belay_node *node, int peer, const struct message_header *header, const void *body,
                           size_t length)
{
    struct wire_catch_up wire;
    if (length != sizeof wire)
        return BELAY_ERR_PROTOCOL;
    memcpy(&wire, body, sizeof wire);
    belay_cache *cache = cache_find(node, header->cache);
    struct partition *partition = partition_by_number(node, header->cache, wire.partition);
    if (!key_cursor_valid(&wire.cursor) || (cache && !partition))
        return BELAY_ERR_PROTOCOL;
    struct wire_caught_up answer = {.cursor = wire.cursor};
    struct watcher *watcher = cache ? find(cache, peer, wire.subscription) : NULL;
    int status = OPERATION_ELSEWHERE;
    if (watcher) {
        spin_acquire(&partition->lock);
        status = catch_up(partition, watcher, &wire, &answer);
        spin_release(&partition->lock);
    }
    node_reply(node, peer, header->call, status, &answer, status == BELAY_OK ? sizeof answer : 0);
    return BELAY_OK;
}

/* ---- Who is gone ---- */

static void view_changed(belay_node *node)
{
    for (uint16_t i = 0; i < BELAY_CACHES_MAX; ++i) {
        belay_cache *cache = cache_find(node, i);
        struct watcher *watcher = cache ? atomic_load(&cache->watch.first) : NULL;
        for (struct watcher *next; watcher; watcher = next) {
            next = atomic_load(&watcher->next);
            if (!view_has(node->view, watcher->peer))
                take_out(cache, watcher);
        }
    }
}

void watch_destroy(belay_cache *cache)
{
    for (struct watcher *watcher = atomic_load(&cache->watch.first), *next; watcher; watcher = next) {
        next = atomic_load(&watcher->next);
        free_watcher(watcher);
    }
}

void watch_register(belay_node *node)
{
    node_handle(node, MESSAGE_WATCH, handle_watch);
    node_handle(node, MESSAGE_UNWATCH, handle_unwatch);
    node_handle(node, MESSAGE_CATCH_UP, handle_catch_up);
    node_add_progress_hook(node, progress);
    node_add_view_hook(node, view_changed);
}
