/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the hot path may not do: a get of 64 bytes whose primary is another process of this host makes no
 * system call and no allocation, nor does a put by its own primary, with a backup in the other process.
 *
 * Allocations are counted here. System calls are seen by strace: tests/mpi/system_calls runs this program
 * under it and looks at what lies between the markers, which are system calls nobody else makes.
 */
#include "../support/allocations.h"
#include "../support/job.h"
#include "../support/key.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALLS = 100000, WARM_UP = 2000, KEYS = 16, VALUE = 64, BEGIN = -1001, END = -1002 };

struct tester {
    const struct job *job;
    belay_cache *cache;
    struct key keys[KEYS];
    unsigned char value[VALUE];
};

/* Keys whose primary is this rank. */
static void choose_keys(struct tester *t, int primary)
{
    uint64_t number = 700;
    for (unsigned i = 0; i < KEYS; ++number) {
        key_make(number, &t->keys[i]);
        if (belay_primary_of(t->cache, belay_partition_of(t->cache, t->keys[i].bytes, t->keys[i].length)) ==
            primary)
            ++i;
    }
}

static void get_many(struct tester *t, unsigned calls)
{
    for (unsigned i = 0; i < calls; ++i) {
        const struct key *key = &t->keys[i % KEYS];
        size_t length = 0;
        int result = belay_get(t->cache, key->bytes, key->length, t->value, VALUE, &length);
        CHECK(result == BELAY_OK && length == VALUE && t->value[0] == 's', "get number %u gave %s, %zu bytes",
              i, belay_strerror(result), length);
    }
}

static void put_many(struct tester *t, unsigned calls)
{
    for (unsigned i = 0; i < calls; ++i) {
        const struct key *key = &t->keys[i % KEYS];
        int result = belay_put(t->cache, key->bytes, key->length, t->value, VALUE, NULL);
        CHECK(result == BELAY_OK, "put number %u gave %s", i, belay_strerror(result));
    }
}

/* @p marked: strace is to look at this. */
static void measure(struct tester *t, void (*call_many)(struct tester *, unsigned), const char *what,
                    bool marked)
{
    call_many(t, WARM_UP);
    uint64_t by_thread = allocations_of_thread(), by_process = allocations_of_process(), start = job_clock();
    if (marked)
        syscall(SYS_getpgid, BEGIN);
    call_many(t, CALLS);
    if (marked)
        syscall(SYS_getpgid, END);
    uint64_t ends = job_clock();
    by_thread = allocations_of_thread() - by_thread;
    by_process = allocations_of_process() - by_process;
    report_note("%d %s: %.0f ns each, %llu allocations by the thread, %llu by the process", CALLS, what,
                (double)(ends - start) / CALLS, (unsigned long long)by_thread,
                (unsigned long long)by_process);
    CHECK(by_thread == 0 && by_process == 0, "%s allocates memory", what);
}

static void expect_counting(void)
{
    uint64_t before = allocations_of_thread();
    void *volatile memory = malloc(1); /* not to be optimised away */
    free(memory);
    CHECK(allocations_of_thread() == before + 1 && allocations_of_process() > before,
          "allocations are not counted");
}

int main(int argc, char **argv)
{
    static struct tester t;
    struct job job;
    job_begin(&argc, &argv, "get_costs_nothing", 0, &job);
    if (job.ranks != 2)
        return job_skip(&job, "needs 2 ranks");
    belay_node *node = job_open(&(belay_config){.arena_size = 64ull << 20});
    t = (struct tester){.job = &job};
    memset(t.value, 's', VALUE);
    t.cache = job_cache(node, &(belay_cache_config){.name = "hot",
                                                    .backups = 1,
                                                    .write_synchronization_mode = BELAY_PRIMARY_SYNC,
                                                    .partitions = 16});
    if (job.rank == 0) { /* the other rank sleeps in the barrier */
        expect_counting();
        choose_keys(&t, 1);
        put_many(&t, KEYS);
        at("gets");
        measure(&t, get_many, "gets from the other process", true);
        choose_keys(&t, 0);
        put_many(&t, KEYS);
        at("puts");
        measure(&t, put_many, "puts to the own primary", false);
        at("own gets");
        measure(&t, get_many, "gets from the own primary", true);
    }
    job_barrier();
    job_verify(node, t.cache, "in the end");
    job_close(node);
    return job_end(&job);
}
