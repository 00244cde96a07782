/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"
#include "keyed.h"

int belay_fortran_tx_get(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                         size_t *value_length)
{
    struct keyed bytes;
    size_t unwanted;
    int result = keyed_open(key, buffer, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_tx_get(tx, cache, bytes.key.data, bytes.key.length, bytes.value.data, bytes.value.length,
                          value_length ? value_length : &unwanted);
    if (result == BELAY_OK)
        array_write_back(buffer, &bytes.value);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_tx_get_all(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *items)
{
    struct array array;
    int result = array_open(items, &array);
    if (result != BELAY_OK)
        return result;
    result = belay_tx_get_all(tx, cache, array.data, array.length / sizeof(belay_get_item));
    array_write_back(items, &array);
    array_release(&array);
    return result;
}

int belay_fortran_tx_put(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value)
{
    struct keyed bytes;
    int result = keyed_open(key, value, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_tx_put(tx, cache, bytes.key.data, bytes.key.length, bytes.value.data, bytes.value.length);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_tx_remove(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *key)
{
    struct keyed bytes;
    int result = keyed_open(key, NULL, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_tx_remove(tx, cache, bytes.key.data, bytes.key.length);
    keyed_release(&bytes);
    return result;
}
