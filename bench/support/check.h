/* SPDX-License-Identifier: BSD-3-Clause */
/* A benchmark that goes wrong ends its whole job: figures of a broken run are worth nothing. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include <mpi.h>
#include <stdio.h>

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (__builtin_expect(!(condition), 0)) {                                                             \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                  \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fputc('\n', stderr);                                                                             \
            MPI_Abort(MPI_COMM_WORLD, 1);                                                                    \
        }                                                                                                    \
    } while (0)

#endif
