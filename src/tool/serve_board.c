/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/serve_board.h"

#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 24 };
static const char stop_key[] = "stop";

int serve_board_open(struct serve_board *board, belay_node *node)
{
    const belay_cache_config config = {.name = SERVE_BOARD_NAME,
                                       .cache_mode = BELAY_CACHE_REPLICATED,
                                       .write_synchronization_mode = BELAY_FULL_SYNC,
                                       .partitions = 1};
    return belay_cache_open(node, &config, &board->cache);
}

int serve_board_stop(struct serve_board *board)
{
    return belay_put(board->cache, stop_key, sizeof stop_key - 1, NULL, 0, NULL);
}

bool serve_board_stopped(const struct serve_board *board)
{
    int result = belay_contains(board->cache, stop_key, sizeof stop_key - 1);
    return result == BELAY_OK || result == BELAY_ERR_EXCLUDED;
}

static size_t make_key(unsigned index, char key[KEY_MAX])
{
    return (size_t)snprintf(key, KEY_MAX, "cache %u", index);
}

int serve_board_add(struct serve_board *board, const struct cache_settings *settings)
{
    char key[KEY_MAX];
    int result = BELAY_ERR_EXISTS;
    for (unsigned index = board->next; result == BELAY_ERR_EXISTS; ++index)
        result = belay_put_if_absent(board->cache, key, make_key(index, key), settings, sizeof *settings,
                                     NULL);
    return result;
}

bool serve_board_next(struct serve_board *board, struct cache_settings *settings)
{
    char key[KEY_MAX];
    size_t length = 0;
    if (belay_get(board->cache, key, make_key(board->next, key), settings, sizeof *settings, &length) !=
            BELAY_OK ||
        length != sizeof *settings || settings_check_cache(settings) != BELAY_OK)
        return false;
    board->next++;
    return true;
}
