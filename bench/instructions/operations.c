/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file operations.c
 * One kind of operation many times, for callgrind, which counts the instructions within counted() at rank 0. Nothing that is
 * counted waits for anybody, so every run counts the same.
 *
 * Usage: operations NAME COUNT: get (of the other process), get_all (32 keys a call), put (at its own primary, FULL_SYNC,
 * with the backup in the other process).
 */
#include "support/check.h"
#include "support/pair.h"
#include "support/random.h"

#include <belay.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEYS = 4096, KEY_SIZE = 16, VALUE_SIZE = 64, BATCH = 32 };

static struct {
    belay_cache *cache;
    unsigned char keys[KEYS][KEY_SIZE];
    unsigned char value[BATCH * VALUE_SIZE];
} t;

/* Valgrind knows no pidfd_open(): a descriptor that is never ready stands for a process that does not end. */
__attribute__((visibility("default"))) long syscall(long number, ...)
{
    va_list list;
    long a[6];
    if (number == SYS_pidfd_open)
        return eventfd(0, EFD_CLOEXEC);
    long (*of_libc)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_start(list, number);
    for (int i = 0; i < 6; ++i)
        a[i] = va_arg(list, long);
    va_end(list);
    return of_libc(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Keys whose primary is the given rank. */
static void choose_keys(int primary)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < KEYS; ++number) {
        uint64_t words[2] = {number, random_mix(number)};
        memcpy(t.keys[i], words, sizeof words);
        i += belay_primary_of(t.cache, belay_partition_of(t.cache, t.keys[i], KEY_SIZE)) == primary;
    }
}

static void put_one(unsigned i)
{
    int result = belay_put(t.cache, t.keys[i % KEYS], KEY_SIZE, t.value, VALUE_SIZE, NULL);
    CHECK(result == BELAY_OK, "put: %s", belay_strerror(result));
}

static void get_one(unsigned i)
{
    size_t length;
    int result = belay_get(t.cache, t.keys[i % KEYS], KEY_SIZE, t.value, VALUE_SIZE, &length);
    CHECK(result == BELAY_OK, "get: %s", belay_strerror(result));
}

static void get_many(unsigned call)
{
    belay_get_item items[BATCH];
    for (unsigned i = 0; i < BATCH; ++i)
        items[i] = (belay_get_item){.key = {t.keys[(call * BATCH + i) % KEYS], KEY_SIZE},
                                    .buffer = t.value + i * VALUE_SIZE,
                                    .capacity = VALUE_SIZE};
    CHECK(belay_get_all(t.cache, items, BATCH) == BELAY_OK, "get_all: %s", belay_last_error());
}

/* What the tool counts: not inlined, for it is told by its name. */
static __attribute__((noinline, noclone)) void counted(void (*operation)(unsigned), unsigned count)
{
    for (unsigned i = 0; i < count; ++i)
        operation(i);
}

int main(int argc, char **argv)
{
    int rank;
    belay_node *node;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    CHECK(argc == 3, "Usage: operations get|get_all|put COUNT");
    bool writes = strcmp(argv[1], "put") == 0;
    belay_config config = {.arena_size = 64u << 20};
    belay_cache_config cache = {
        .name = "counted", .backups = 1, .partitions = 16, .write_synchronization_mode = BELAY_FULL_SYNC};
    CHECK(belay_open(MPI_COMM_WORLD, &config, &node) == BELAY_OK, "belay_open: %s", belay_last_error());
    CHECK(belay_cache_open(node, &cache, &t.cache) == BELAY_OK, "cache: %s", belay_last_error());
    choose_keys(writes ? 0 : 1);
    if (rank == (writes ? 0 : 1))
        for (unsigned i = 0; i < KEYS; ++i)
            put_one(i);
    sleeping_barrier();
    void (*operation)(unsigned) = writes ? put_one : strcmp(argv[1], "get") == 0 ? get_one : get_many;
    if (rank == 0) {
        for (unsigned i = 0; i < BATCH; ++i)
            operation(i); /* what is found out only once */
        counted(operation, (unsigned)strtoul(argv[2], NULL, 10));
    }
    sleeping_barrier();
    belay_cache_close(t.cache);
    belay_close(node);
    MPI_Finalize();
    return 0;
}
