/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions applied at the primary. */
#include "api/check.h"
#include "cache/client.h"

#include <stdlib.h>
#include <string.h>

static int check_name(const char *call, const char *name)
{
    int result = check_output(call, name, "the function's name");
    if (result != BELAY_OK)
        return result;
    size_t length = strnlen(name, BELAY_FUNCTION_NAME_MAX + 1);
    if (length == 0 || length > BELAY_FUNCTION_NAME_MAX)
        return log_quiet(BELAY_ERR_INVALID, "%s: a function's name has 1 to %u characters", call,
                         BELAY_FUNCTION_NAME_MAX);
    return BELAY_OK;
}

int belay_function_register(belay_node *node, const char *name, belay_function function, void *context)
{
    int result = check_output("belay_function_register", node, "the node");
    if (result == BELAY_OK)
        result = check_name("belay_function_register", name);
    if (result == BELAY_OK && !function)
        result = log_quiet(BELAY_ERR_INVALID, "belay_function_register: the function is NULL");
    return result == BELAY_OK ? function_add(node, name, function, context) : result;
}

static int check_invoke(const char *call, const belay_cache *cache, const void *key, size_t key_length,
                        const char *name, const struct iovec *argument, const belay_write_options *options,
                        const struct iovec *buffer)
{
    int result = check_put(call, cache, key, key_length, argument->iov_base, argument->iov_len, options);
    if (result == BELAY_OK)
        result = check_name(call, name);
    if (result == BELAY_OK && argument->iov_len > BELAY_INVOKE_ARGUMENT_MAX)
        result = log_quiet(BELAY_ERR_TOO_LARGE, "%s: an argument of %zu bytes; at most %u", call,
                           argument->iov_len, BELAY_INVOKE_ARGUMENT_MAX);
    if (result == BELAY_OK && !buffer->iov_base && buffer->iov_len > 0)
        result = log_quiet(BELAY_ERR_INVALID, "%s: the buffer is NULL", call);
    return result;
}

int belay_invoke(belay_cache *cache, const void *key, size_t key_length, const char *function,
                 const void *argument, size_t argument_length, const belay_write_options *options,
                 void *buffer, size_t capacity, size_t *result_length)
{
    struct belay_request request;
    struct iovec given = part_of(argument, argument_length), wanted = {buffer, capacity};
    int result = check_invoke("belay_invoke", cache, key, key_length, function, &given, options, &wanted);
    if (result != BELAY_OK)
        return result;
    client_invocation(&request, key, key_length, function, &given, &wanted);
    return client_invoked(&request, client_update(&request, cache, options), result_length);
}

int belay_invoke_nb(belay_cache *cache, const void *key, size_t key_length, const char *function,
                    const void *argument, size_t argument_length, const belay_write_options *options,
                    void *buffer, size_t capacity, size_t *result_length, belay_request **request)
{
    struct iovec given = part_of(argument, argument_length), wanted = {buffer, capacity};
    int result = check_invoke("belay_invoke_nb", cache, key, key_length, function, &given, options, &wanted);
    if (result == BELAY_OK)
        result = check_output("belay_invoke_nb", request, "request");
    if (result != BELAY_OK)
        return result;
    struct belay_request *begun = malloc(sizeof *begun);
    if (!begun)
        return log_error(BELAY_ERR_NO_MEMORY, "belay_invoke_nb: no memory for a request");
    client_invocation(begun, key, key_length, function, &given, &wanted);
    begun->value_length = result_length;
    client_begin(begun, cache, options);
    *request = begun;
    return BELAY_OK;
}
