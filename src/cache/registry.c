/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file registry.c
 * The caches of this node: opening them together with the other nodes, closing, and what concerns all of them.
 */
#include "cache/registry.h"
#include "cache/ahead.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "cache/async.h"
#include "cache/expiry.h"
#include "cache/map.h"
#include "cache/observe.h"
#include "cache/partitions.h"
#include "cache/serve.h"
#include "cache/staging.h"
#include "cache/standby.h"
#include "cache/subscription.h"
#include "cache/sweep.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_locks.h"
#include "mirror/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

belay_cache *cache_find(belay_node *node, uint16_t number)
{
    if (number >= BELAY_CACHES_MAX)
        return NULL;
    return atomic_load_explicit(&node->caches->caches[number], memory_order_acquire);
}

/* ---- Making a cache at this node ---- */

static int make_map(belay_cache *cache, uint32_t from, uint32_t until)
{
    cache->lost = calloc(cache->partition_count, sizeof *cache->lost);
    if (!cache->lost)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for its map", cache->settings.name);
    int result = map_create(cache, from, until);
    for (uint32_t i = 0; result == BELAY_OK && i < cache->partition_count; ++i)
        if (cache_primary(cache, i) == MAP_NOBODY)
            partitions_note_lost(cache, i);
    return result;
}

/* Descriptors of the copies here. */
static int take_block(belay_cache *cache)
{
    arena *a = cache->node->arena;
    if (!node_is_server(cache->node))
        return BELAY_OK;
    size_t bytes = 2 * (size_t)cache->partition_count * DESCRIPTOR_SIZE; /* the second half: spare ones */
    size_t segment_size = arena_segment_size(a);
    cache->block_segments = (uint32_t)((bytes + segment_size - 1) / segment_size);
    cache->block_first = arena_take_run(a, cache->block_segments);
    if (cache->block_first == ARENA_NO_SEGMENT)
        return log_error(
            BELAY_ERR_NO_SPACE,
            "cache %s: the arena has no room for %u partitions: raise BELAY_ARENA_SIZE (now %zu) or lower "
            "the cache's partitions",
            cache->settings.name, cache->partition_count, arena_size(a));
    cache->block_offset = arena_segment_offset(a, cache->block_first);
    return BELAY_OK;
}

static int make_partitions(belay_cache *cache, bool fresh)
{
    cache->partitions = aligned_alloc(64, (size_t)cache->partition_count * sizeof *cache->partitions);
    if (!cache->partitions)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for %u partitions", cache->settings.name,
                         cache->partition_count);
    memset(cache->partitions, 0, (size_t)cache->partition_count * sizeof *cache->partitions);
    for (uint32_t i = 0; i < cache->partition_count; ++i) {
        int result = partitions_make(cache, i, fresh);
        if (result != BELAY_OK)
            return result;
    }
    return BELAY_OK;
}

static int make_remote_state(belay_cache *cache)
{
    size_t nodes = (size_t)cache->node->view->nodes;
    cache->peers = calloc(nodes, sizeof *cache->peers);
    cache->counters = aligned_alloc(64, sizeof *cache->counters);
    cache->timings = mmap(NULL, sizeof *cache->timings, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
    if (cache->timings == MAP_FAILED)
        cache->timings = NULL;
    if (!cache->peers || !cache->counters || !cache->timings)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for %zu peers", cache->settings.name,
                         nodes);
    memset(cache->counters, 0, sizeof *cache->counters);
    if (!cache->node->verbs)
        return BELAY_OK;
    cache->fetched = calloc(cache->partition_count, sizeof *cache->fetched);
    cache->blocks = calloc(nodes, sizeof *cache->blocks);
    cache->locations = locations_make();
    if (!cache->fetched || !cache->blocks || !cache->locations)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for remote descriptors",
                         cache->settings.name);
    size_t near_size = cache->settings.near_cache_size;
    if (near_size > 0 && !(cache->near = near_make(near_size)))
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory for a near cache of %zu bytes",
                         cache->settings.name, near_size);
    return BELAY_OK;
}

static void cache_free(belay_cache *cache)
{
    arena *a = cache->node->arena;
    watch_destroy(cache);
    if (cache_find(cache->node, cache->number) == cache)
        atomic_store(&cache->node->caches->caches[cache->number], NULL);
    for (uint32_t i = 0; cache->partitions && i < cache->partition_count; ++i) {
        transactions_destroy(cache->partitions[i].transactions);
        partition_destroy(&cache->partitions[i]);
    }
    if (cache->block_first != ARENA_NO_SEGMENT) {
        atomic_store(&arena_header_of(a)->cache_block[cache->number], 0);
        arena_give(a, cache->block_first, cache->block_segments);
    }
    free(cache->partitions);
    map_destroy(cache);
    free(cache->lost);
    free(cache->peers);
    free(cache->counters);
    if (cache->timings)
        munmap(cache->timings, sizeof *cache->timings);
    free(cache->fetched);
    free(cache->blocks);
    locations_free(cache->locations);
    near_free(cache->near);
    free(cache);
}

/*
 * It is not opened after all. Progress and answers on their way may know its partitions, so their memory stays; and if holders have
 * changed meanwhile, peers may still be filling the copies here, so these stay too. Under the state lock.
 */
static void retire(belay_cache *cache)
{
    struct cache_registry *registry = cache->node->caches;
    if (cache_find(cache->node, cache->number) == cache)
        atomic_store(&registry->caches[cache->number], NULL);
    if (cache->block_first != ARENA_NO_SEGMENT)
        atomic_store(&arena_header_of(cache->node->arena)->cache_block[cache->number], 0);
    for (uint32_t i = 0; cache->partitions && i < cache->partition_count; ++i)
        if (cache->partitions[i].node)
            partition_retire(&cache->partitions[i], !cache->disturbed);
    if (cache->block_first != ARENA_NO_SEGMENT && !cache->disturbed) {
        arena_give(cache->node->arena, cache->block_first, cache->block_segments);
        cache->block_first = ARENA_NO_SEGMENT;
    }
    cache->retired = registry->retired;
    registry->retired = cache;
}

/* From here on peers find it. */
static void publish(belay_cache *cache)
{
    belay_node *node = cache->node;
    if (cache->block_first != ARENA_NO_SEGMENT)
        atomic_store_explicit(&arena_header_of(node->arena)->cache_block[cache->number], cache->block_offset,
                              memory_order_release);
    atomic_store_explicit(&node->caches->caches[cache->number], cache, memory_order_release);
}

/*
 * It was agreed upon in some view. If others came since, those who were faster have gone through them with their copies: so is done here. A
 * node that joined begins with the present view, and without any copy.
 */
static int cache_make(belay_node *node, const struct open_answer *agreed, bool fresh, belay_cache **out)
{
    belay_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return log_error(BELAY_ERR_NO_MEMORY, "cache %s: no memory", agreed->settings.name);
    cache->node = node;
    cache->number = (uint16_t)agreed->number;
    cache->view = agreed->view;
    cache->settings = agreed->settings;
    cache->sync = (uint8_t)agreed->settings.write_synchronization_mode;
    cache->partition_count = agreed->settings.partitions;
    cache->block_first = ARENA_NO_SEGMENT;
    cache->open_count = 1;
    cache_arena_of(node, node->id);  /* make the view of the own arena */
    spin_acquire(&node->state_lock); /* no other view meanwhile */
    uint32_t now = node->view->number, until = fresh ? agreed->view : now;
    int result = make_map(cache, agreed->view, until);
    if (result == BELAY_OK)
        result = take_block(cache);
    if (result == BELAY_OK)
        result = make_partitions(cache, fresh);
    if (result == BELAY_OK)
        result = make_remote_state(cache);
    if (result == BELAY_OK) {
        publish(cache);
        for (uint32_t view = until + 1; view <= now; ++view)
            partitions_advance(cache, view);
        cache->disturbed = until < now;
        standby_wanted(node);
    } else {
        retire(cache);
    }
    spin_release(&node->state_lock);
    if (result != BELAY_OK)
        return result;
    *out = cache;
    return BELAY_OK;
}

/* ---- Opening ---- */

static int ask_coordinator(belay_node *node, const struct cache_settings *settings, int asked,
                           struct open_answer *agreed)
{
    union {
        struct open_answer agreed;
        char text[OPEN_TEXT_MAX];
    } answer;
    struct waited_call call;
    struct message_header header = {.type = MESSAGE_CACHE_OPEN};
    struct iovec part = part_of(settings, sizeof *settings);
    FAULT_POINT("open-before-ask");
    waited_call_init(&call, asked, &answer, sizeof answer);
    int result = node_call_wait(node, call.call.peer, header, &part, 1, &call, node_deadline(node),
                                "belay_cache_open");
    if (result == BELAY_ERR_NODE_FAILED)
        return result; /* its successor is asked */
    if (result == BELAY_ERR_TIMEOUT)
        return log_error(result, "cache %s: not every server has opened it within %u ms", settings->name,
                         node->settings.operation_timeout_ms);
    if (result != BELAY_OK && call.length > 0) {
        int length = (int)(call.length < sizeof answer.text ? call.length : sizeof answer.text);
        return log_error(result, "%.*s", length, answer.text);
    }
    if (result != BELAY_OK)
        return log_error(result, "cache %s: node %d cannot open it: %s", settings->name, call.call.peer,
                         belay_strerror(result));
    if (call.length != sizeof answer.agreed || answer.agreed.number >= BELAY_CACHES_MAX ||
        settings_check_cache(&answer.agreed.settings) != BELAY_OK)
        return log_error(BELAY_ERR_PROTOCOL, "cache %s: node %d gave a malformed answer", settings->name,
                         call.call.peer);
    *agreed = answer.agreed;
    return BELAY_OK;
}

static int tell_ready(belay_node *node, const char *name, int asked, int status)
{
    struct waited_call call;
    struct ready_request request = {.status = status};
    struct message_header header = {.type = MESSAGE_CACHE_READY};
    struct iovec part = {&request, sizeof request};
    snprintf(request.name, sizeof request.name, "%s", name);
    waited_call_init(&call, asked, NULL, 0);
    return node_call_wait(node, call.call.peer, header, &part, 1, &call, node_deadline(node),
                          "belay_cache_open");
}

/* A cache of this node by name, with one more handle; NULL: not open here. The registry's lock is held. */
static belay_cache *reopen(belay_node *node, const char *name)
{
    for (uint16_t i = 0; i < BELAY_CACHES_MAX; ++i) {
        belay_cache *cache = cache_find(node, i);
        if (cache && strcmp(cache->settings.name, name) == 0) {
            cache->open_count++;
            return cache;
        }
    }
    return NULL;
}

static int open_again(belay_cache *cache, const struct cache_settings *settings)
{
    struct settings_difference difference;
    if (settings_compare_cache(&cache->settings, settings, &difference) == BELAY_OK)
        return BELAY_OK;
    registry_close(cache);
    return log_error(BELAY_ERR_MISMATCH, "cache %s is open already with another %s: %s, now %s",
                     settings->name, difference.field, difference.left, difference.right);
}

static int make_or_reopen(belay_node *node, const struct open_answer *agreed, belay_cache **cache)
{
    pthread_mutex_lock(&node->caches->lock);
    int result = BELAY_OK;
    *cache = reopen(node, agreed->settings.name); /* another thread may have been faster */
    if (!*cache)
        result = cache_make(node, agreed, true, cache);
    pthread_mutex_unlock(&node->caches->lock);
    return result;
}

/* The map of a cache begins with the view that the coordinator saw. */
static int wait_for_view(belay_node *node, uint32_t number)
{
    struct node_wait wait;
    node_wait_begin(&wait, node, node_deadline(node));
    bool in_time = true;
    while (atomic_load_explicit(&node->view->number, memory_order_acquire) < number && in_time &&
           !node_excluded(node))
        in_time = node_wait_more(&wait);
    node_wait_end(&wait);
    if (node_excluded(node))
        return node_refuse(node);
    return in_time ? BELAY_OK : log_error(BELAY_ERR_TIMEOUT, "view %u does not come", number);
}

static void take_back(belay_cache *cache)
{
    belay_node *node = cache->node;
    pthread_mutex_lock(&node->caches->lock);
    spin_acquire(&node->state_lock); /* peers may ask for it at any moment */
    retire(cache);
    spin_release(&node->state_lock);
    pthread_mutex_unlock(&node->caches->lock);
}

/* What was made in an earlier try is of no use. */
static void take_back_name(belay_node *node, const char *name)
{
    pthread_mutex_lock(&node->caches->lock);
    belay_cache *cache = reopen(node, name);
    pthread_mutex_unlock(&node->caches->lock);
    if (cache && !cache->ready)
        take_back(cache);
    else if (cache)
        registry_close(cache);
}

/* Make it, and hear that all have. */
static int make_with_all(belay_node *node, const struct open_answer *agreed, int asked, belay_cache **out)
{
    belay_cache *cache = NULL;
    const char *name = agreed->settings.name;
    int result = wait_for_view(node, agreed->view);
    if (result == BELAY_OK)
        result = make_or_reopen(node, agreed, &cache);
    FAULT_POINT("open-made");
    int ready = node_is_server(node) ? tell_ready(node, name, asked, result) : result;
    FAULT_POINT("open-ready");
    if (ready == BELAY_ERR_NODE_FAILED) {
        if (cache)
            registry_close(cache); /* it is kept for the next try */
        return ready;
    }
    if (result == BELAY_OK && ready != BELAY_OK)
        result = log_error(ready, "cache %s: not every server could make its copies: %s", name,
                           belay_strerror(ready));
    if (result == BELAY_OK)
        *out = cache;
    return result;
}

/* @return NODE_FAILED: the coordinator is gone, another one is to be asked. */
static int open_once(belay_node *node, const struct cache_settings *settings, belay_cache **out)
{
    struct open_answer agreed;
    belay_cache *cache = NULL;
    int asked = view_first_server(node->view);
    int result = ask_coordinator(node, settings, asked, &agreed);
    if (result == BELAY_OK)
        result = make_with_all(node, &agreed, asked, &cache);
    if (result == BELAY_ERR_NODE_FAILED)
        return result;
    if (result != BELAY_OK) {
        coordinator_note_failed(node, settings, result, log_last_error(), asked);
        take_back_name(node, settings->name);
        return result;
    }
    coordinator_note_ready(cache, asked);
    *out = cache;
    return BELAY_OK;
}

int registry_open(belay_node *node, const belay_cache_config *config, belay_cache **out)
{
    struct cache_settings settings;
    belay_cache *cache;
    int result = node_excluded(node) ? node_refuse(node) : BELAY_OK;
    if (result == BELAY_OK)
        result = settings_resolve_cache(config, node->config_file, &settings);
    if (result != BELAY_OK)
        return result;
    pthread_mutex_lock(&node->caches->lock);
    cache = reopen(node, settings.name);
    pthread_mutex_unlock(&node->caches->lock);
    if (cache) {
        result = open_again(cache, &settings);
        if (result == BELAY_OK)
            *out = cache;
        return result;
    }
    uint64_t deadline = node_deadline(node);
    coordinator_forget_failed(node, settings.name);
    do
        result = open_once(node, &settings, out);
    while (result == BELAY_ERR_NODE_FAILED && !node_excluded(node) && clock_now() < deadline);
    return result;
}

void registry_close(belay_cache *cache)
{
    struct cache_registry *registry = cache->node->caches;
    pthread_mutex_lock(&registry->lock);
    if (cache->open_count > 0)
        cache->open_count--; /* the copies here are still needed by others */
    pthread_mutex_unlock(&registry->lock);
}

/* ---- A node that joins ---- */

static int tell_joiner(belay_node *node, void **bytes, size_t *length)
{
    struct open_answer *caches = calloc(BELAY_CACHES_MAX, sizeof *caches);
    size_t count = 0;
    if (!caches)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to list the caches");
    for (uint16_t number = 0; number < BELAY_CACHES_MAX; ++number) {
        const belay_cache *cache = cache_find(node, number);
        if (cache)
            caches[count++] = (struct open_answer){
                .number = number, .view = cache->view, .settings = cache->settings};
    }
    *bytes = caches;
    *length = count * sizeof *caches;
    return BELAY_OK;
}

int registry_adopt(belay_node *node, const void *bytes, size_t length)
{
    const struct open_answer *caches = bytes;
    size_t count = length / sizeof *caches;
    if (length % sizeof *caches || count > BELAY_CACHES_MAX)
        return log_error(BELAY_ERR_PROTOCOL, "joining: a malformed list of caches");
    for (size_t i = 0; node_is_server(node) && i < count; ++i) {
        belay_cache *cache;
        if (caches[i].number >= BELAY_CACHES_MAX || caches[i].view < 1 ||
            caches[i].view > node->view->number || settings_check_cache(&caches[i].settings) != BELAY_OK)
            return log_error(BELAY_ERR_PROTOCOL, "joining: a malformed list of caches");
        int result = cache_make(node, &caches[i], false, &cache);
        if (result != BELAY_OK)
            return result;
        registry_close(cache); /* nobody here has it open yet */
    }
    return BELAY_OK;
}

/* ---- All caches ---- */

int registry_create(belay_node *node)
{
    struct cache_registry *registry = calloc(1, sizeof *registry);
    if (!registry)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the registry of caches");
    registry->arenas = calloc((size_t)node->view->nodes, sizeof *registry->arenas);
    if (!registry->arenas) {
        free(registry);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the arenas of %d nodes", node->view->nodes);
    }
    pthread_mutex_init(&registry->lock, NULL);
    node->caches = registry;
    int result = mirror_create(node, partitions_find, partitions_walk);
    if (result == BELAY_OK)
        result = async_create(node);
    if (result == BELAY_OK)
        result = sweep_create(node);
    if (result == BELAY_OK)
        result = expiry_create(node);
    if (result == BELAY_OK)
        result = transaction_coordinator_create(node);
    if (result != BELAY_OK) {
        registry_destroy(node);
        return result;
    }
    node->release = registry_destroy;
    node->tell_joiner = tell_joiner;
    node->copies_complete = partitions_complete;
    coordinator_register(node);
    serve_register(node);
    watch_register(node);
    subscriptions_register(node);
    ahead_register(node);
    observe_register(node);
    partitions_register(node);
    standby_register(node);
    return BELAY_OK;
}

void registry_destroy(belay_node *node)
{
    struct cache_registry *registry = node->caches;
    transaction_coordinator_destroy(node);
    coordinator_destroy(node);
    for (uint16_t i = 0; i < BELAY_CACHES_MAX; ++i)
        if (cache_find(node, i))
            cache_free(cache_find(node, i));
    for (belay_cache *cache; (cache = registry->retired);) {
        registry->retired = cache->retired;
        cache_free(cache);
    }
    expiry_destroy(node);
    sweep_destroy(node);
    staging_destroy(node);
    serve_free_requests(registry);
    functions_destroy(&registry->functions);
    subscriptions_destroy(node);
    if (node->async)
        async_destroy(node);
    if (node->mirror)
        mirror_destroy(node);
    pthread_mutex_destroy(&registry->lock);
    free(registry->arenas);
    free(registry);
    node->caches = NULL;
}
