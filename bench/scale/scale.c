/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file scale.c
 * What one more rank costs the others: start-up time, memory, descriptors, rings and queue pairs of a rank, before and after all
 * have talked to all, and the processor time of an idle rank. Then what an update costs each of caller, primary and backup.
 *
 * Usage: scale SUITE: figures as lines of JSON.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/pair.h"
#include "support/random.h"

#include <belay.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PARTITIONS = 256, KEY_SIZE = 16, VALUE_SIZE = 64, IDLE_MS = 1000, UPDATES = 20000 };

static int rank, ranks;
static const char *suite;

/* What a process has of something. */
static double private_kib(void)
{
    double total = 0, kib;
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %lf", &kib) == 1)
            total = kib;
    if (file)
        fclose(file);
    return total;
}

static double descriptors(void)
{
    double count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory))
        ++count;
    if (directory)
        closedir(directory);
    return count - 3; /* ., .. and the directory itself */
}

/* Rings of messages in shared memory, of both ways. Each is mapped twice in a row, so that what wraps around lies in one piece. */
static double rings(void)
{
    enum { RING_BYTES = 64 * 1024 };
    double mappings = 0;
    char line[512];
    FILE *file = fopen("/proc/self/maps", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *behind;
        unsigned long from = strtoul(line, &behind, 16), to = strtoul(behind + 1, NULL, 16);
        mappings += strstr(line, "memfd:belay-control") && to - from == RING_BYTES;
    }
    if (file)
        fclose(file);
    return mappings / 2;
}

/* Queue pairs of this process, as the kernel lists them: by the thread that made them. */
static double queue_pairs(void)
{
    double count = 0;
    char line[512], path[64];
    FILE *list = popen("rdma resource show qp 2>/dev/null", "r");
    while (list && fgets(line, sizeof line, list)) {
        const char *maker = strstr(line, " pid ");
        snprintf(path, sizeof path, "/proc/self/task/%ld", maker ? strtol(maker + 5, NULL, 10) : 0);
        count += maker && access(path, F_OK) == 0;
    }
    if (list)
        pclose(list);
    return count;
}

static double processor_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

/* Of all threads but the calling one: the progress thread, since MPI's sleep. */
static double other_threads_ns(void)
{
    double total = 0, ran;
    char path[300];
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        long thread = strtol(entry->d_name, NULL, 10);
        if (thread == 0 || thread == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%ld/schedstat", thread);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%lf", &ran) == 1)
            total += ran;
        if (file)
            fclose(file);
    }
    if (directory)
        closedir(directory);
    return total;
}

/* The mean over all ranks, from rank 0. */
static void tell(const char *name, double own, const char *unit)
{
    double sum = 0;
    MPI_Reduce(&own, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0)
        printf(
            "{\"suite\": \"%s\", \"name\": \"scale_%s_n%d\", \"value\": %.6g, \"unit\": \"%s\", \"ranks\": %d}\n",
            suite, name, ranks, sum / ranks, unit, ranks);
}

static void put(belay_cache *cache, uint64_t number)
{
    static const unsigned char value[VALUE_SIZE];
    uint64_t key[2] = {number, random_mix(number)};
    int result = belay_put(cache, key, KEY_SIZE, value, VALUE_SIZE, NULL);
    CHECK(result == BELAY_OK, "put: %s (%s)", belay_strerror(result), belay_last_error());
}

static void tell_connections(const char *when)
{
    char name[64];
    snprintf(name, sizeof name, "%s_rings", when);
    tell(name, rings(), "rings");
    snprintf(name, sizeof name, "%s_queue_pairs", when);
    tell(name, queue_pairs(), "queue pairs");
}

/* Every rank writes to every primary, each with a backup. */
static void talk_to_all(belay_node *node, belay_cache *cache)
{
    for (uint64_t i = 0; i < 8 * PARTITIONS; ++i)
        put(cache, i * (uint64_t)ranks + (uint64_t)rank);
    CHECK(belay_flush(node) == BELAY_OK, "flush: %s", belay_last_error());
    sleeping_barrier();
}

static void idle(void)
{
    sleep(1); /* spinning has ended */
    double used = processor_ns();
    usleep(IDLE_MS * 1000);
    used = processor_ns() - used;
    sleeping_barrier();
    tell("idle_processor", used / (IDLE_MS * 1e6) * 100, "percent of a core");
}

/* Rank 0 writes keys whose primary is rank 1 and whose backup is the last rank; the time that each takes of its core. */
static void cost_of_updates(belay_node *node, belay_cache *cache)
{
    static uint64_t numbers[256];
    unsigned found = 0;
    for (uint64_t number = 0; found < 256 && number < 1u << 20; ++number) {
        uint64_t key[2] = {number, random_mix(number)};
        int partition = belay_partition_of(cache, key, KEY_SIZE), backup;
        if (belay_primary_of(cache, partition) == 1 && belay_backups_of(cache, partition, &backup, 1) == 1 &&
            backup == ranks - 1)
            numbers[found++] = number;
    }
    CHECK(found == 256, "not enough keys");
    sleep(1);
    sleeping_barrier();
    double used = rank == 0 ? processor_ns() : other_threads_ns();
    if (rank == 0) {
        for (unsigned i = 0; i < UPDATES; ++i)
            put(cache, numbers[i % 256]);
        CHECK(belay_flush(node) == BELAY_OK, "flush: %s", belay_last_error());
    }
    used = (rank == 0 ? processor_ns() : 0) - used;
    sleeping_barrier();
    if (rank > 0)
        used += other_threads_ns();
    double each = used / UPDATES, all[64] = {0};
    MPI_Gather(&each, 1, MPI_DOUBLE, all, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    static const char *const roles[] = {"caller", "primary", "backup"};
    for (int i = 0; rank == 0 && i < 3; ++i)
        printf(
            "{\"suite\": \"%s\", \"name\": \"update_processor_time_%s\", \"value\": %.6g, \"unit\": \"ns\"}\n",
            suite, roles[i], all[i == 2 ? ranks - 1 : i]);
}

int main(int argc, char **argv)
{
    belay_node *node;
    belay_cache *cache;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    CHECK(argc == 2 && ranks >= 2 && ranks <= 64, "Usage: scale SUITE, with 2 to 64 processes");
    suite = argv[1];
    belay_config config = {.arena_size = 64u << 20};
    belay_cache_config described = {.name = "scale",
                                    .backups = 1,
                                    .partitions = PARTITIONS,
                                    .write_synchronization_mode = BELAY_FULL_SYNC};
    double kib = private_kib(), files = descriptors();
    MPI_Barrier(MPI_COMM_WORLD);
    uint64_t begun = clock_ns();
    CHECK(belay_open(MPI_COMM_WORLD, &config, &node) == BELAY_OK, "belay_open: %s", belay_last_error());
    double opened = (double)(clock_ns() - begun) * 1e-6;
    sleeping_barrier();
    tell("open", opened, "ms");
    tell("open_memory", private_kib() - kib, "KiB");
    tell("open_descriptors", descriptors() - files, "descriptors");
    tell_connections("open");
    CHECK(belay_cache_open(node, &described, &cache) == BELAY_OK, "cache: %s", belay_last_error());
    sleeping_barrier();
    double before = private_kib();
    talk_to_all(node, cache);
    tell("talked_memory", private_kib() - before, "KiB");
    tell("talked_descriptors", descriptors() - files, "descriptors");
    tell_connections("talked");
    idle();
    if (ranks == 3)
        cost_of_updates(node, cache);
    sleeping_barrier();
    belay_cache_close(cache);
    belay_close(node);
    MPI_Finalize();
    return 0;
}
