/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy/mark.h"

#include "copy/copy_private.h"

static _Atomic uint64_t *word_of(const copy *c, uint64_t hash)
{
    return &c->descriptor->marks[mark_index(hash)];
}

uint64_t copy_mark(const copy *c, uint64_t hash)
{
    return atomic_load_explicit(word_of(c, hash), memory_order_acquire);
}

void copy_mark_prepared(copy *c, uint64_t hash)
{
    atomic_fetch_add(word_of(c, hash), 1);
}

void copy_mark_settled(copy *c, uint64_t hash, bool changed)
{
    atomic_fetch_add(word_of(c, hash), (changed ? MARK_CHANGE : 0) - 1);
}

void copy_mark_changing(copy *c, uint64_t hash)
{
    atomic_fetch_add(word_of(c, hash), MARK_CHANGE);
}

void copy_marks_reset(copy *c)
{
    uint64_t changes = c->version * 0x9e3779b97f4a7c15ull >> 32;
    for (int i = 0; i < MARK_WORDS; ++i)
        atomic_store(&c->descriptor->marks[i], changes * MARK_CHANGE);
}
