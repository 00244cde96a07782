/* SPDX-License-Identifier: BSD-3-Clause */
/* The asynchronous forms. Their arrays are used after the call: they are taken where they are or not at all. */
#include "array.h"
#include "calls.h"

#include <stdlib.h>

int belay_fortran_put_nb(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                         belay_request **request, const belay_write_options *options)
{
    struct array keys, values;
    int result = array_in_place("belay_put_nb", key, &keys);
    if (result == BELAY_OK)
        result = array_in_place("belay_put_nb", value, &values);
    if (result != BELAY_OK)
        return result;
    return belay_put_nb(cache, keys.data, keys.length, values.data, values.length, options, request);
}

int belay_fortran_get_nb(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                         size_t *value_length, belay_request **request)
{
    struct array keys, values;
    int result = array_in_place("belay_get_nb", key, &keys);
    if (result == BELAY_OK)
        result = array_in_place("belay_get_nb", buffer, &values);
    if (result != BELAY_OK)
        return result;
    return belay_get_nb(cache, keys.data, keys.length, values.data, values.length, value_length, request);
}

int belay_fortran_remove_nb(belay_cache *cache, const CFI_cdesc_t *key, belay_request **request,
                            const belay_write_options *options)
{
    struct array keys;
    int result = array_in_place("belay_remove_nb", key, &keys);
    if (result != BELAY_OK)
        return result;
    return belay_remove_nb(cache, keys.data, keys.length, options, request);
}

int belay_fortran_fetch_add_nb(belay_cache *cache, const CFI_cdesc_t *key, int64_t delta,
                               belay_request **request, const belay_write_options *options, int64_t *old)
{
    struct array keys;
    int result = array_in_place("belay_fetch_add_nb", key, &keys);
    if (result != BELAY_OK)
        return result;
    return belay_fetch_add_nb(cache, keys.data, keys.length, delta, options, old, request);
}

int belay_fortran_wait_all(const CFI_cdesc_t *requests, const CFI_cdesc_t *results)
{
    struct array waiting, given = {0};
    int result = array_open(requests, &waiting);
    if (result != BELAY_OK)
        return result;
    size_t count = waiting.length / sizeof(belay_request *);
    if (results)
        result = array_open(results, &given);
    if (result != BELAY_OK)
        goto release_waiting;
    if (results && given.length / sizeof(int) < count) {
        result = BELAY_ERR_INVALID;
        goto release_given;
    }
    result = belay_wait_all(waiting.data, count, given.data);
    array_write_back(requests, &waiting);
    if (results)
        array_write_back(results, &given);
release_given:
    array_release(&given);
release_waiting:
    array_release(&waiting);
    return result;
}
