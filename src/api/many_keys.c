/* SPDX-License-Identifier: BSD-3-Clause */
#include "api/check.h"
#include "cache/many.h"

int belay_get_all(belay_cache *cache, belay_get_item *items, size_t count)
{
    int result = check_output("belay_get_all", cache, "cache");
    if (result == BELAY_OK && !items && count > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_get_all: items is NULL");
    if (result != BELAY_OK)
        return result;
    for (size_t i = 0; i < count; ++i) {
        belay_get_item *item = &items[i];
        item->status = check_key("belay_get_all", cache, item->key.data, item->key.length);
        if (item->status == BELAY_OK && !item->buffer && item->capacity > 0)
            item->status = log_quiet(BELAY_ERR_INVALID, "belay_get_all: the buffer of item %zu is NULL", i);
    }
    many_get(cache, items, count);
    for (size_t i = 0; i < count && result == BELAY_OK; ++i)
        if (items[i].status != BELAY_ERR_NOT_FOUND)
            result = items[i].status;
    return result;
}

int belay_put_all(belay_cache *cache, belay_put_item *items, size_t count, const belay_write_options *options)
{
    int result = check_output("belay_put_all", cache, "cache");
    if (result == BELAY_OK && !items && count > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_put_all: items is NULL");
    if (result == BELAY_OK)
        result = check_options("belay_put_all", options);
    if (result != BELAY_OK)
        return result;
    for (size_t i = 0; i < count; ++i)
        items[i].status = check_put("belay_put_all", cache, items[i].key.data, items[i].key.length,
                                    items[i].value.data, items[i].value.length, NULL);
    many_put(cache, items, count, options);
    for (size_t i = 0; i < count && result == BELAY_OK; ++i)
        result = items[i].status;
    return result;
}
