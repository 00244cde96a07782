/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file pair.h
 * Two processes that measure together: rank 0 leads, rank 1 follows. While the leader measures what needs no help,
 * the follower sleeps, so that its core is free for its progress thread.
 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct pair_shared {
    sem_t go, done;
    _Atomic uintptr_t help; /* how far from pair_call() the function lies; 0 ends the follower */
    uint64_t count;
    _Alignas(128) _Atomic uint64_t ping;
    _Alignas(128) _Atomic uint64_t pong;
};

struct pair {
    int rank;
    struct pair_shared *shared; /* memory of rank 1, as everything that pair_memory() gives */
};

/* Bind this process, and threads that it starts, to the core number @p rank of those it may use. */
void pair_pin(int rank);

/* Memory of rank 1, mapped in both processes and first touched by rank 1. Collective; NULL for others. */
void *pair_memory(int rank, size_t bytes);

/* All ranks come here. Sleeps while it waits: the core belongs to the progress thread meanwhile. */
void sleeping_barrier(void);

void pair_begin(struct pair *pair, int rank);

/* The leader: have help(context, count) run at the follower; begin, then wait for its end. */
void pair_call(struct pair *pair, void (*help)(void *, uint64_t), uint64_t count);
void pair_wait(struct pair *pair);

/* The follower: do what the leader asks until it ends. */
void pair_follow(struct pair *pair, void *context);
void pair_end(struct pair *pair);

#endif
