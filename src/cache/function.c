/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/function.h"

#include "base/log.h"
#include "cache/operation.h"

#include <stdlib.h>
#include <string.h>

_Thread_local bool function_running __attribute__((tls_model("initial-exec")));

/* ---- Names ---- */

int function_add(belay_node *node, const char *name, belay_function apply, void *context)
{
    struct functions *functions = &node->caches->functions;
    struct function *function = calloc(1, sizeof *function);
    int result = BELAY_OK;
    if (!function)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the function %s", name);
    function->apply = apply;
    function->context = context;
    function->name_length = strlen(name);
    memcpy(function->name, name, function->name_length);
    pthread_mutex_lock(&node->caches->lock);
    if (function_find(node, name, function->name_length)) {
        result = log_quiet(BELAY_ERR_EXISTS, "belay_function_register: there is a function %s already", name);
    } else {
        function->next = atomic_load_explicit(&functions->first, memory_order_relaxed);
        atomic_store_explicit(&functions->first, function, memory_order_release);
    }
    pthread_mutex_unlock(&node->caches->lock);
    if (result != BELAY_OK)
        free(function);
    return result;
}

const struct function *function_find(const belay_node *node, const char *name, size_t length)
{
    const struct function *function = atomic_load_explicit(&node->caches->functions.first,
                                                           memory_order_acquire);
    while (function && (function->name_length != length || memcmp(function->name, name, length) != 0))
        function = function->next;
    return function;
}

void functions_destroy(struct functions *functions)
{
    for (struct function *function = functions->first, *next; function; function = next) {
        next = function->next;
        free(function);
    }
}

/* ---- Running ---- */

static int check_outcome(const struct function *function, const belay_invocation *invocation, int action)
{
    int length = (int)function->name_length;
    if (invocation->result_length > invocation->result_capacity)
        return log_quiet(BELAY_ERR_TRUNCATED, "the function %.*s gives %zu bytes; there is room for %zu",
                         length, function->name, invocation->result_length, invocation->result_capacity);
    if ((unsigned)action > BELAY_ACTION_REMOVE)
        return log_quiet(BELAY_ERR_INVALID, "the function %.*s returned %d, which is no belay_action", length,
                         function->name, action);
    if (action != BELAY_ACTION_SET || invocation->value_length <= BELAY_INVOKE_VALUE_MAX)
        return BELAY_OK;
    if (invocation->value_length == BELAY_NO_VALUE)
        return log_quiet(BELAY_ERR_INVALID, "the function %.*s sets a value and no length of it", length,
                         function->name);
    return log_quiet(BELAY_ERR_TOO_LARGE, "the function %.*s sets a value of %zu bytes; at most %u", length,
                     function->name, invocation->value_length, BELAY_INVOKE_VALUE_MAX);
}

int function_apply(const struct copy *held, struct operation *operation, const struct copy_found *found,
                   void *value)
{
    struct invoked *invoked = operation->invoked;
    const struct function *function = invoked->function;
    _Alignas(max_align_t) unsigned char result[BELAY_INVOKE_RESULT_MAX];
    belay_invocation invocation = {.key = {operation->key, operation->key_length},
                                   .argument = {operation->value, invoked->argument_length},
                                   .value = value,
                                   .value_length = found ? found->value_length : BELAY_NO_VALUE,
                                   .result = result,
                                   .result_capacity = invoked->result_capacity};
    invoked->result_length = 0;
    if (!function)
        return BELAY_ERR_NO_FUNCTION;
    if (found && found->value_length > BELAY_INVOKE_VALUE_MAX)
        return log_quiet(BELAY_ERR_TOO_LARGE, "belay_invoke: the value has %u bytes; at most %u",
                         found->value_length, BELAY_INVOKE_VALUE_MAX);
    if (found)
        copy_value(held, found, 0, value, found->value_length);
    function_running = true;
    int action = function->apply(&invocation, function->context);
    function_running = false;
    invoked->result_length = invocation.result_length;
    int status = check_outcome(function, &invocation, action);
    if (status != BELAY_OK)
        return status;
    if (invoked->result_length > 0)
        memcpy(invoked->result, result, invoked->result_length);
    invoked->action = action == BELAY_ACTION_REMOVE && !found ? BELAY_ACTION_KEEP : action;
    operation->value_length = action == BELAY_ACTION_SET ? (uint32_t)invocation.value_length : 0;
    return BELAY_OK;
}
