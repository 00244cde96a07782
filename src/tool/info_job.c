/* SPDX-License-Identifier: BSD-3-Clause */
/* How this job's processes are placed and how they reach each other, by joining them as any program would. */
#include "belay.h"
#include "cluster/node.h"
#include "tool/attach.h"
#include "tool/command.h"
#include "tool/info.h"
#include "tool/message.h"
#include "tool/quantity.h"

#include <hwloc.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOST_TEXT = 64, LIST_TEXT = 96 };

/* What each process tells the first one. */
struct place {
    char host[HOST_TEXT], cores[LIST_TEXT], shm[LIST_TEXT], verbs[LIST_TEXT];
    char device[160];
    uint64_t arena_size;
    int role, progress_cpu, primaries, backups;
};

static void list_text(hwloc_const_bitmap_t bitmap, char text[LIST_TEXT])
{
    if (hwloc_bitmap_iszero(bitmap))
        snprintf(text, LIST_TEXT, "-");
    else
        hwloc_bitmap_list_snprintf(text, LIST_TEXT, bitmap);
}

/* The processors that the launcher left to this process. */
static void describe_binding(struct place *place)
{
    hwloc_topology_t topology;
    snprintf(place->cores, sizeof place->cores, "?");
    if (hwloc_topology_init(&topology) != 0)
        return;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (cpus && hwloc_topology_load(topology) == 0 &&
        hwloc_get_cpubind(topology, cpus, HWLOC_CPUBIND_PROCESS) == 0)
        list_text(cpus, place->cores);
    hwloc_bitmap_free(cpus);
    hwloc_topology_destroy(topology);
}

static int describe_peers(const belay_node *node, int nodes, struct place *place)
{
    hwloc_bitmap_t shm = hwloc_bitmap_alloc(), verbs = hwloc_bitmap_alloc();
    int result = shm && verbs ? BELAY_OK : BELAY_ERR_NO_MEMORY;
    for (int peer = 0; result == BELAY_OK && peer < nodes; ++peer) {
        if (peer == node->id)
            continue;
        bool by_shm = strcmp(fabric_peer_transport(node->fabric, peer), "shm") == 0;
        hwloc_bitmap_set(by_shm ? shm : verbs, (unsigned)peer);
    }
    if (result == BELAY_OK) {
        list_text(shm, place->shm);
        list_text(verbs, place->verbs);
    }
    hwloc_bitmap_free(shm);
    hwloc_bitmap_free(verbs);
    return result;
}

/* How many partitions of the cache have their primary copy here, and how many a backup. */
static int describe_copies(belay_node *node, const char *name, struct place *place)
{
    const belay_cache_config config = {.name = name};
    int backups[BELAY_NODES_MAX];
    belay_cache *cache;
    int result = belay_cache_open(node, &config, &cache);
    if (result != BELAY_OK)
        return result;
    for (int partition = 0; partition < belay_partition_count(cache); ++partition) {
        place->primaries += belay_primary_of(cache, partition) == node->id;
        int count = belay_backups_of(cache, partition, backups, BELAY_NODES_MAX);
        for (int i = 0; i < count; ++i)
            place->backups += backups[i] == node->id;
    }
    return belay_cache_close(cache);
}

static int describe(belay_node *node, const char *cache, int nodes, struct place *place)
{
    memset(place, 0, sizeof *place);
    gethostname(place->host, sizeof place->host - 1);
    place->role = (int)node->settings.role;
    place->progress_cpu = node->progress_cpu;
    place->arena_size = fabric_region_size(node->fabric);
    snprintf(place->device, sizeof place->device, "%s", fabric_device_text(node->fabric));
    describe_binding(place);
    int result = describe_peers(node, nodes, place);
    return result == BELAY_OK ? describe_copies(node, cache ? cache : "info", place) : result;
}

static void print_places(const struct place *places, int nodes)
{
    char progress[16], megabytes[QUANTITY_TEXT];
    printf("%-5s %-7s %-16s %-10s %-8s %10s %9s %8s  %-12s %s\n", "node", "role", "host", "processors",
           "progress", "arena MB", "primaries", "backups", "by shm", "by verbs");
    for (int i = 0; i < nodes; ++i) {
        const struct place *place = &places[i];
        snprintf(progress, sizeof progress, "%d", place->progress_cpu);
        printf("%-5d %-7s %-16s %-10s %-8s %10s %9d %8d  %-12s %s\n", i, attached_role((uint32_t)place->role),
               place->host, place->cores, place->progress_cpu < 0 ? "any" : progress,
               quantity_megabytes(place->arena_size, megabytes), place->primaries, place->backups, place->shm,
               place->verbs);
    }
    for (int i = 0; i < nodes; ++i)
        if (places[i].device[0])
            printf("node %d uses %s\n", i, places[i].device);
}

/* What the library logs itself, a failed belay_open() above all, is not said again. */
static int join(const char *cache, int rank, int nodes)
{
    struct place place, *places = calloc((size_t)nodes, sizeof *places);
    belay_node *node = NULL;
    int worst, result = places ? belay_open(MPI_COMM_WORLD, NULL, &node) : BELAY_ERR_NO_MEMORY;
    if (node)
        result = describe(node, cache, nodes, &place);
    if (node && result != BELAY_OK)
        message("%s", belay_strerror(result));
    if (MPI_Allreduce(&result, &worst, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD) != MPI_SUCCESS)
        worst = BELAY_ERR_MPI;
    if (worst == BELAY_OK && MPI_Gather(&place, sizeof place, MPI_BYTE, places, sizeof place, MPI_BYTE, 0,
                                        MPI_COMM_WORLD) != MPI_SUCCESS)
        worst = BELAY_ERR_MPI;
    if (worst == BELAY_OK && places && rank == 0)
        print_places(places, nodes);
    if (belay_close(node) != BELAY_OK)
        worst = BELAY_ERR_SYSTEM;
    free(places);
    return worst == BELAY_OK ? EXIT_INTACT : EXIT_BROKEN;
}

int info_print_job(const char *cache)
{
    int level, rank, nodes;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS ||
        MPI_Comm_size(MPI_COMM_WORLD, &nodes) != MPI_SUCCESS) {
        message("MPI cannot be initialised");
        return EXIT_BROKEN;
    }
    int status = join(cache, rank, nodes);
    MPI_Finalize();
    return status;
}
