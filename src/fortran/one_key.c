/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"
#include "keyed.h"

typedef int put_call(belay_cache *, const void *, size_t, const void *, size_t, const belay_write_options *);

static int put(put_call *call, belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
               const belay_write_options *options)
{
    struct keyed bytes;
    int result = keyed_open(key, value, &bytes);
    if (result != BELAY_OK)
        return result;
    result = call(cache, bytes.key.data, bytes.key.length, bytes.value.data, bytes.value.length, options);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_put(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                      const belay_write_options *options)
{
    return put(belay_put, cache, key, value, options);
}

int belay_fortran_put_if_absent(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                                const belay_write_options *options)
{
    return put(belay_put_if_absent, cache, key, value, options);
}

int belay_fortran_replace(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                          const belay_write_options *options)
{
    return put(belay_replace, cache, key, value, options);
}

int belay_fortran_get(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                      size_t *value_length)
{
    struct keyed bytes;
    size_t unwanted;
    int result = keyed_open(key, buffer, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_get(cache, bytes.key.data, bytes.key.length, bytes.value.data, bytes.value.length,
                       value_length ? value_length : &unwanted);
    if (result == BELAY_OK)
        array_write_back(buffer, &bytes.value);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_get_versioned(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                                uint64_t *version, size_t *value_length)
{
    struct keyed bytes;
    size_t unwanted;
    int result = keyed_open(key, buffer, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_get_versioned(cache, bytes.key.data, bytes.key.length, bytes.value.data,
                                 bytes.value.length, value_length ? value_length : &unwanted, version);
    if (result == BELAY_OK)
        array_write_back(buffer, &bytes.value);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_remove(belay_cache *cache, const CFI_cdesc_t *key, const belay_write_options *options)
{
    struct keyed bytes;
    int result = keyed_open(key, NULL, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_remove(cache, bytes.key.data, bytes.key.length, options);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_contains(belay_cache *cache, const CFI_cdesc_t *key)
{
    struct keyed bytes;
    int result = keyed_open(key, NULL, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_contains(cache, bytes.key.data, bytes.key.length);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_get_and_put(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                              const CFI_cdesc_t *old, size_t *old_length, const belay_write_options *options)
{
    struct keyed bytes;
    struct array before;
    int result = keyed_open(key, value, &bytes);
    if (result != BELAY_OK)
        return result;
    result = array_open(old, &before);
    if (result != BELAY_OK)
        goto release_keyed;
    result = belay_get_and_put(cache, bytes.key.data, bytes.key.length, bytes.value.data, bytes.value.length,
                               options, before.data, before.length, old_length);
    if (result == BELAY_OK)
        array_write_back(old, &before);
    array_release(&before);
release_keyed:
    keyed_release(&bytes);
    return result;
}

int belay_fortran_compare_and_set(belay_cache *cache, const CFI_cdesc_t *key, uint64_t expected,
                                  const CFI_cdesc_t *value, const belay_write_options *options,
                                  uint64_t *version)
{
    struct keyed bytes;
    int result = keyed_open(key, value, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_compare_and_set(cache, bytes.key.data, bytes.key.length, expected, bytes.value.data,
                                   bytes.value.length, options, version);
    keyed_release(&bytes);
    return result;
}

int belay_fortran_fetch_add(belay_cache *cache, const CFI_cdesc_t *key, int64_t delta,
                            const belay_write_options *options, int64_t *old)
{
    struct keyed bytes;
    int result = keyed_open(key, NULL, &bytes);
    if (result != BELAY_OK)
        return result;
    result = belay_fetch_add(cache, bytes.key.data, bytes.key.length, delta, options, old);
    keyed_release(&bytes);
    return result;
}
