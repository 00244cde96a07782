/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_board.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOTICE_KEY_MAX = 40, BOARD_PARTITIONS = 16, GET_AT_ONCE = 256 };

int board_open(struct stage_board *board, belay_node *node, unsigned backups)
{
    const belay_cache_config config = {
        .name = "stage-board",
        .backups = backups > 1 ? backups : 1,
        .write_synchronization_mode = BELAY_FULL_SYNC,
        .partitions = BOARD_PARTITIONS,
    };
    return belay_cache_open(node, &config, &board->cache);
}

void board_close(struct stage_board *board)
{
    belay_cache_close(board->cache);
    board->cache = NULL;
}

static size_t key_of(struct notice notice, char key[NOTICE_KEY_MAX])
{
    return (size_t)snprintf(key, NOTICE_KEY_MAX, "%.15s/%u/%u", notice.word, notice.pass, notice.index);
}

int board_put(struct stage_board *board, struct notice notice, const void *value, size_t length)
{
    char key[NOTICE_KEY_MAX];
    return belay_put(board->cache, key, key_of(notice, key), value, length, NULL);
}

int board_put_first(struct stage_board *board, struct notice notice, const void *value, size_t length)
{
    char key[NOTICE_KEY_MAX];
    return belay_put_if_absent(board->cache, key, key_of(notice, key), value, length, NULL);
}

static int exactly(int result, size_t length, size_t wanted)
{
    if (result == BELAY_ERR_TRUNCATED || (result == BELAY_OK && length != wanted))
        return BELAY_ERR_TYPE;
    return result;
}

int board_get(struct stage_board *board, struct notice notice, void *value, size_t length)
{
    char key[NOTICE_KEY_MAX];
    size_t found = 0;
    int result = belay_get(board->cache, key, key_of(notice, key), value, length, &found);
    return exactly(result, found, length);
}

int board_exchange(struct stage_board *board, struct notice notice, uint32_t old, uint32_t number)
{
    char key[NOTICE_KEY_MAX];
    size_t key_length = key_of(notice, key), found = 0;
    uint32_t present;
    uint64_t version;
    int result = belay_get_versioned(board->cache, key, key_length, &present, sizeof present, &found,
                                     &version);
    result = exactly(result, found, sizeof present);
    if (result == BELAY_OK && present != old)
        return BELAY_ERR_CONFLICT;
    return result == BELAY_OK ? belay_compare_and_set(board->cache, key, key_length, version, &number,
                                                      sizeof number, NULL, NULL)
                              : result;
}

struct get_batch {
    belay_get_item items[GET_AT_ONCE];
    char keys[GET_AT_ONCE][NOTICE_KEY_MAX];
};

int board_get_range(struct stage_board *board, const char *word, uint32_t pass, uint32_t count, void *values,
                    size_t length, int *statuses)
{
    struct get_batch *batch = malloc(sizeof *batch);
    if (!batch)
        return BELAY_ERR_NO_MEMORY;
    int result = BELAY_OK;
    for (uint32_t from = 0; from < count && result == BELAY_OK; from += GET_AT_ONCE) {
        uint32_t some = count - from < GET_AT_ONCE ? count - from : GET_AT_ONCE;
        for (uint32_t i = 0; i < some; ++i) {
            size_t key_length = key_of((struct notice){word, pass, from + i}, batch->keys[i]);
            batch->items[i] = (belay_get_item){.key = {batch->keys[i], key_length},
                                               .buffer = (char *)values + (from + i) * length,
                                               .capacity = length};
        }
        result = belay_get_all(board->cache, batch->items, some);
        for (uint32_t i = 0; i < some; ++i)
            statuses[from + i] = exactly(batch->items[i].status, batch->items[i].length, length);
    }
    free(batch);
    return result;
}

int board_take(struct stage_board *board, struct notice counter, uint64_t *number)
{
    char key[NOTICE_KEY_MAX];
    int64_t old;
    int result = belay_fetch_add(board->cache, key, key_of(counter, key), 1, NULL, &old);
    if (result == BELAY_OK)
        *number = (uint64_t)old;
    return result;
}

int board_taken(struct stage_board *board, struct notice counter, uint64_t *count)
{
    uint64_t value;
    int result = board_get(board, counter, &value, sizeof value);
    if (result == BELAY_ERR_NOT_FOUND)
        value = 0;
    else if (result != BELAY_OK)
        return result;
    *count = value;
    return BELAY_OK;
}
