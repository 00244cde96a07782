/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_board.h
 * The notice board by which the ranks of a stage job coordinate: a small cache of its own, FULL_SYNC and with
 * backups. MPI is not used once the node is open, so the ranks that are left when one dies still have what it had
 * pinned there, and need no call of MPI that would wait for it.
 *
 * A notice is named by a word and two numbers. Any thread may call. Results are those of the Belay calls
 * beneath.
 */
#ifndef BELAY_TOOL_STAGE_BOARD_H
#define BELAY_TOOL_STAGE_BOARD_H

#include "belay.h"

#include <stddef.h>
#include <stdint.h>

struct stage_board {
    belay_cache *cache;
};

struct notice {
    const char *word; /* up to 15 characters */
    uint32_t pass, index;
};

/* @p backups of the files: the board has as many, but at least one. */
int board_open(struct stage_board *board, belay_node *node, unsigned backups);
void board_close(struct stage_board *board);

int board_put(struct stage_board *board, struct notice notice, const void *value, size_t length);

/* Pin it unless there is one: BELAY_ERR_EXISTS. */
int board_put_first(struct stage_board *board, struct notice notice, const void *value, size_t length);

/* Pin a number in the place of the one that is there, provided that it still is @p old: else BELAY_ERR_CONFLICT. */
int board_exchange(struct stage_board *board, struct notice notice, uint32_t old, uint32_t number);

/* The value must have exactly @p length bytes: else BELAY_ERR_TYPE. NOT_FOUND if nobody has pinned it. */
int board_get(struct stage_board *board, struct notice notice, void *value, size_t length);

/* Get @p count notices of one length with the indexes 0, 1, ... into the array @p values. @p statuses: one
 * each. */
int board_get_range(struct stage_board *board, const char *word, uint32_t pass, uint32_t count, void *values,
                    size_t length, int *statuses);

/* Take the next number of a counter that starts at 0: no two callers get the same. */
int board_take(struct stage_board *board, struct notice counter, uint64_t *number);

/* How many numbers were taken. */
int board_taken(struct stage_board *board, struct notice counter, uint64_t *count);

#endif
