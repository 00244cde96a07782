/* SPDX-License-Identifier: BSD-3-Clause */
#include "gather.h"

#include "job.h"

#include <mpi.h>
#include <string.h>

static void join(const struct history *threads, unsigned count, struct history *joined)
{
    size_t total = 0;
    for (unsigned i = 0; i < count; ++i)
        total += threads[i].count;
    history_create(joined, total);
    for (unsigned i = 0; i < count; ++i) {
        memcpy(joined->operations + joined->count, threads[i].operations,
               threads[i].count * sizeof *joined->operations);
        joined->count += threads[i].count;
    }
}

void history_gather(const struct history *threads, unsigned count, struct history *all)
{
    enum { TAG = 17 };
    struct history own;
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    join(threads, count, &own);
    uint64_t total = job_sum(own.count);
    history_create(all, rank == 0 ? total : 0);
    if (rank != 0) {
        MPI_Send(own.operations, (int)(own.count * sizeof *own.operations), MPI_BYTE, 0, TAG, MPI_COMM_WORLD);
    } else {
        memcpy(all->operations, own.operations, own.count * sizeof *own.operations);
        all->count = own.count;
        for (int from = 1; from < ranks; ++from) {
            MPI_Status status;
            int bytes;
            MPI_Recv(all->operations + all->count, (int)((total - all->count) * sizeof *all->operations),
                     MPI_BYTE, from, TAG, MPI_COMM_WORLD, &status);
            MPI_Get_count(&status, MPI_BYTE, &bytes);
            all->count += (size_t)bytes / sizeof *all->operations;
        }
        history_sort(all);
    }
    history_destroy(&own);
}
