/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of arguments, shared by all entry points. All give BELAY_OK or an error that is already logged (quietly). */
#ifndef BELAY_CHECK_H
#define BELAY_CHECK_H

#include "base/log.h"
#include "base/own_key.h"
#include "belay.h"
#include "cache/function.h"

#include <stdbool.h>

/* A function that belay_invoke() applies runs with a lock held: it would wait for itself. */
static inline int check_outside(const char *call)
{
    return __builtin_expect(function_running, 0)
               ? log_quiet(BELAY_ERR_INVALID, "%s: called by a function that belay_invoke() applies", call)
               : BELAY_OK;
}

static inline int check_key(const char *call, const belay_cache *cache, const void *key, size_t length)
{
    if (__builtin_expect(cache && key && length > 0 && length <= BELAY_KEY_MAX && !function_running, 1))
        return BELAY_OK;
    if (function_running)
        return check_outside(call);
    if (!cache || !key)
        return log_quiet(BELAY_ERR_INVALID, "%s: %s is NULL", call, cache ? "the key" : "the cache");
    if (length == 0)
        return log_quiet(BELAY_ERR_INVALID, "%s: the key is empty", call);
    return log_quiet(BELAY_ERR_TOO_LARGE, "%s: a key of %zu bytes; at most %u", call, length, BELAY_KEY_MAX);
}

static inline int check_not_own(const char *call, const void *key, size_t length)
{
    return __builtin_expect(own_key(key, length), 0)
               ? log_quiet(BELAY_ERR_INVALID, "%s: the key is one that the library needs for itself", call)
               : BELAY_OK;
}

static inline int check_value(const char *call, const void *value, size_t length)
{
    if (length > BELAY_VALUE_MAX)
        return log_quiet(BELAY_ERR_TOO_LARGE, "%s: a value of %zu bytes; at most %u", call, length,
                         BELAY_VALUE_MAX);
    if (!value && length > 0)
        return log_quiet(BELAY_ERR_INVALID, "%s: the value is NULL", call);
    return BELAY_OK;
}

static inline int check_options(const char *call, const belay_write_options *options)
{
    if (options && (unsigned)options->sync > BELAY_FULL_ASYNC)
        return log_quiet(BELAY_ERR_INVALID, "%s: options->sync is %d", call, (int)options->sync);
    if (options && options->time_to_live_ms > BELAY_TIME_TO_LIVE_MAX_MS &&
        options->time_to_live_ms != BELAY_NEVER_EXPIRES)
        return log_quiet(BELAY_ERR_INVALID, "%s: options->time_to_live_ms is %llu", call,
                         (unsigned long long)options->time_to_live_ms);
    return BELAY_OK;
}

static inline int check_put(const char *call, const belay_cache *cache, const void *key, size_t key_length,
                            const void *value, size_t value_length, const belay_write_options *options)
{
    int result = check_key(call, cache, key, key_length);
    if (result == BELAY_OK)
        result = check_not_own(call, key, key_length);
    if (result == BELAY_OK)
        result = check_value(call, value, value_length);
    return result == BELAY_OK ? check_options(call, options) : result;
}

static inline int check_output(const char *call, const void *output, const char *name)
{
    return output ? check_outside(call) : log_quiet(BELAY_ERR_INVALID, "%s: %s is NULL", call, name);
}

#endif
