/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file serve_board.h
 * What the servers of `belay serve` tell each other, through a small cache that each of them holds: that it is time to stop, and
 * which caches to open. All read the same list of caches in the same order, so that each opens with the others.
 */
#ifndef BELAY_TOOL_SERVE_BOARD_H
#define BELAY_TOOL_SERVE_BOARD_H

#include "cluster/settings.h"

#include <stdbool.h>

struct serve_board {
    belay_cache *cache;
    unsigned next; /* of the list: not read yet */
};

#define SERVE_BOARD_NAME "belay-serve"

int serve_board_open(struct serve_board *board, belay_node *node);

int serve_board_stop(struct serve_board *board);
bool serve_board_stopped(const struct serve_board *board);

/* Add to the end of the list. */
int serve_board_add(struct serve_board *board, const struct cache_settings *settings);
/* The next of the list. @return false: there is none now. */
bool serve_board_next(struct serve_board *board, struct cache_settings *settings);

#endif
