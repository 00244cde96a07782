/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel lets processes of one host do. */
#include "tool/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTORS_OF_PEER = 4, DESCRIPTORS_OF_PROGRAM = 64 };

/* What nodes of one host do with each other: open the other's memory file, and watch it end. @return the call that
 * failed, with errno set; NULL if none did. */
static const char *try_neighbour(pid_t child, int file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)child, file);
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return "opening another process's memory file under /proc";
    close(descriptor);
    descriptor = (int)syscall(SYS_pidfd_open, child, 0);
    if (descriptor < 0)
        return "pidfd_open";
    close(descriptor);
    return NULL;
}

static const char *try_processes(void)
{
    int file = memfd_create("belay-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return "memfd_create";
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    const char *failed = child > 0 ? try_neighbour(child, file) : "fork";
    int reason = errno;
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    close(file);
    errno = reason;
    return failed;
}

static void check_processes(struct doctor *doctor)
{
    struct utsname kernel;
    const char *failed = try_processes();
    uname(&kernel);
    if (failed)
        doctor_fault(doctor, "processes",
                     "Linux 5.3 or later, /proc without hidepid, and a container that allows pidfd_open",
                     "%s: %s (Linux %s)", failed, strerror(errno), kernel.release);
    else
        doctor_good(doctor, "processes", "can share memory and watch each other (Linux %s)", kernel.release);
}

static void check_descriptors(struct doctor *doctor)
{
    struct rlimit limit;
    const unsigned need = DESCRIPTORS_OF_PROGRAM + DESCRIPTORS_OF_PEER * (unsigned)doctor->processes;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        doctor_good(doctor, "open files", "no limit");
    else if (limit.rlim_cur < need)
        doctor_fault(doctor, "open files", "ulimit -n 4096, or a nofile line in /etc/security/limits.conf",
                     "the limit is %llu, %d processes on this host need about %u",
                     (unsigned long long)limit.rlim_cur, doctor->processes, need);
    else
        doctor_good(doctor, "open files", "the limit is %llu", (unsigned long long)limit.rlim_cur);
}

void doctor_check_host(struct doctor *doctor)
{
    check_processes(doctor);
    check_descriptors(doctor);
}
