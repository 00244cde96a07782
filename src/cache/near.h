/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file near.h
 * The near cache: values of other hosts' entries, kept at the caller. A value is used only after a READ of its bucket and of its
 * entry's header have shown that it is still the key's, so a near cache saves the bytes of values and never shows an old one.
 * What is kept is the latest that was read, for as long as it is not overwritten by later ones: rings of bytes, no allocation.
 *
 * Threads: any.
 */
#ifndef BELAY_NEAR_H
#define BELAY_NEAR_H

#include "copy/layout.h"
#include "copy/reader.h"

#include <stdbool.h>

struct near;

/* What must hold of the primary's entry for a kept value to be its value. */
struct near_proof {
    slot_word slot;
    uint64_t version;
    uint32_t value_length;
    uint64_t ends_at; /* of the entry; 0: never */
};

/* @p size: bytes it may take in all. @return NULL: no memory. */
struct near *near_make(size_t size);
void near_free(struct near *near); /* may be NULL */

/* Is a value kept for the key? */
bool near_find(struct near *near, const struct read_key *key, struct near_proof *proof);

/* Copy the kept value, of proof->value_length bytes. @return false: it was overwritten meanwhile. */
bool near_take(struct near *near, const struct read_key *key, const struct near_proof *proof, void *buffer);

/* Keep a value; one that is large beside the whole is not kept. */
void near_keep(struct near *near, const struct read_key *key, const struct near_proof *proof,
               const void *value);

#endif
