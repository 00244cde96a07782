/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions applied at the primary. */
#include "array.h"
#include "calls.h"
#include "keyed.h"

#include <string.h>

enum { NAME_SIZE = BELAY_FUNCTION_NAME_MAX + 2 }; /* one that is too long stays so: C refuses it */

static int name_of(const CFI_cdesc_t *function, char name[NAME_SIZE])
{
    struct array text;
    int result = array_open(function, &text);
    if (result != BELAY_OK)
        return result;
    size_t length = text.length < NAME_SIZE - 1 ? text.length : NAME_SIZE - 1;
    memcpy(name, text.data, length);
    name[length] = '\0';
    array_release(&text);
    return BELAY_OK;
}

int belay_fortran_invoke(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *function,
                         const CFI_cdesc_t *argument, const CFI_cdesc_t *buffer, size_t *result_length,
                         const belay_write_options *options)
{
    struct keyed bytes;
    struct array wanted = {0};
    char name[NAME_SIZE];
    int result = name_of(function, name);
    if (result == BELAY_OK)
        result = keyed_open(key, argument, &bytes);
    if (result != BELAY_OK)
        return result;
    if (buffer)
        result = array_open(buffer, &wanted);
    if (result != BELAY_OK)
        goto release_keyed;
    result = belay_invoke(cache, bytes.key.data, bytes.key.length, name, bytes.value.data, bytes.value.length,
                          options, wanted.data, wanted.length, result_length);
    if (result == BELAY_OK && buffer)
        array_write_back(buffer, &wanted);
    array_release(&wanted);
release_keyed:
    keyed_release(&bytes);
    return result;
}

int belay_fortran_invoke_nb(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *function,
                            belay_request **request, const CFI_cdesc_t *argument, const CFI_cdesc_t *buffer,
                            size_t *result_length, const belay_write_options *options)
{
    struct array keys, given = {0}, wanted = {0};
    char name[NAME_SIZE];
    int result = name_of(function, name);
    if (result == BELAY_OK)
        result = array_in_place("belay_invoke_nb", key, &keys);
    if (result == BELAY_OK && argument)
        result = array_in_place("belay_invoke_nb", argument, &given);
    if (result == BELAY_OK && buffer)
        result = array_in_place("belay_invoke_nb", buffer, &wanted);
    if (result != BELAY_OK)
        return result;
    return belay_invoke_nb(cache, keys.data, keys.length, name, given.data, given.length, options,
                           wanted.data, wanted.length, result_length, request);
}
