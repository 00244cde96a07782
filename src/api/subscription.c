/* SPDX-License-Identifier: BSD-3-Clause */
/* Subscriptions to changes of keys. */
#include "cache/subscription.h"

#include "api/check.h"

int belay_subscribe(belay_cache *cache, const void *prefix, size_t prefix_length,
                    belay_change_handler handler, void *context, belay_subscription **subscription)
{
    int result = check_output("belay_subscribe", cache, "the cache");
    if (result == BELAY_OK)
        result = check_output("belay_subscribe", subscription, "subscription");
    if (result == BELAY_OK && !handler)
        result = log_quiet(BELAY_ERR_INVALID, "belay_subscribe: the handler is NULL");
    if (result == BELAY_OK && !prefix && prefix_length > 0)
        result = log_quiet(BELAY_ERR_INVALID, "belay_subscribe: the prefix is NULL");
    if (result == BELAY_OK && prefix_length > BELAY_KEY_MAX)
        result = log_quiet(BELAY_ERR_TOO_LARGE, "belay_subscribe: a prefix of %zu bytes; at most %u",
                           prefix_length, BELAY_KEY_MAX);
    return result == BELAY_OK
               ? subscription_open(cache, prefix, prefix_length, handler, context, subscription)
               : result;
}

int belay_unsubscribe(belay_subscription **subscription)
{
    int result = check_output("belay_unsubscribe", subscription, "subscription");
    if (result == BELAY_OK)
        result = check_output("belay_unsubscribe", *subscription, "*subscription");
    if (result != BELAY_OK)
        return result;
    subscription_close(*subscription);
    *subscription = NULL;
    return BELAY_OK;
}
