/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy/mark.h"

#include "copy/copy_private.h"

static _Atomic uint32_t *word_of(const copy *c, uint64_t hash)
{
    return &c->descriptor->marks[mark_index(hash)];
}

uint32_t copy_mark(const copy *c, uint64_t hash)
{
    return atomic_load_explicit(word_of(c, hash), memory_order_acquire);
}

void copy_mark_prepared(copy *c, uint64_t hash)
{
    atomic_fetch_add(word_of(c, hash), 1);
}

void copy_mark_settled(copy *c, uint64_t hash)
{
    atomic_fetch_add(word_of(c, hash), MARK_CHANGE - 1);
}

void copy_mark_changing(copy *c, uint64_t hash)
{
    atomic_fetch_add(word_of(c, hash), MARK_CHANGE);
}

void copy_marks_reset(copy *c)
{
    uint32_t changes = (uint32_t)(c->version * 0x9e3779b97f4a7c15ull >> 48);
    for (int i = 0; i < MARK_WORDS; ++i)
        atomic_store(&c->descriptor->marks[i], changes * MARK_CHANGE);
}
