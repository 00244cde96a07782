/* SPDX-License-Identifier: BSD-3-Clause */
#include "board.h"

#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static struct board *map(const char *path, int flags)
{
    int file = open(path, O_RDWR | flags, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct board)) != 0)
        job_abort("cannot make %s", path);
    void *memory = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        job_abort("cannot map %s", path);
    return memory;
}

/* The lowest rank of this host. */
static bool is_first_here(void)
{
    MPI_Comm here;
    int rank = 0;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
    MPI_Comm_rank(here, &rank);
    MPI_Comm_free(&here);
    return rank == 0;
}

struct board *board_open(const struct job *job)
{
    char path[512];
    struct board *board = NULL;
    if (job->ranks > RANKS_MAX)
        job_abort("more than %d ranks", RANKS_MAX);
    const char *folder = getenv("BELAY_TEST_BOARD") ? getenv("BELAY_TEST_BOARD") : getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/board", folder ? folder : "/tmp");
    bool first = is_first_here();
    if (first) {
        unlink(path);
        board = map(path, O_CREAT | O_EXCL);
    }
    job_barrier();
    if (!first)
        board = map(path, 0);
    atomic_store(&board->ranks[job->rank].pid, getpid());
    job_barrier();
    return board;
}

bool board_has(const struct board *board, int rank)
{
    return atomic_load(&board->ranks[rank].pid) != 0;
}

/* The letter behind the name in /proc/<pid>/stat: Z and X have ended. */
bool board_ended(const struct board *board, int rank)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)atomic_load(&board->ranks[rank].pid));
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *name_end = strrchr(text, ')');
    return !name_end || name_end[2] == 'Z' || name_end[2] == 'X';
}

void board_barrier(struct board *board, const struct job *job)
{
    uint32_t phase = atomic_fetch_add(&board->ranks[job->rank].phase, 1) + 1;
    for (int rank = 0; rank < job->ranks; ++rank)
        while (atomic_load(&board->ranks[rank].phase) < phase && !board_ended(board, rank))
            nanosleep(&(struct timespec){0, 1000000}, NULL);
}

int board_first(const struct board *board, const struct job *job)
{
    int rank = 0;
    while (rank < job->rank && board_ended(board, rank))
        ++rank;
    return rank;
}

void board_verdict(const struct job *job)
{
    char path[512];
    snprintf(path, sizeof path, "%s/verdict.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", job->rank);
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(report_failures() == 0 ? "passed\n" : "failed\n", file);
        fclose(file);
    }
    _exit(report_failures() == 0 ? JOB_PASSED : JOB_FAILED);
}
