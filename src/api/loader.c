/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/loader.h"

#include "api/check.h"

int belay_loader_open(belay_cache *cache, belay_loader **loader)
{
    int result = check_output("belay_loader_open", cache, "cache");
    if (result == BELAY_OK)
        result = check_output("belay_loader_open", loader, "loader");
    return result == BELAY_OK ? loader_create(cache, loader) : result;
}

/* One thread at a time. */
static int enter(const char *call, belay_loader *loader)
{
    int result = check_output(call, loader, "loader");
    if (result == BELAY_OK && atomic_exchange(&loader->in_use, true))
        result = log_quiet(BELAY_ERR_INVALID, "%s: another thread uses the loader", call);
    return result;
}

int belay_loader_add(belay_loader *loader, const void *key, size_t key_length, const void *value,
                     size_t value_length)
{
    int result = enter("belay_loader_add", loader);
    if (result != BELAY_OK)
        return result;
    result = check_put("belay_loader_add", loader->cache, key, key_length, value, value_length, NULL);
    if (result == BELAY_OK)
        result = loader_add(loader, key, key_length, value, value_length);
    atomic_store(&loader->in_use, false);
    return result;
}

int belay_loader_flush(belay_loader *loader)
{
    int result = enter("belay_loader_flush", loader);
    if (result != BELAY_OK)
        return result;
    result = loader_flush(loader);
    atomic_store(&loader->in_use, false);
    return result;
}

int belay_loader_progress(const belay_loader *loader, belay_load_progress *progress)
{
    int result = check_output("belay_loader_progress", loader, "loader");
    if (result == BELAY_OK)
        result = check_output("belay_loader_progress", progress, "progress");
    if (result != BELAY_OK)
        return result;
    /* What is done last first: it is never more than what was added. */
    progress->failed = atomic_load(&loader->failed);
    progress->done_bytes = atomic_load(&loader->done_bytes);
    progress->done = atomic_load(&loader->done);
    progress->added_bytes = atomic_load(&loader->added_bytes);
    progress->added = atomic_load(&loader->added);
    return BELAY_OK;
}

int belay_loader_close(belay_loader *loader)
{
    if (!loader)
        return BELAY_OK;
    int result = enter("belay_loader_close", loader);
    if (result != BELAY_OK)
        return result;
    result = loader_flush(loader);
    loader_destroy(loader);
    return result;
}
