/* SPDX-License-Identifier: BSD-3-Clause */
#include "fabric/shared_memory.h"

#include "base/log.h"
#include "belay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const int seals_wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

static int system_error(const char *call)
{
    int code = errno == ENOMEM ? BELAY_ERR_NO_MEMORY : BELAY_ERR_SYSTEM;
    return log_error(code, "%s failed: %s", call, strerror(errno));
}

static int process_gone(const struct process *process)
{
    return log_error(BELAY_ERR_NODE_FAILED, "process %ld of a peer is gone", (long)process->pid);
}

int process_open(const struct process *process, int number, int flags, int *file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)process->pid, number);
    int opened = open(path, O_RDWR | O_CLOEXEC | flags);
    if (opened < 0 && errno == ENOENT)
        return process_gone(process);
    if (opened < 0)
        return log_error(
            BELAY_ERR_SYSTEM,
            "cannot open %s: %s; the processes of a job on one host must belong to one user, be dumpable, "
            "and see each other in /proc",
            path, strerror(errno));
    *file = opened;
    return BELAY_OK;
}

int shared_memory_create(const char *name, size_t size, int *file)
{
    int created = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (created < 0)
        return system_error("memfd_create");
    if (ftruncate(created, (off_t)size) || fcntl(created, F_ADD_SEALS, seals_wanted)) {
        int result = system_error("sizing a memory file");
        close(created);
        return result;
    }
    *file = created;
    return BELAY_OK;
}

int shared_memory_open(const struct process *process, int number, size_t size, int *file)
{
    int opened = -1;
    struct stat status;
    int result = process_open(process, number, 0, &opened);
    if (result)
        return result;
    int seals = fcntl(opened, F_GET_SEALS);
    if (seals < 0 || (seals & seals_wanted) != seals_wanted || fstat(opened, &status) || status.st_size < 0 ||
        (size_t)status.st_size < size) {
        close(opened);
        return log_error(BELAY_ERR_REFUSED,
                         "descriptor %d of process %ld is not a sealed memory file of %zu bytes", number,
                         (long)process->pid, size);
    }
    *file = opened;
    return BELAY_OK;
}

int shared_memory_map(int file, size_t offset, size_t size, void **out)
{
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, (off_t)offset);
    if (mapping == MAP_FAILED)
        return system_error("mmap");
    *out = mapping;
    return BELAY_OK;
}

int shared_memory_map_ring(int file, size_t offset, size_t size, void **out)
{
    unsigned char *both = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (both == MAP_FAILED)
        return system_error("mmap");
    for (int half = 0; half < 2; ++half) {
        if (mmap(both + half * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                 (off_t)offset) == MAP_FAILED) {
            int result = system_error("mmap");
            munmap(both, 2 * size);
            return result;
        }
    }
    *out = both;
    return BELAY_OK;
}

void shared_memory_forget(void *mapping, size_t size)
{
    void *zeroes = mmap(mapping, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (zeroes == MAP_FAILED)
        log_warn("cannot give back the memory of a lost peer: %s", strerror(errno));
}

int shared_memory_clear(int file, size_t offset, size_t size)
{
    if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size))
        return system_error("fallocate");
    return BELAY_OK;
}
