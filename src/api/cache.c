/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/cache.h"
#include "api/check.h"
#include "cache/whole.h"

int belay_cache_open(belay_node *node, const belay_cache_config *config, belay_cache **cache)
{
    int result = check_output("belay_cache_open", node, "node");
    if (result == BELAY_OK)
        result = check_output("belay_cache_open", config, "config");
    if (result == BELAY_OK)
        result = check_output("belay_cache_open", cache, "cache");
    return result == BELAY_OK ? registry_open(node, config, cache) : result;
}

int belay_cache_close(belay_cache *cache)
{
    int result = check_outside("belay_cache_close");
    if (cache && result == BELAY_OK)
        registry_close(cache);
    return result;
}

int belay_size(belay_cache *cache, uint64_t *entries)
{
    int result = check_output("belay_size", cache, "cache");
    if (result == BELAY_OK)
        result = check_output("belay_size", entries, "entries");
    return result == BELAY_OK ? whole_size(cache, entries) : result;
}

int belay_clear(belay_cache *cache)
{
    int result = check_output("belay_clear", cache, "cache");
    return result == BELAY_OK ? whole_clear(cache) : result;
}

int belay_iterate(belay_cache *cache, int local_only, belay_visitor visit, void *context)
{
    int result = check_output("belay_iterate", cache, "cache");
    if (result == BELAY_OK && !visit)
        result = log_quiet(BELAY_ERR_INVALID, "belay_iterate: visit is NULL");
    return result == BELAY_OK ? whole_iterate(cache, local_only, visit, context) : result;
}
