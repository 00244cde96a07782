/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/loader.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct load {
    struct belay_request request;
    unsigned char *bytes; /* key, then value */
    size_t capacity, length;
};

int loader_create(belay_cache *cache, struct belay_loader **out)
{
    struct belay_loader *loader = calloc(1, sizeof *loader);
    struct load *loads = calloc(LOADER_DEPTH, sizeof *loads);
    if (!loader || !loads) {
        free(loader);
        free(loads);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a loader");
    }
    loader->cache = cache;
    loader->loads = loads;
    *out = loader;
    return BELAY_OK;
}

void loader_destroy(struct belay_loader *loader)
{
    for (int i = 0; i < LOADER_DEPTH; ++i)
        free(loader->loads[i].bytes);
    free(loader->loads);
    free(loader);
}

/* One writer. */
static void count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

static void note_end(struct belay_loader *loader, int status, size_t length)
{
    if (status == BELAY_OK) {
        count(&loader->done_bytes, length);
        count(&loader->done, 1);
        return;
    }
    count(&loader->failed, 1);
    if (loader->failure == BELAY_OK)
        loader->failure = status;
}

static void finish(struct belay_loader *loader, unsigned place)
{
    struct load *load = &loader->loads[place];
    if (!loader->under_way[place])
        return;
    int status = client_finish(&load->request);
    loader->under_way[place] = false;
    note_end(loader, status, load->length);
}

static void finish_same_key(struct belay_loader *loader, uint64_t hash)
{
    for (unsigned place = 0; place < LOADER_DEPTH; ++place)
        if (loader->hashes[place] == hash)
            finish(loader, place);
}

static int make_room(struct load *load, size_t length)
{
    if (length <= load->capacity)
        return BELAY_OK;
    unsigned char *bytes = realloc(load->bytes, length);
    if (!bytes)
        return log_error(BELAY_ERR_NO_MEMORY, "belay_loader_add: no memory for %zu bytes", length);
    load->bytes = bytes;
    load->capacity = length;
    return BELAY_OK;
}

static const belay_write_options to_all_copies = {.sync = BELAY_FULL_SYNC};

/* From the caller's memory, and waited for. */
static void load_long(struct belay_loader *loader, const void *key, size_t key_length, const void *value,
                      size_t value_length)
{
    struct belay_request request;
    client_operation(&request, OPERATION_PUT, key, key_length, value, value_length);
    note_end(loader, client_update(&request, loader->cache, &to_all_copies), key_length + value_length);
}

static void load_copy(struct belay_loader *loader, struct load *load, size_t key_length)
{
    unsigned place = loader->next;
    loader->next = (place + 1) % LOADER_DEPTH;
    loader->under_way[place] = true;
    client_operation(&load->request, OPERATION_PUT, load->bytes, key_length, load->bytes + key_length,
                     load->length - key_length);
    client_begin(&load->request, loader->cache, &to_all_copies);
    loader->hashes[place] = load->request.operation.hash;
}

int loader_add(struct belay_loader *loader, const void *key, size_t key_length, const void *value,
               size_t value_length)
{
    size_t length = key_length + value_length;
    struct load *load = &loader->loads[loader->next];
    bool copied = length <= LOADER_COPIED_MAX;
    finish(loader, loader->next);
    finish_same_key(loader, key_hash(key, key_length));
    if (loader->failure != BELAY_OK)
        return log_quiet(loader->failure, "belay_loader_add: an entry before failed: %s",
                         belay_strerror(loader->failure));
    int result = copied ? make_room(load, length) : BELAY_OK;
    if (result != BELAY_OK)
        return result;
    count(&loader->added, 1);
    count(&loader->added_bytes, length);
    if (!copied) {
        load_long(loader, key, key_length, value, value_length);
        return BELAY_OK;
    }
    load->length = length;
    memcpy(load->bytes, key, key_length);
    if (value_length > 0)
        memcpy(load->bytes + key_length, value, value_length);
    load_copy(loader, load, key_length);
    return BELAY_OK;
}

int loader_flush(struct belay_loader *loader)
{
    for (unsigned i = 0; i < LOADER_DEPTH; ++i)
        finish(loader, (loader->next + i) % LOADER_DEPTH);
    int failure = loader->failure;
    loader->failure = BELAY_OK;
    return failure;
}
