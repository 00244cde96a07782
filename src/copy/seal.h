/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file seal.h
 * The seal of an entry, shared by those who write it and those who check it. Version and address go in last, so that an
 * entry left from an earlier use of its place, or fetched from another, has a different one.
 */
#ifndef BELAY_SEAL_H
#define BELAY_SEAL_H

#include "copy/layout.h"

#include <stdbool.h>
#include <stddef.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SEAL_FROM = 16 }; /* the header's bytes from here on are hashed with the key */

_Static_assert(offsetof(struct entry_header, value_length) == SEAL_FROM,
               "the seal leaves out version and seal only");

/* Bytes from SEAL_FROM that the seal covers. */
static inline size_t seal_length(const struct entry_header *header)
{
    bool whole = header->flags & ENTRY_SEALED_WHOLE;
    return sizeof *header - SEAL_FROM + header->key_length + (whole ? entry_value_bytes(header) : 0);
}

static inline uint64_t seal_finish(uint64_t bytes_hash, uint64_t version, uint64_t entry_at)
{
    uint64_t words[3] = {bytes_hash, version, entry_at};
    uint64_t seal = XXH3_64bits(words, sizeof words);
    return seal ? seal : 1;
}

#endif
