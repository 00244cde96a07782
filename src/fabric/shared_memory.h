/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file shared_memory.h
 * Memory that the processes of one user on one host share: memory files without a name. Another process opens one through
 * /proc/<pid>/fd/<n> of its owner, so there is nothing to clean up after a crash. They are sealed against a change of
 * size: no peer can make our access fail by cutting its file short. Pages are allocated when first touched.
 */
#ifndef BELAY_SHARED_MEMORY_H
#define BELAY_SHARED_MEMORY_H

#include "base/process.h"

#include <stddef.h>

/* Errors of all: SYSTEM, NO_MEMORY; of those that name another process also NODE_FAILED (it is gone). Logged. */

/* Open descriptor @p number of another process anew, for reading and writing. */
int process_open(const struct process *process, int number, int flags, int *file);

/* A new zeroed memory file of @p size bytes. */
int shared_memory_create(const char *name, size_t size, int *file);

/* Open a memory file of another process; REFUSED if it is not a sealed memory file of at least @p size bytes. */
int shared_memory_open(const struct process *process, int number, size_t size, int *file);

/* Map @p size bytes from @p offset, readable and writable. */
int shared_memory_map(int file, size_t offset, size_t size, void **out);

/* Map the same bytes twice, one behind the other: what runs over the end continues at the start. Unmap 2 x size. */
int shared_memory_map_ring(int file, size_t offset, size_t size, void **out);

/* Give back the memory of a mapping that some thread may still use: it reads zeroes from now on. */
void shared_memory_forget(void *mapping, size_t size);

/* Make a part of the file zero again and give its memory back. */
int shared_memory_clear(int file, size_t offset, size_t size);

#endif
