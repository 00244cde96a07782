/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/transaction_locks.h"

#include "base/clock.h"
#include "base/log.h"
#include "cache/operation.h"
#include "cache/transaction_coordinator.h"
#include "cache/transaction_participant.h"

#include <stdlib.h>
#include <string.h>

struct transactions *transactions_create(void)
{
    return calloc(1, sizeof(struct transactions));
}

void transactions_destroy(struct transactions *transactions)
{
    if (!transactions)
        return;
    while (transactions->first)
        participant_drop(transactions, transactions->first);
    free(transactions->buckets);
    free(transactions);
}

uint64_t transactions_visible(const struct partition *partition)
{
    uint64_t entries = copy_entries(partition->copy);
    return partition->transactions ? entries - partition->transactions->records : entries;
}

bool locks_any(const struct transactions *transactions)
{
    return transactions->holds > 0;
}

static bool is_key(const struct hold *hold, uint64_t hash, const void *key, size_t length)
{
    return hold->hash == hash && hold->key_length == length && memcmp(hold->key, key, length) == 0;
}

static struct hold **bucket_of(const struct transactions *transactions, uint64_t hash)
{
    return &transactions->buckets[(hash >> 8) % LOCK_BUCKETS];
}

uint64_t locks_owner(const struct transactions *transactions, uint64_t hash, const void *key, size_t length,
                     uint64_t self)
{
    if (transactions->holds == 0)
        return 0;
    for (const struct hold *hold = *bucket_of(transactions, hash); hold; hold = hold->next)
        if (is_key(hold, hash, key, length) && hold->owner->id != self)
            return hold->owner->id;
    return 0;
}

bool locks_changing(const struct transactions *transactions, const struct lock_key *key, uint64_t self)
{
    if (transactions->holds == 0)
        return false;
    for (const struct hold *hold = *bucket_of(transactions, key->hash); hold; hold = hold->next)
        if (is_key(hold, key->hash, key->data, key->length) && hold->marked && hold->owner->id != self)
            return true;
    return false;
}

static int add(struct transactions *transactions, struct participant *owner, const struct lock_key *key)
{
    struct hold *hold = malloc(sizeof *hold + key->length);
    if (!transactions->buckets)
        transactions->buckets = calloc(LOCK_BUCKETS,
                                       sizeof(struct hold *)); /* NOLINT(bugprone-sizeof-expression) */
    if (!hold || !transactions->buckets) {
        free(hold);
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to lock a key");
    }
    struct hold **bucket = bucket_of(transactions, key->hash);
    *hold = (struct hold){.next = *bucket,
                          .sibling = owner->holds,
                          .owner = owner,
                          .hash = key->hash,
                          .exclusive = key->exclusive,
                          .key_length = (uint16_t)key->length};
    memcpy(hold->key, key->data, key->length);
    *bucket = hold;
    owner->holds = hold;
    transactions->holds++;
    return BELAY_OK;
}

/* Of several whose shared locks are in the way, any may be named, so that a chase comes to each of them in time. */
static bool is_named(struct transactions *transactions, unsigned count)
{
    transactions->dice = transactions->dice * 1664525 + 1013904223;
    return (transactions->dice >> 16) % count == 0;
}

int locks_take(struct transactions *transactions, struct participant *owner, const struct lock_key *key,
               uint64_t *holder)
{
    struct hold *own = NULL;
    unsigned in_the_way = 0;
    struct hold *first = transactions->buckets ? *bucket_of(transactions, key->hash) : NULL;
    for (struct hold *hold = first; hold; hold = hold->next) {
        if (!is_key(hold, key->hash, key->data, key->length))
            continue;
        if (hold->owner == owner)
            own = hold;
        else if ((hold->exclusive || key->exclusive) && is_named(transactions, ++in_the_way))
            *holder = hold->owner->id;
    }
    if (in_the_way > 0)
        return OPERATION_LOCKED;
    if (!own)
        return add(transactions, owner, key);
    own->exclusive = own->exclusive || key->exclusive;
    return BELAY_OK;
}

/* ---- Whose turn it is ---- */

static struct wish *wish_for(struct transactions *transactions, const struct lock_key *key, uint64_t now)
{
    struct wish *wish = &transactions->wishes[(key->hash >> 16) % WISHES];
    if (wish->id && now >= wish->until)
        wish->id = 0;
    return wish;
}

static bool has_hold(const struct participant *owner, const struct lock_key *key)
{
    for (const struct hold *hold = owner->holds; hold; hold = hold->sibling)
        if (is_key(hold, key->hash, key->data, key->length))
            return true;
    return false;
}

int locks_ask(struct transactions *transactions, struct participant *owner, const struct lock_key *key,
              uint64_t *holder)
{
    enum { REMEMBERED_MS = 50 };
    uint64_t now = clock_now();
    struct wish *wish = wish_for(transactions, key, now);
    bool other = wish->id && wish->id != owner->id;
    bool older = other && transaction_is_younger(owner->id, wish->id);
    if (older && wish->hash == key->hash && !has_hold(owner, key)) {
        *holder = wish->id;
        return OPERATION_LOCKED;
    }
    int result = locks_take(transactions, owner, key, holder);
    if (result == OPERATION_LOCKED && !older)
        *wish = (struct wish){key->hash, owner->id, now + REMEMBERED_MS * NANOSECONDS_PER_MS};
    else if (result == BELAY_OK && wish->id == owner->id)
        wish->id = 0;
    return result;
}

void locks_forget(struct transactions *transactions, uint64_t id)
{
    for (int i = 0; i < WISHES; ++i)
        if (transactions->wishes[i].id == id)
            transactions->wishes[i].id = 0;
}

/* ---- Giving back ---- */

static void unlink_hold(struct transactions *transactions, struct hold *hold)
{
    struct hold **at = bucket_of(transactions, hold->hash);
    while (*at != hold)
        at = &(*at)->next;
    *at = hold->next;
    transactions->holds--;
}

void locks_release(struct transactions *transactions, struct participant *owner)
{
    for (struct hold *hold = owner->holds, *next; hold; hold = next) {
        next = hold->sibling;
        unlink_hold(transactions, hold);
        if (hold->marked)
            copy_mark_settled(owner->partition->copy, hold->hash, owner->state == PARTICIPANT_COMMITTING);
        free(hold);
    }
    owner->holds = NULL;
}
