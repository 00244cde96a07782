/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The heat equation on a plate, with its field kept in a Belay cache.
 *
 * Rows of the plate are dealt out to the ranks in blocks. Halfway, every rank writes its rows into the cache, where
 * each has a backup on another node. At the end the job pretends to have lost its memory: every rank takes the block of
 * another, reads the rows of halfway from the cache, goes on from there, and must come to the same plate, bit by bit.
 *
 *     mpicc heat.c $(pkg-config --cflags --libs belay) -o heat && mpirun -n 4 ./heat
 */
#include <belay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 96, COLUMNS = 96, STEPS = 400, HALFWAY = STEPS / 2 };

typedef double row[COLUMNS];

struct key { /* of one row at one time */
    int32_t step, row;
};

/* One block of rows, with a row of each neighbour around it. */
struct block {
    int number, count; /* of blocks: as many as ranks */
    int first, rows;   /* of the plate */
    int above, below;  /* ranks, or MPI_PROC_NULL */
    row *now, *next;   /* rows 1 to `rows` are the block's own */
};

static void check(int result, const char *what)
{
    if (result == BELAY_OK)
        return;
    fprintf(stderr, "heat: %s: %s (%s)\n", what, belay_strerror(result), belay_last_error());
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Rank r has block (r + shift) mod ranks. */
static struct block block_of(int rank, int ranks, int shift)
{
    struct block block = {.number = (rank + shift) % ranks, .count = ranks};
    block.first = ROWS * block.number / ranks;
    block.rows = ROWS * (block.number + 1) / ranks - block.first;
    block.above = block.number > 0 ? (rank + ranks - 1) % ranks : MPI_PROC_NULL;
    block.below = block.number < ranks - 1 ? (rank + 1) % ranks : MPI_PROC_NULL;
    block.now = calloc((size_t)block.rows + 2, sizeof(row));
    block.next = calloc((size_t)block.rows + 2, sizeof(row));
    if (!block.now || !block.next)
        MPI_Abort(MPI_COMM_WORLD, 1);
    return block;
}

static void release(struct block *block)
{
    free(block->now);
    free(block->next);
}

/* A hot spot in a cold plate whose edges stay cold. */
static void heat_up(struct block *block)
{
    for (int i = 1; i <= block->rows; ++i)
        for (int j = 0; j < COLUMNS; ++j) {
            int y = block->first + i - 1 - ROWS / 3, x = j - COLUMNS / 4;
            block->now[i][j] = x * x + y * y < 100 ? 1000 : 0;
        }
}

static void exchange_halos(struct block *block)
{
    int last = block->rows;
    MPI_Sendrecv(block->now[1], COLUMNS, MPI_DOUBLE, block->above, 0, block->now[last + 1], COLUMNS,
                 MPI_DOUBLE, block->below, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(block->now[last], COLUMNS, MPI_DOUBLE, block->below, 1, block->now[0], COLUMNS, MPI_DOUBLE,
                 block->above, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void step(struct block *block)
{
    exchange_halos(block);
    for (int i = 1; i <= block->rows; ++i)
        for (int j = 1; j < COLUMNS - 1; ++j)
            block->next[i][j] = block->now[i][j] +
                                0.2 * (block->now[i - 1][j] + block->now[i + 1][j] + block->now[i][j - 1] +
                                       block->now[i][j + 1] - 4 * block->now[i][j]);
    row *then = block->now;
    block->now = block->next;
    block->next = then;
}

static void save(const struct block *block, int32_t time, belay_cache *cache)
{
    for (int i = 1; i <= block->rows; ++i) {
        struct key key = {time, block->first + i - 1};
        check(belay_put(cache, &key, sizeof key, block->now[i], sizeof(row), NULL), "saving a row");
    }
}

static void load(struct block *block, int32_t time, belay_cache *cache)
{
    for (int i = 1; i <= block->rows; ++i) {
        struct key key = {time, block->first + i - 1};
        size_t length;
        check(belay_get(cache, &key, sizeof key, block->now[i], sizeof(row), &length), "loading a row");
    }
}

/* How many rows are not as those saved. */
static int compare(const struct block *block, int32_t time, belay_cache *cache)
{
    int different = 0;
    for (int i = 1; i <= block->rows; ++i) {
        struct key key = {time, block->first + i - 1};
        row saved;
        size_t length;
        check(belay_get(cache, &key, sizeof key, saved, sizeof saved, &length), "loading a row");
        different += memcmp(saved, block->now[i], sizeof(row)) != 0;
    }
    return different;
}

static double total_of(const struct block *block)
{
    double own = 0, all;
    for (int i = 1; i <= block->rows; ++i)
        for (int j = 0; j < COLUMNS; ++j)
            own += block->now[i][j];
    MPI_Allreduce(&own, &all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return all;
}

int main(int argc, char **argv)
{
    int rank, ranks, different, all_different;
    belay_node *node;
    belay_cache *cache;
    belay_cache_config config = {
        .name = "plate", .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC};

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks > ROWS)
        check(BELAY_ERR_INVALID, "more ranks than rows");
    check(belay_open(MPI_COMM_WORLD, NULL, &node), "opening the node");
    check(belay_cache_open(node, &config, &cache), "opening the cache");

    struct block block = block_of(rank, ranks, 0);
    heat_up(&block);
    for (int time = 0; time < STEPS; ++time) {
        if (time == HALFWAY)
            save(&block, time, cache);
        step(&block);
    }
    save(&block, STEPS, cache);
    double total = total_of(&block);
    release(&block);
    MPI_Barrier(MPI_COMM_WORLD); /* all rows are saved */

    block = block_of(rank, ranks, 1);
    load(&block, HALFWAY, cache);
    for (int time = HALFWAY; time < STEPS; ++time)
        step(&block);
    different = compare(&block, STEPS, cache);
    release(&block);

    MPI_Allreduce(&different, &all_different, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf(
            "heat: %.6f in all after %d steps; from the cache's rows of step %d on, %d of %d rows differ\n",
            total, STEPS, HALFWAY, all_different, ROWS);
    check(belay_close(node), "closing the node");
    MPI_Finalize();
    return all_different != 0;
}
