/* SPDX-License-Identifier: BSD-3-Clause */
/* Many keys at once: their reads and requests overlapped. */
#ifndef BELAY_MANY_H
#define BELAY_MANY_H

#include "cache/cache.h"

/* As belay_get_all() and belay_put_all(); items whose status is not BELAY_OK on entry are left alone. */
void many_get(belay_cache *cache, belay_get_item *items, size_t count);
void many_put(belay_cache *cache, belay_put_item *items, size_t count, const belay_write_options *options);

#endif
