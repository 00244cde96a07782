/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes come and go: opened and closed over and over, on communicators that are parts of the job, without
 * leaving a file descriptor, a mapping of shared memory or a thread behind; and leaving in any order.
 */
#include "../support/job.h"

#include <dirent.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 6 };

static unsigned count_entries(const char *folder, const char *part_of_name)
{
    unsigned count = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; open_folder && (entry = readdir(open_folder));)
        count += strstr(entry->d_name, part_of_name) != NULL;
    if (open_folder)
        closedir(open_folder);
    return count;
}

/* Mappings of memory that has no name in a file system, as arenas have. */
static unsigned count_shared_mappings(void)
{
    unsigned count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        count += strstr(line, "memfd:") != NULL || strstr(line, "belay") != NULL;
    if (maps)
        fclose(maps);
    return count;
}

static void use(MPI_Comm communicator, const char *what)
{
    int rank, ranks, answer = -1;
    size_t length = 0;
    belay_node *node = NULL;
    belay_cache *cache = NULL;
    MPI_Comm_rank(communicator, &rank);
    MPI_Comm_size(communicator, &ranks);
    at("%s: open", what);
    if (!CHECK_OK(belay_open(communicator, &(belay_config){.arena_size = 16ull << 20}, &node)))
        job_abort("%s: no node", what);
    CHECK(belay_node_id(node) == rank && belay_node_count(node) == ranks, "%s: node %d of %d", what,
          belay_node_id(node), belay_node_count(node));
    CHECK_OK(
        belay_cache_open(node, &(belay_cache_config){.name = what, .backups = 1, .partitions = 4}, &cache));
    CHECK_OK(belay_put(cache, &rank, sizeof rank, &ranks, sizeof ranks, NULL));
    CHECK_OK(belay_get(cache, &rank, sizeof rank, &answer, sizeof answer, &length));
    CHECK(answer == ranks, "%s: read %d instead of %d", what, answer, ranks);
    nanosleep(&(struct timespec){0, (ranks - rank) % 3 * 20000000},
              NULL); /* leave in another order than come */
    at("%s: close", what);
    CHECK_OK(belay_close(node)); /* with its cache still open */
}

int main(int argc, char **argv)
{
    struct job job;
    MPI_Comm half;
    job_begin(&argc, &argv, "lifecycle", 0, &job);
    MPI_Comm_split(MPI_COMM_WORLD, job.rank % 2, -job.rank, &half);
    use(MPI_COMM_WORLD, "first"); /* whatever libraries keep once they are used */
    use(half, "first half");
    job_barrier();
    unsigned files = count_entries("/proc/self/fd", ""), threads = count_entries("/proc/self/task", "");
    unsigned mappings = count_shared_mappings();
    for (unsigned round = 0; round < ROUNDS; ++round) {
        use(MPI_COMM_WORLD, "whole");
        use(half, "half"); /* two jobs at once, ranks in reversed order */
        use(MPI_COMM_SELF, "single");
    }
    job_barrier();
    CHECK(count_entries("/proc/self/fd", "") == files, "%u open files, %u before",
          count_entries("/proc/self/fd", ""), files);
    CHECK(count_entries("/proc/self/task", "") == threads, "%u threads, %u before",
          count_entries("/proc/self/task", ""), threads);
    CHECK(count_shared_mappings() == mappings, "%u mappings, %u before", count_shared_mappings(), mappings);
    CHECK(count_entries("/dev/shm", "belay") == 0, "files are left in /dev/shm");
    job_barrier();
    MPI_Comm_free(&half);
    return job_end(&job);
}
