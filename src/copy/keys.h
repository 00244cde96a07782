/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file keys.h
 * Listing the keys of a copy, piece by piece, while it changes in between.
 *
 * A page covers a range of hash prefixes, and a split leaves every slot at its place within the page. So (range, slot
 * number) stays meaningful whatever is split between two pieces: slots are visited in order of their number, and for each
 * number in all pages that cover the range by now. A key that stays is listed exactly once.
 */
#ifndef BELAY_KEYS_H
#define BELAY_KEYS_H

#include "copy/reader.h"

enum { KEY_PREFIX_BITS = 26, KEY_PREFIX_END = 1 << KEY_PREFIX_BITS };

struct key_cursor {  /* zeroed: the beginning */
    uint32_t prefix; /* first hash prefix of the range; KEY_PREFIX_END: the end was reached */
    uint32_t end;    /* one more than the last; 0: the range is not chosen yet */
    uint32_t slot;   /* slot number at hand */
    uint32_t at;     /* prefix within the range from which on that slot is still to be listed */
};

/* A cursor that came from a peer: is it one? */
bool key_cursor_valid(const struct key_cursor *cursor);

/*
 * List keys into @p buffer, each as a 2-byte length and the key's bytes, and move the cursor on. The copy's lock is held,
 * so nothing changes during the call. A buffer of BELAY_KEY_MAX + 2 bytes always takes at least one key.
 * @return bytes used, or BELAY_ERR_PROTOCOL if the copy is damaged.
 */
long copy_list_keys(const struct arena_view *view, const struct copy_descriptor *descriptor,
                    struct key_cursor *cursor, void *buffer, size_t capacity);

#endif
