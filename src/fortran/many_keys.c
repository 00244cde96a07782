/* SPDX-License-Identifier: BSD-3-Clause */
#include "array.h"
#include "calls.h"

/* An item keeps addresses only. Without one, the call that is given the item reports it as invalid. */
static belay_bytes bytes_of(const char *call, const CFI_cdesc_t *variable)
{
    struct array array;
    if (array_in_place(call, variable, &array) != BELAY_OK)
        return (belay_bytes){NULL, 1};
    return (belay_bytes){array.data, array.length};
}

belay_get_item belay_fortran_get_item(const CFI_cdesc_t *key, const CFI_cdesc_t *buffer)
{
    belay_bytes place = bytes_of("belay_get_item", buffer);
    return (belay_get_item){.key = bytes_of("belay_get_item", key),
                            .buffer = place.data ? buffer->base_addr : NULL,
                            .capacity = place.length};
}

belay_put_item belay_fortran_put_item(const CFI_cdesc_t *key, const CFI_cdesc_t *value)
{
    return (belay_put_item){.key = bytes_of("belay_put_item", key),
                            .value = bytes_of("belay_put_item", value)};
}

int belay_fortran_get_all(belay_cache *cache, const CFI_cdesc_t *items)
{
    struct array array;
    int result = array_open(items, &array);
    if (result != BELAY_OK)
        return result;
    result = belay_get_all(cache, array.data, array.length / sizeof(belay_get_item));
    array_write_back(items, &array);
    array_release(&array);
    return result;
}

int belay_fortran_put_all(belay_cache *cache, const CFI_cdesc_t *items, const belay_write_options *options)
{
    struct array array;
    int result = array_open(items, &array);
    if (result != BELAY_OK)
        return result;
    result = belay_put_all(cache, array.data, array.length / sizeof(belay_put_item), options);
    array_write_back(items, &array);
    array_release(&array);
    return result;
}
