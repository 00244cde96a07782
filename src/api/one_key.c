/* SPDX-License-Identifier: BSD-3-Clause */
#include "api/check.h"
#include "cache/client.h"

int belay_get_versioned(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                        size_t *value_length, uint64_t *version)
{
    struct read_result found;
    char nothing; /* a NULL buffer would mean that the value is not wanted */
    int result = check_key("belay_get", cache, key, key_length);
    if (result == BELAY_OK)
        result = check_output("belay_get", value_length, "value_length");
    if (result == BELAY_OK && !buffer && capacity > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_get: the buffer is NULL");
    if (result != BELAY_OK)
        return result;
    result = lookup_get(cache, key, key_length, buffer ? buffer : &nothing, capacity, &found);
    if (result != BELAY_OK && result != BELAY_ERR_TRUNCATED)
        return result;
    *value_length = found.value_length;
    if (version)
        *version = found.version;
    return result;
}

int belay_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
              size_t *value_length)
{
    return belay_get_versioned(cache, key, key_length, buffer, capacity, value_length, NULL);
}

int belay_contains(belay_cache *cache, const void *key, size_t key_length)
{
    struct read_result found;
    int result = check_key("belay_contains", cache, key, key_length);
    if (result == BELAY_OK)
        result = lookup_get(cache, key, key_length, NULL, 0, &found);
    return result == BELAY_ERR_TRUNCATED ? BELAY_OK : result;
}

/* Updates that need nothing but key and value. */
static int update(const char *call, enum operation_kind kind, belay_cache *cache, const void *key,
                  size_t key_length, const void *value, size_t value_length,
                  const belay_write_options *options)
{
    struct belay_request request;
    int result = check_put(call, cache, key, key_length, value, value_length, options);
    if (result != BELAY_OK)
        return result;
    client_operation(&request, kind, key, key_length, value, value_length);
    return client_update(&request, cache, options);
}

int belay_put(belay_cache *cache, const void *key, size_t key_length, const void *value, size_t value_length,
              const belay_write_options *options)
{
    return update("belay_put", OPERATION_PUT, cache, key, key_length, value, value_length, options);
}

int belay_remove(belay_cache *cache, const void *key, size_t key_length, const belay_write_options *options)
{
    return update("belay_remove", OPERATION_REMOVE, cache, key, key_length, NULL, 0, options);
}

int belay_put_if_absent(belay_cache *cache, const void *key, size_t key_length, const void *value,
                        size_t value_length, const belay_write_options *options)
{
    return update("belay_put_if_absent", OPERATION_PUT_IF_ABSENT, cache, key, key_length, value, value_length,
                  options);
}

int belay_replace(belay_cache *cache, const void *key, size_t key_length, const void *value,
                  size_t value_length, const belay_write_options *options)
{
    return update("belay_replace", OPERATION_REPLACE, cache, key, key_length, value, value_length, options);
}

int belay_get_and_put(belay_cache *cache, const void *key, size_t key_length, const void *value,
                      size_t value_length, const belay_write_options *options, void *old, size_t capacity,
                      size_t *old_length)
{
    struct belay_request request;
    char nothing;
    int result = check_put("belay_get_and_put", cache, key, key_length, value, value_length, options);
    if (result == BELAY_OK)
        result = check_output("belay_get_and_put", old_length, "old_length");
    if (result == BELAY_OK && !old && capacity > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_get_and_put: the buffer is NULL");
    if (result != BELAY_OK)
        return result;
    struct old_value before = {.buffer = old ? old : &nothing, .capacity = capacity};
    client_operation(&request, OPERATION_COMPARE_AND_SET, key, key_length, value, value_length);
    result = client_get_and_put(&request, cache, options, &before);
    if (result == BELAY_OK || result == BELAY_ERR_TRUNCATED)
        *old_length = before.length;
    return result;
}

int belay_compare_and_set(belay_cache *cache, const void *key, size_t key_length, uint64_t expected,
                          const void *value, size_t value_length, const belay_write_options *options,
                          uint64_t *version)
{
    struct belay_request request;
    int result = check_put("belay_compare_and_set", cache, key, key_length, value, value_length, options);
    if (result != BELAY_OK)
        return result;
    client_operation(&request, OPERATION_COMPARE_AND_SET, key, key_length, value, value_length);
    request.operation.expected = expected;
    result = client_update(&request, cache, options);
    if (result == BELAY_OK && version)
        *version = request.operation.answer.version;
    return result;
}

int belay_fetch_add(belay_cache *cache, const void *key, size_t key_length, int64_t delta,
                    const belay_write_options *options, int64_t *old)
{
    struct belay_request request;
    int result = check_put("belay_fetch_add", cache, key, key_length, NULL, 0, options);
    if (result != BELAY_OK)
        return result;
    client_operation(&request, OPERATION_FETCH_ADD, key, key_length, NULL, sizeof(int64_t));
    request.operation.delta = delta;
    result = client_update(&request, cache, options);
    if (result == BELAY_OK && old)
        *old = request.operation.answer.old_number;
    return result;
}
