/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file pending.c
 * Staged changes that are not published yet, a list in staging order through the callers' memory. Mostly there are none
 * or few, so it is searched from the newest end.
 */
#include "copy/copy_private.h"

void pending_add(copy *c, struct copy_change *change)
{
    change->staged = true;
    change->newer = NULL;
    change->older = c->newest;
    if (c->newest)
        c->newest->newer = change;
    else
        c->oldest = change;
    c->newest = change;
}

void pending_remove(copy *c, struct copy_change *change)
{
    if (change->newer)
        change->newer->older = change->older;
    else
        c->newest = change->older;
    if (change->older)
        change->older->newer = change->newer;
    else
        c->oldest = change->newer;
    change->newer = change->older = NULL;
    change->staged = false;
}

struct copy_change *pending_find(const copy *c, uint64_t hash, const void *key, size_t key_length)
{
    for (struct copy_change *change = c->newest; change; change = change->older)
        if (change->hash == hash && !change->superseded &&
            entry_has_key(c, change->entry_at, key, key_length))
            return change;
    return NULL;
}

bool pending_uses_slot(const copy *c, uint64_t slot_at)
{
    for (const struct copy_change *change = c->newest; change; change = change->older)
        if (change->slot_at == slot_at)
            return true;
    return false;
}

bool pending_uses_page(const copy *c, uint64_t page_at)
{
    for (const struct copy_change *change = c->newest; change; change = change->older)
        if (change->slot_at / PAGE_SIZE_BYTES == page_at / PAGE_SIZE_BYTES)
            return true;
    return false;
}

bool pending_uses_entry(const copy *c, uint64_t entry_at)
{
    for (const struct copy_change *change = c->newest; change; change = change->older)
        if (change->entry_at == entry_at)
            return true;
    return false;
}

void pending_supersede(struct copy_change *by)
{
    for (struct copy_change *change = by->older; change; change = change->older)
        if (change->slot_at == by->slot_at)
            change->superseded = true;
}

struct copy_change *copy_oldest_pending(const copy *c)
{
    return c->oldest;
}
