/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/process.h"

#include "base/log.h"
#include "belay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The start time is field 22 of /proc/<pid>/stat; field 2, the name in parentheses, may hold anything. */
static int start_time(pid_t pid, uint64_t *started)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return BELAY_ERR_NODE_FAILED;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return BELAY_ERR_NODE_FAILED;
    text[length] = '\0';
    const char *field = strrchr(text, ')');
    for (int number = 2; field && number < 22; ++number)
        field = strchr(field + 1, ' ');
    if (!field)
        return BELAY_ERR_SYSTEM;
    *started = strtoull(field + 1, NULL, 10);
    return BELAY_OK;
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

int process_kill(int pidfd)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
        return log_error(BELAY_ERR_SYSTEM, "pidfd_send_signal failed: %s", strerror(errno));
    return BELAY_OK;
}
