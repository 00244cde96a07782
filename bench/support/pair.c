/* SPDX-License-Identifier: BSD-3-Clause */
#include "pair.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void pair_pin(int rank)
{
    cpu_set_t allowed, chosen;
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "sched_getaffinity: %s", strerror(errno));
    int wanted = rank % CPU_COUNT(&allowed), cpu = -1;
    do
        wanted -= CPU_ISSET(++cpu, &allowed) != 0;
    while (wanted >= 0);
    CPU_ZERO(&chosen);
    CPU_SET(cpu, &chosen);
    CHECK(sched_setaffinity(0, sizeof chosen, &chosen) == 0, "sched_setaffinity: %s", strerror(errno));
}

void sleeping_barrier(void)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
        usleep(500);
}

/* The same kind of memory as a node's region: a file in memory of the process it belongs to. */
void *pair_memory(int rank, size_t bytes)
{
    long place[2]; /* process, descriptor */
    char path[64];
    int file;
    if (rank == 1) {
        file = memfd_create("belay-bench", MFD_CLOEXEC);
        CHECK(file >= 0 && ftruncate(file, (off_t)bytes) == 0, "memfd_create: %s", strerror(errno));
        place[0] = getpid();
        place[1] = file;
        MPI_Send(place, 2, MPI_LONG, 0, 1, MPI_COMM_WORLD);
    } else if (rank > 1) {
        MPI_Barrier(MPI_COMM_WORLD);
        return NULL;
    } else {
        MPI_Recv(place, 2, MPI_LONG, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        snprintf(path, sizeof path, "/proc/%ld/fd/%ld", place[0], place[1]);
        file = open(path, O_RDWR | O_CLOEXEC);
        CHECK(file >= 0, "%s: %s", path, strerror(errno));
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    CHECK(memory != MAP_FAILED, "mmap of %zu bytes: %s", bytes, strerror(errno));
    if (rank == 1)
        memset(memory, 0, bytes);
    MPI_Barrier(MPI_COMM_WORLD);
    close(file);
    return memory;
}

void pair_begin(struct pair *pair, int rank)
{
    *pair = (struct pair){.rank = rank, .shared = pair_memory(rank, sizeof *pair->shared)};
    if (rank == 1) {
        sem_init(&pair->shared->go, 1, 0);
        sem_init(&pair->shared->done, 1, 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ;
}

/* Both processes run one program, but not at one address: the function is told by its distance from this one. */
static uintptr_t origin(void)
{
    return (uintptr_t)pair_call;
}

void pair_call(struct pair *pair, void (*help)(void *, uint64_t), uint64_t count)
{
    uintptr_t distance = help ? (uintptr_t)help - origin() : 0;
    pair->shared->count = count;
    atomic_store(&pair->shared->help, distance);
    sem_post(&pair->shared->go);
}

void pair_wait(struct pair *pair)
{
    wait_for(&pair->shared->done);
}

void pair_follow(struct pair *pair, void *context)
{
    for (;;) {
        wait_for(&pair->shared->go);
        uintptr_t distance = atomic_load(&pair->shared->help);
        if (distance == 0)
            return;
        ((void (*)(void *, uint64_t))(origin() + distance))(context, pair->shared->count);
        sem_post(&pair->shared->done);
    }
}

void pair_end(struct pair *pair)
{
    pair_call(pair, NULL, 0);
}
