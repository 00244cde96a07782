/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file bench.h
 * The suites `host` and `softroce`: what is measured between two processes, and with what.
 *
 * The leader (rank 0) calls, the follower (rank 1) is the primary of every key that is used: each operation crosses
 * between two processes. Every run measures all cases once, each beside its limit, so that a machine that drifts drifts for
 * both; a figure is the median over the runs.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include "support/check.h"
#include "support/clock.h"
#include "support/figure.h"
#include "support/pair.h"
#include "support/random.h"

#include <belay.h>
#include <stdbool.h>

enum { KEY_SIZE = 16, GET_ALL_BATCH = 32, DRAWN_MAX = 1 << 15 };

struct key {
    unsigned char bytes[KEY_SIZE];
};

/* A cache filled with values of one size, under keys whose primary is the follower. Both processes know the keys. */
struct store {
    belay_cache *cache;
    size_t value_size;
    uint32_t count;
    struct key *keys;
    unsigned char *value; /* one value, to be put */
};

struct limit_memory;
struct mpi_memory;

struct bench {
    int rank, ranks;
    bool quick, remote; /* remote: the follower's memory is not mapped here (verbs) */
    uint32_t entries;   /* of 64 bytes */
    const char *suite;
    struct pair pair;
    belay_node *node;
    struct store walk;              /* 64 B, no backup: each value begins with the key that comes next */
    struct store plain, mirrored;   /* 64 B, no backup and one */
    struct store twice;             /* 64 B, two backups; where there are three processes */
    struct store kilo, large, huge; /* 1 KiB, 64 KiB, 1 MiB, one backup */
    struct limit_memory *limits;
    struct mpi_memory *mpi;
    uint64_t random;
    struct key at;             /* of the walk */
    const struct store *store; /* of the case in work */
    belay_sync sync;
    uint32_t drawn[DRAWN_MAX]; /* numbers of keys, drawn before the clock starts */
    struct key drawn_keys
        [DRAWN_MAX]; /* and the keys themselves, side by side: their way into the cache is not measured */
    unsigned next_drawn;
    unsigned char *buffer; /* room for any value */
    uint64_t sink;
};

/*
 * One case. It is timed `batches` times (at most 512) over `batch` operations, and the median is the run's sample; and single
 * operations are timed if `singles` says how many.
 */
struct measured {
    const char *name, *unit;
    const char *limit; /* name of the case that is its limit, measured before it; NULL: none */
    size_t store;      /* offset in struct bench; 0: none */
    belay_sync sync;
    unsigned batch, batches, singles;
    void (*prepare)(struct bench *bench, unsigned operations); /* before the clock starts; may be NULL */
    void (*run)(struct bench *bench, unsigned operations);
    void (*finish)(struct bench *bench);   /* within the time of a batch: until all is done; may be NULL */
    void (*conclude)(struct bench *bench); /* after the case; may be NULL */
    double scale;                          /* operations in what run() counts as one; 0: 1 */
};

#define STORE(member) offsetof(struct bench, member)

/* Lists of cases; each ends with a name of NULL. */
extern const struct measured host_cases[], verbs_cases[];

/* store.c: collective over both. */
void stores_open(struct bench *bench);
void stores_close(struct bench *bench);

/* Draw numbers of keys, and take the keys; at most DRAWN_MAX. */
void draw_uniform(struct bench *bench, unsigned operations);
void draw_few(struct bench *bench, unsigned operations); /* of 64 keys */
void draw_zipfian(struct bench *bench, unsigned operations);

/* limits.c */
void limits_open(struct bench *bench);
void limit_dependent_reads(struct bench *bench, unsigned operations);
void limit_overlapped_reads(struct bench *bench, unsigned operations);
void limit_ping_pong(struct bench *bench, unsigned operations);
void limit_ping_pong_begin(struct bench *bench, unsigned operations);
void limit_copy_from_peer_64k(struct bench *bench, unsigned operations);
void limit_copy_from_peer_1m(struct bench *bench, unsigned operations);
void limit_copy_twice_64k(struct bench *bench, unsigned operations);
void limit_copy_twice_1m(struct bench *bench, unsigned operations);
void limit_copy_three_times_64(struct bench *bench, unsigned operations);

/* operations.c: of the store and mode of the case */
void get_dependent(struct bench *bench, unsigned operations);
void get_drawn(struct bench *bench, unsigned operations);
void get_all_drawn(struct bench *bench, unsigned operations);
void put_drawn(struct bench *bench, unsigned operations);
void flush(struct bench *bench);

/* mpi_peers.c: what a user of MPI alone would write */
void mpi_open(struct bench *bench);
void mpi_close(struct bench *bench);
void mpi_get_64(struct bench *bench, unsigned operations);
void mpi_put_64(struct bench *bench, unsigned operations);
void mpi_get_64k(struct bench *bench, unsigned operations);
void mpi_echo_begin(struct bench *bench, unsigned operations);
void mpi_send_recv_64(struct bench *bench, unsigned operations);
void mpi_wait(struct bench *bench);

/* memory.c: what entries cost; of the follower's and the leader's copies */
void print_memory(struct bench *bench);

#endif
