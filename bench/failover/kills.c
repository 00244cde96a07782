/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks of a job are killed one after the other while all write with FULL_SYNC; the last rank measures, and writes without pause
 * to a key of the next victim. Prints a line of JSON for each kill, and one for the job. Ends without MPI_Finalize().
 *
 *   kills BULK_MIB   bytes of a second cache whose copies are restored after each kill
 */
#include "notes.h"

#include "support/check.h"
#include "support/clock.h"
#include "support/random.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PARTITIONS = 64,
    BULK_VALUE = 32 << 10,
    PAUSE_US = 500,    /* between the writes of all but the measuring rank */
    WITHIN_MS = 60000, /* everything */
    REMAIN = 2
};

struct bench {
    struct notes *notes;
    int rank, ranks;
    belay_node *node;
    belay_cache *probe, *bulk;
};

struct killing {
    struct bench *bench;
    int victim;
    unsigned after_us;
    _Atomic uint64_t killed;
};

static void pause_us(unsigned us)
{
    nanosleep(&(struct timespec){us / 1000000, (long)(us % 1000000) * 1000}, NULL);
}

/* ---- Writes that are looked for at the end ---- */

static size_t key_of(int rank, unsigned which, char *key, size_t room)
{
    return (size_t)snprintf(key, room, "%d.%u", rank, which);
}

static void write_next(struct bench *b, unsigned which)
{
    char key[32];
    size_t length = key_of(b->rank, which, key, sizeof key);
    _Atomic uint64_t *written = &b->notes->ranks[b->rank].written[which];
    uint64_t next = atomic_load_explicit(written, memory_order_relaxed) + 1;
    int result = belay_put(b->probe, key, length, &next, sizeof next, NULL);
    CHECK(result == BELAY_OK, "put: %s: %s", belay_strerror(result), belay_last_error());
    atomic_store_explicit(written, next, memory_order_release);
}

static void note_held(struct bench *b)
{
    belay_cache_stats bulk, probe;
    if (belay_stats(b->bulk, &bulk) == BELAY_OK && belay_stats(b->probe, &probe) == BELAY_OK)
        atomic_store(&b->notes->ranks[b->rank].held, bulk.bytes_held + probe.bytes_held);
}

static void write_until_told(struct bench *b)
{
    for (unsigned i = 0; !atomic_load(&b->notes->stop); ++i) {
        write_next(b, i % NOTES_KEYS);
        if (i % 64 == 0)
            note_held(b);
        pause_us(PAUSE_US);
    }
    atomic_store(&b->notes->ranks[b->rank].finished, true);
}

static unsigned count_lost(struct bench *b)
{
    unsigned lost = 0;
    for (int rank = 0; rank < b->ranks; ++rank)
        for (unsigned which = 0; which < NOTES_KEYS; ++which) {
            char key[32];
            uint64_t found = 0;
            size_t value_length, length = key_of(rank, which, key, sizeof key);
            int result = belay_get(b->probe, key, length, &found, sizeof found, &value_length);
            CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "get: %s", belay_strerror(result));
            lost += found < atomic_load(&b->notes->ranks[rank].written[which]);
        }
    return lost;
}

static uint64_t count_differences(belay_cache *cache)
{
    belay_verify_report report = {0};
    int result = belay_verify(cache, &report);
    CHECK(result == BELAY_OK || result == BELAY_ERR_DIFFERS, "verify: %s", belay_strerror(result));
    return report.differences + report.damaged;
}

/* ---- One kill ---- */

static void *kill_later(void *context)
{
    struct killing *killing = context;
    pause_us(killing->after_us);
    atomic_store(&killing->killed, clock_ns());
    kill(atomic_load(&killing->bench->notes->ranks[killing->victim].pid), SIGKILL);
    return NULL;
}

static unsigned key_at(const struct bench *b, int node)
{
    char key[32];
    for (unsigned which = 0; which < NOTES_KEYS; ++which) {
        size_t length = key_of(b->rank, which, key, sizeof key);
        if (belay_primary_of(b->probe, belay_partition_of(b->probe, key, length)) == node)
            return which;
    }
    CHECK(false, "node %d is the primary of no key", node);
    return 0;
}

/* @return when the first write was acknowledged by the new primary. */
static uint64_t write_through(struct bench *b, struct killing *killing, struct kill_notes *kill)
{
    char key[32];
    unsigned which = key_at(b, killing->victim);
    pthread_t thread;
    atomic_store(&kill->probed, belay_partition_of(b->probe, key, key_of(b->rank, which, key, sizeof key)));
    CHECK(pthread_create(&thread, NULL, kill_later, killing) == 0, "no thread");
    uint64_t acknowledged, promoted;
    do {
        write_next(b, which);
        acknowledged = clock_ns();
        promoted = atomic_load(&kill->promoted);
    } while (promoted == 0 || acknowledged < promoted);
    pthread_join(thread, NULL);
    return acknowledged;
}

static void restore(struct bench *b)
{
    int result = belay_await_copies(b->probe, WITHIN_MS);
    if (result == BELAY_OK)
        result = belay_await_copies(b->bulk, WITHIN_MS);
    CHECK(result == BELAY_OK, "copies: %s: %s", belay_strerror(result), belay_last_error());
    pause_us(20000); /* for events on their way to be noted */
}

static double ms_between(uint64_t from, uint64_t to)
{
    return to > from ? (double)(to - from) / 1e6 : 0;
}

static void run_kill(struct bench *b, unsigned number, int victim, uint64_t *random)
{
    struct kill_notes *kill = &b->notes->kills[number];
    struct killing killing = {
        .bench = b, .victim = victim, .after_us = 20000 + (unsigned)random_below(random, 30000)};
    uint64_t acknowledged = write_through(b, &killing, kill), killed = atomic_load(&killing.killed);
    uint64_t held = atomic_load(&b->notes->ranks[victim].held);
    restore(b);
    uint64_t agreed = atomic_load(&kill->agreed), restored = atomic_load(&kill->restored);
    printf(
        "{\"pause_ms\": %.4f, \"detect_ms\": %.4f, \"agree_ms\": %.4f, \"promote_ms\": %.4f, \"restored_bytes\": %llu, "
        "\"restore_seconds\": %.6f}\n",
        ms_between(killed, acknowledged), ms_between(killed, atomic_load(&kill->suspected)),
        ms_between(atomic_load(&kill->suspected), agreed), ms_between(agreed, atomic_load(&kill->promoted)),
        (unsigned long long)held, ms_between(agreed, restored) / 1e3);
    fflush(stdout);
}

/* ---- The job ---- */

static void fill_bulk(struct bench *b, size_t bytes)
{
    static unsigned char value[BULK_VALUE];
    memset(value, b->rank + 1, sizeof value);
    for (size_t i = (size_t)b->rank; i < bytes / BULK_VALUE; i += (size_t)b->ranks) {
        int result = belay_put(b->bulk, &i, sizeof i, value, sizeof value, NULL);
        CHECK(result == BELAY_OK, "filling: %s: %s", belay_strerror(result), belay_last_error());
    }
}

static void wait_for_others(struct bench *b)
{
    atomic_store(&b->notes->stop, true);
    for (int rank = b->ranks - REMAIN; rank < b->rank; ++rank)
        while (!atomic_load(&b->notes->ranks[rank].finished))
            pause_us(1000);
}

static void measure(struct bench *b, size_t bulk)
{
    uint64_t random = clock_ns();
    for (int victim = b->ranks - REMAIN - 1; victim >= 0; --victim)
        run_kill(b, (unsigned)(b->ranks - REMAIN - 1 - victim), victim, &random);
    wait_for_others(b);
    unsigned lost = count_lost(b);
    uint64_t differences = count_differences(b->probe) + count_differences(b->bulk);
    double bare = bare_copy(bulk);
    printf(
        "{\"lost_acknowledged_writes\": %u, \"differing_copies\": %llu, \"bare_copy_bytes_per_second\": %.6g}\n",
        lost, (unsigned long long)differences, bare);
    fflush(stdout);
}

static belay_cache *open_cache(struct bench *b, const char *name)
{
    belay_cache *cache;
    belay_cache_config config = {
        .name = name, .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = PARTITIONS};
    int result = belay_cache_open(b->node, &config, &cache);
    CHECK(result == BELAY_OK, "belay_cache_open: %s", belay_last_error());
    return cache;
}

int main(int argc, char **argv)
{
    struct bench b;
    size_t bulk = (size_t)(argc > 1 ? atoi(argv[1]) : 64) << 20;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &b.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &b.ranks);
    CHECK(b.ranks > REMAIN && b.ranks <= NOTES_RANKS, "%d ranks", b.ranks);
    b.notes = notes_open(b.rank);
    belay_config config = {.arena_size = 3 * bulk + (64 << 20)};
    int result = belay_open(MPI_COMM_WORLD, &config, &b.node);
    CHECK(result == BELAY_OK, "belay_open: %s", belay_last_error());
    CHECK(belay_on_event(b.node, notes_take_event, b.notes) == BELAY_OK, "no events");
    b.probe = open_cache(&b, PROBE_CACHE);
    b.bulk = open_cache(&b, BULK_CACHE);
    fill_bulk(&b, bulk);
    note_held(&b);
    MPI_Barrier(MPI_COMM_WORLD); /* the last use of MPI */
    if (b.rank == b.ranks - 1)
        measure(&b, bulk);
    else
        write_until_told(&b);
    result = belay_close(b.node);
    if (result != BELAY_OK)
        fprintf(stderr, "belay_close: %s\n", belay_strerror(result));
    _exit(result != BELAY_OK);
}
