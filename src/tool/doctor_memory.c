/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for copies: how much there is, how much may be pinned, in which pages. */
#include "config.h"

#include "base/log.h"
#include "tool/doctor.h"
#include "tool/quantity.h"

#ifdef HAVE_VERBS
#include "fabric/verbs.h"
#endif

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

enum { MIB = 1 << 20, SHM_OF_PROCESS = 8 * MIB /* what Open MPI's own shared memory takes of /dev/shm */ };

/* A number in a line "KEY: NUMBER" or alone in a file; 0 if it is not there. */
static uint64_t number_in(const char *path, const char *key)
{
    char line[256];
    unsigned long long number = 0;
    FILE *file = fopen(path, "r");
    while (file && number == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            number = strtoull(line + strlen(key), NULL, 10);
    if (file)
        fclose(file);
    return number;
}

static uint64_t available_memory(void)
{
    uint64_t host = number_in("/proc/meminfo", "MemAvailable:") * 1024;
    uint64_t group = number_in("/sys/fs/cgroup/memory.max", ""); /* "max" gives 0 */
    uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
    uint64_t left = group > used ? group - used : 0;
    return group && left < host ? left : host;
}

static void check_memory(struct doctor *doctor)
{
    char need_text[QUANTITY_TEXT], have_text[QUANTITY_TEXT];
    uint64_t have = available_memory();
    uint64_t need = doctor->settings.arena_size * (uint64_t)doctor->processes;
    quantity_megabytes(have, have_text);
    if (need > have)
        doctor_fault(doctor, "memory", "a smaller BELAY_ARENA_SIZE, or fewer processes per host",
                     "%d arenas of this host need %s MB, %s MB are available", doctor->processes,
                     quantity_megabytes(need, need_text), have_text);
    else if (need == 0)
        doctor_good(doctor, "memory",
                    "%s MB available; arenas take half of it unless BELAY_ARENA_SIZE is set", have_text);
    else
        doctor_good(doctor, "memory", "%s MB available, %s MB for %d arenas", have_text,
                    quantity_megabytes(need, need_text), doctor->processes);
}

#ifdef HAVE_VERBS
static const uint64_t pinned_default_most = (uint64_t)1 << 30; /* of arena_size = auto */

static void check_locked(struct doctor *doctor)
{
    static const char fix[] =
        "ulimit -l unlimited; for good: '* - memlock unlimited' in /etc/security/limits.conf, and for jobs "
        "LimitMEMLOCK=infinity in slurmd's unit and PropagateResourceLimitsExcept=MEMLOCK in slurm.conf";
    struct rlimit limit;
    char text[QUANTITY_TEXT];
    uint64_t arena = doctor->settings.arena_size;
    if (arena == 0)
        arena = available_memory() / 2 / (uint64_t)doctor->processes;
    if (doctor->settings.arena_size == 0 && arena > pinned_default_most)
        arena = pinned_default_most;
    bool enough = verbs_check_memlock((size_t)arena) == BELAY_OK;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    const char *shown = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : quantity_binary(limit.rlim_cur, text);
    if (enough && limit.rlim_cur < arena)
        doctor_good(doctor, "locked memory",
                    "the limit is %s, from which this process is exempt (CAP_IPC_LOCK)", shown);
    else if (enough)
        doctor_good(doctor, "locked memory", "%s", shown);
    else if (doctor->verbs_wanted)
        doctor_fault(doctor, "locked memory", fix, "%s", log_last_error());
    else
        doctor_note(doctor, "locked memory", fix, "%s: too little for an RDMA device, if there were one",
                    shown);
}
#else
static void check_locked(struct doctor *doctor)
{
    doctor_good(doctor, "locked memory", "not needed: built without verbs");
}
#endif

/* Arenas are shared memory files: they get huge pages only where the kernel gives them to all such files. */
static void check_huge_pages(struct doctor *doctor)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    static const char fix[] = "as root: echo within_size >/sys/kernel/mm/transparent_hugepage/shmem_enabled";
    char line[128] = "";
    FILE *file = fopen(path, "r");
    if (file && !fgets(line, sizeof line, file))
        line[0] = '\0';
    if (file)
        fclose(file);
    if (strstr(line, "[always]") || strstr(line, "[within_size]") || strstr(line, "[force]"))
        doctor_good(doctor, "huge pages", "given to shared memory");
    else if (line[0])
        doctor_note(doctor, "huge pages", fix,
                    "not given to shared memory: arenas have small pages, which is slower");
    else
        doctor_note(doctor, "huge pages", NULL, "not known: no %s", path);
}

static void check_shared(struct doctor *doctor)
{
    struct statvfs shm;
    char have[QUANTITY_TEXT], need_text[QUANTITY_TEXT];
    uint64_t need = (uint64_t)SHM_OF_PROCESS * (uint64_t)doctor->processes;
    if (statvfs("/dev/shm", &shm) != 0) {
        doctor_fault(doctor, "/dev/shm", "mount -t tmpfs tmpfs /dev/shm", "is not there: MPI needs it");
        return;
    }
    uint64_t free_bytes = (uint64_t)shm.f_bavail * shm.f_frsize;
    quantity_megabytes(free_bytes, have);
    if (free_bytes < need)
        doctor_fault(doctor, "/dev/shm", "mount -o remount,size=1G /dev/shm; a container: --shm-size=1g",
                     "%s MB free; MPI itself needs about %s MB for %d processes", have,
                     quantity_megabytes(need, need_text), doctor->processes);
    else
        doctor_good(doctor, "/dev/shm", "%s MB free, for MPI itself", have);
}

void doctor_check_memory(struct doctor *doctor)
{
    check_memory(doctor);
    check_locked(doctor);
    check_huge_pages(doctor);
    check_shared(doctor);
}
