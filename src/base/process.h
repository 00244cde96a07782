/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file process.h
 * Other processes of this host: whether they live, and their end.
 */
#ifndef BELAY_PROCESS_H
#define BELAY_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process in this pid namespace. The start time guards against a number that was given to another process. */
struct process {
    pid_t pid;
    uint64_t started; /* clock ticks since boot */
};

/* Errors of all: SYSTEM; of those that name another process also NODE_FAILED (it is gone). Logged. */
int process_self(struct process *self);

/* A pidfd of the process: becomes readable when it ends. To be closed. */
int process_watch(const struct process *process, int *pidfd);

/* Has it ended? It will never run again then. */
bool process_ended(int pidfd);

/* The same, or it is about to: no thread of it will run its own code again, but the kernel still takes its memory and devices
 * apart, which can last a hundred times as long as all that others have to agree on. */
bool process_is_over(int pidfd, pid_t pid);

/* End it, hung or not. It may live on for a moment. */
int process_kill(int pidfd);

#endif
