/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/process.h"

#include "base/log.h"
#include "belay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A field of a process's or thread's `stat` file, see proc(5); field 2, the name in parentheses, may hold anything.
 * NODE_FAILED: it is gone. */
static int stat_field(const char *path, int wanted, uint64_t *value)
{
    char text[1024];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT || errno == ESRCH ? BELAY_ERR_NODE_FAILED : BELAY_ERR_SYSTEM;
    ssize_t length = read(file, text, sizeof text - 1);
    bool gone = length == 0 || (length < 0 && errno == ESRCH);
    close(file);
    if (length <= 0)
        return gone ? BELAY_ERR_NODE_FAILED : BELAY_ERR_SYSTEM;
    text[length] = '\0';
    const char *field = strrchr(text, ')');
    for (int number = 2; field && number < wanted; ++number)
        field = strchr(field + 1, ' ');
    if (!field)
        return BELAY_ERR_SYSTEM;
    *value = strtoull(field + 1, NULL, 10);
    return BELAY_OK;
}

static int start_time(pid_t pid, uint64_t *started)
{
    enum { START_TIME = 22 };
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    return stat_field(path, START_TIME, started);
}

int process_self(struct process *self)
{
    struct process found = {.pid = getpid()};
    int result = start_time(found.pid, &found.started);
    if (result)
        return log_error(BELAY_ERR_SYSTEM, "cannot read /proc/%ld/stat: is /proc mounted?", (long)found.pid);
    *self = found;
    return BELAY_OK;
}

/* The start time is read while a pidfd is held: if it fits now, the pidfd is of that very process. */
int process_watch(const struct process *process, int *pidfd)
{
    uint64_t started;
    int descriptor = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (descriptor < 0 && errno != ESRCH)
        return log_error(BELAY_ERR_SYSTEM, "pidfd_open failed: %s", strerror(errno));
    if (descriptor < 0 || start_time(process->pid, &started) || started != process->started) {
        if (descriptor >= 0)
            close(descriptor);
        return log_error(BELAY_ERR_NODE_FAILED, "process %ld of a peer is gone", (long)process->pid);
    }
    *pidfd = descriptor;
    return BELAY_OK;
}

bool process_ended(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    return poll(&ended, 1, 0) == 1 && (ended.revents & POLLIN);
}

static bool thread_exits(pid_t pid, const char *thread)
{
    enum { FLAGS = 9, PF_EXITING = 4 }; /* of the kernel */
    char path[64 + NAME_MAX];
    uint64_t flags;
    snprintf(path, sizeof path, "/proc/%ld/task/%s/stat", (long)pid, thread);
    int result = stat_field(path, FLAGS, &flags);
    return result == BELAY_ERR_NODE_FAILED ||
           (result == BELAY_OK && (flags & PF_EXITING)); /* or it is gone */
}

static bool all_threads_exit(pid_t pid)
{
    char path[64];
    bool all = true, any = false;
    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *threads = opendir(path);
    for (const struct dirent *entry; threads && all && (entry = readdir(threads));) {
        if (entry->d_name[0] == '.')
            continue;
        any = true;
        all = thread_exits(pid, entry->d_name);
    }
    if (threads)
        closedir(threads);
    return all && any;
}

/* One file to read where the process lives; also true for one whose first thread has ended before the others. */
static bool first_thread_exits(pid_t pid)
{
    char name[24];
    snprintf(name, sizeof name, "%ld", (long)pid);
    return thread_exits(pid, name);
}

/* Threads could be missed that begin while others are looked at; behind a kill none can begin. */
bool process_is_over(int pidfd, pid_t pid)
{
    return process_ended(pidfd) || (first_thread_exits(pid) && all_threads_exit(pid) &&
                                    process_kill(pidfd) == BELAY_OK && all_threads_exit(pid));
}

int process_kill(int pidfd)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
        return log_error(BELAY_ERR_SYSTEM, "pidfd_send_signal failed: %s", strerror(errno));
    return BELAY_OK;
}
