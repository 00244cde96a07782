/* SPDX-License-Identifier: BSD-3-Clause */
/* The same bytes by bare MPI: no keys, no index, no copies, no failures. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 64, LARGE = 64 * 1024, FOLLOWER = 1 };

struct mpi_memory {
    MPI_Win small, large; /* of the follower */
    uint64_t at;
    uint32_t large_count;
};

static MPI_Win make_window(int rank, size_t bytes, void **memory)
{
    MPI_Win window;
    MPI_Win_allocate(rank == FOLLOWER ? (MPI_Aint)bytes : 0, 1, MPI_INFO_NULL, MPI_COMM_WORLD, memory,
                     &window);
    return window;
}

void mpi_open(struct bench *bench)
{
    struct mpi_memory *m = calloc(1, sizeof *m);
    CHECK(m, "no memory");
    void *small, *large;
    bench->mpi = m;
    m->large_count = bench->quick ? 1024 : 4096;
    m->small = make_window(bench->rank, (size_t)bench->entries * SMALL, &small);
    m->large = make_window(bench->rank, (size_t)m->large_count * LARGE, &large);
    if (bench->rank == FOLLOWER) {
        uint64_t random = 5;
        for (uint32_t i = 0; i < bench->entries; ++i)
            for (unsigned word = 0; word < SMALL / 8; ++word)
                ((uint64_t *)small)[i * (SMALL / 8) + word] = random_below(&random, bench->entries);
        memset(large, 1, (size_t)m->large_count * LARGE);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (bench->rank == 0) {
        MPI_Win_lock(MPI_LOCK_SHARED, FOLLOWER, 0, m->small);
        MPI_Win_lock(MPI_LOCK_SHARED, FOLLOWER, 0, m->large);
    }
}

void mpi_close(struct bench *bench)
{
    struct mpi_memory *m = bench->mpi;
    if (bench->rank == 0) {
        MPI_Win_unlock(FOLLOWER, m->small);
        MPI_Win_unlock(FOLLOWER, m->large);
    }
    MPI_Win_free(&m->small);
    MPI_Win_free(&m->large);
    free(m);
}

/* Each place depends on the last value; mixed with a count, for it must not end in a short circle. */
void mpi_get_64(struct bench *bench, unsigned operations)
{
    struct mpi_memory *m = bench->mpi;
    uint64_t value[SMALL / 8];
    for (unsigned i = 0; i < operations; ++i) {
        MPI_Get(value, SMALL, MPI_BYTE, FOLLOWER, (MPI_Aint)(m->at * SMALL), SMALL, MPI_BYTE, m->small);
        MPI_Win_flush(FOLLOWER, m->small);
        m->at = (value[0] + bench->drawn[i & (DRAWN_MAX - 1)]) % bench->entries;
    }
}

void mpi_put_64(struct bench *bench, unsigned operations)
{
    for (unsigned i = 0; i < operations; ++i) {
        MPI_Aint at = (MPI_Aint)bench->drawn[i & (DRAWN_MAX - 1)] * SMALL;
        MPI_Put(bench->mirrored.value, SMALL, MPI_BYTE, FOLLOWER, at, SMALL, MPI_BYTE, bench->mpi->small);
        MPI_Win_flush(FOLLOWER, bench->mpi->small);
    }
}

void mpi_get_64k(struct bench *bench, unsigned operations)
{
    struct mpi_memory *m = bench->mpi;
    for (unsigned i = 0; i < operations; ++i) {
        MPI_Aint at = (MPI_Aint)(bench->drawn[i & (DRAWN_MAX - 1)] % m->large_count) * LARGE;
        MPI_Get(bench->buffer, LARGE, MPI_BYTE, FOLLOWER, at, LARGE, MPI_BYTE, m->large);
        MPI_Win_flush(FOLLOWER, m->large);
    }
}

static void echo(void *context, uint64_t count)
{
    struct bench *bench = context;
    (void)bench;
    unsigned char message[SMALL];
    for (uint64_t i = 0; i < count; ++i) {
        MPI_Recv(message, SMALL, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(message, SMALL, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
}

void mpi_echo_begin(struct bench *bench, unsigned operations)
{
    pair_call(&bench->pair, echo, operations);
}

void mpi_send_recv_64(struct bench *bench, unsigned operations)
{
    for (unsigned i = 0; i < operations; ++i) {
        MPI_Send(bench->mirrored.value, SMALL, MPI_BYTE, FOLLOWER, 0, MPI_COMM_WORLD);
        MPI_Recv(bench->buffer, SMALL, MPI_BYTE, FOLLOWER, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
}

void mpi_wait(struct bench *bench)
{
    pair_wait(&bench->pair);
}
