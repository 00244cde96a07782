/* SPDX-License-Identifier: BSD-3-Clause */
/* The asynchronous forms: an operation on the heap between its begin and its belay_wait(). */
#include "api/check.h"
#include "cache/client.h"

#include <stdlib.h>

static int request_new(const char *call, belay_request **request, struct belay_request **out)
{
    int result = check_output(call, request, "request");
    if (result != BELAY_OK)
        return result;
    *out = malloc(sizeof **out);
    if (!*out)
        return log_error(BELAY_ERR_NO_MEMORY, "%s: no memory for a request", call);
    (*out)->invoked.name[0] = '\0';
    return BELAY_OK;
}

static int begin_update(const char *call, enum operation_kind kind, belay_cache *cache, const void *key,
                        size_t key_length, const void *value, size_t value_length, int64_t delta,
                        int64_t *old, const belay_write_options *options, belay_request **request)
{
    struct belay_request *begun;
    int result = check_key(call, cache, key, key_length);
    if (result == BELAY_OK)
        result = check_not_own(call, key, key_length);
    if (result == BELAY_OK && kind == OPERATION_PUT)
        result = check_value(call, value, value_length);
    if (result == BELAY_OK)
        result = check_options(call, options);
    if (result == BELAY_OK)
        result = request_new(call, request, &begun);
    if (result != BELAY_OK)
        return result;
    client_operation(begun, kind, key, key_length, value, value_length);
    begun->operation.delta = delta;
    begun->old_number = old;
    client_begin(begun, cache, options);
    *request = begun;
    return BELAY_OK;
}

int belay_put_nb(belay_cache *cache, const void *key, size_t key_length, const void *value,
                 size_t value_length, const belay_write_options *options, belay_request **request)
{
    return begin_update("belay_put_nb", OPERATION_PUT, cache, key, key_length, value, value_length, 0, NULL,
                        options, request);
}

int belay_remove_nb(belay_cache *cache, const void *key, size_t key_length,
                    const belay_write_options *options, belay_request **request)
{
    return begin_update("belay_remove_nb", OPERATION_REMOVE, cache, key, key_length, NULL, 0, 0, NULL,
                        options, request);
}

int belay_fetch_add_nb(belay_cache *cache, const void *key, size_t key_length, int64_t delta,
                       const belay_write_options *options, int64_t *old, belay_request **request)
{
    return begin_update("belay_fetch_add_nb", OPERATION_FETCH_ADD, cache, key, key_length, NULL,
                        sizeof(int64_t), delta, old, options, request);
}

int belay_get_nb(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                 size_t *value_length, belay_request **request)
{
    struct belay_request *begun;
    int result = check_key("belay_get_nb", cache, key, key_length);
    if (result == BELAY_OK && !buffer && capacity > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_get_nb: the buffer is NULL");
    if (result == BELAY_OK)
        result = check_output("belay_get_nb", value_length, "value_length");
    if (result == BELAY_OK)
        result = request_new("belay_get_nb", request, &begun);
    if (result != BELAY_OK)
        return result;
    client_begin_get(begun, cache, key, key_length, buffer ? buffer : begun, capacity, value_length);
    *request = begun;
    return BELAY_OK;
}

int belay_test(belay_request *request, int *completed)
{
    int result = check_output("belay_test", request, "request");
    if (result == BELAY_OK)
        result = check_output("belay_test", completed, "completed");
    if (result != BELAY_OK)
        return result;
    bool done = client_completed(request);
    if (!done) {
        node_progress(request->cache->node);
        done = client_completed(request);
    }
    *completed = done;
    return BELAY_OK;
}

int belay_wait(belay_request **request)
{
    int result = check_output("belay_wait", request, "request");
    if (result == BELAY_OK)
        result = check_output("belay_wait", *request, "*request");
    if (result != BELAY_OK)
        return result;
    result = client_finish(*request);
    if (result == BELAY_OK && (*request)->old_number)
        *(*request)->old_number = (*request)->operation.answer.old_number;
    if ((*request)->invoked.name[0])
        result = client_invoked(*request, result, (*request)->value_length);
    free(*request);
    *request = NULL;
    return result;
}

int belay_wait_all(belay_request **requests, size_t count, int *results)
{
    int first = BELAY_OK;
    if (!requests && count > 0)
        return log_quiet(BELAY_ERR_INVALID, "belay_wait_all: requests is NULL");
    for (size_t i = 0; i < count; ++i) {
        int result = belay_wait(&requests[i]);
        if (results)
            results[i] = result;
        if (first == BELAY_OK)
            first = result;
    }
    return first;
}
