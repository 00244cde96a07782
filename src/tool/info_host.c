/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions, processors, limits and variables. Asks libraries and the kernel. */
#include "config.h"

#include "belay.h"
#include "tool/info.h"
#include "tool/quantity.h"

#include <hwloc.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void print_versions(void)
{
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int length;
    MPI_Get_library_version(mpi, &length); /* may be asked before MPI_Init() */
    mpi[strcspn(mpi, "\n,")] = '\0';
    printf("belay        %s\n", PACKAGE_VERSION);
    printf("library      %s\n", belay_version());
    printf("MPI          %s\n", mpi);
}

/* ---- Host ---- */

static int count_of(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    int count = hwloc_get_nbobjs_by_type(topology, type);
    return count > 0 ? count : 0;
}

static void print_topology(hwloc_topology_t topology)
{
    char text[QUANTITY_TEXT];
    hwloc_obj_t machine = hwloc_get_root_obj(topology);
    const char *model = hwloc_obj_get_info_by_name(machine, "CPUModel");
    hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
    if (!model && package)
        model = hwloc_obj_get_info_by_name(package, "CPUModel");
    size_t length = model ? strlen(model) : 0;
    while (length > 0 && model[length - 1] == ' ')
        --length;
    printf("processor    %.*s\n", length ? (int)length : 7, length ? model : "unknown");
    printf("topology     %d packages, %d NUMA nodes, %d cores, %d hardware threads usable\n",
           count_of(topology, HWLOC_OBJ_PACKAGE), count_of(topology, HWLOC_OBJ_NUMANODE),
           count_of(topology, HWLOC_OBJ_CORE),
           hwloc_bitmap_weight(hwloc_topology_get_allowed_cpuset(topology)));
    hwloc_obj_t cache = hwloc_get_obj_by_type(topology, HWLOC_OBJ_L3CACHE, 0);
    if (cache)
        printf("L3 cache     %s x %d\n", quantity_binary(cache->attr->cache.size, text),
               count_of(topology, HWLOC_OBJ_L3CACHE));
    printf("memory       %s MB\n", quantity_megabytes(machine->total_memory, text));
}

static void print_host(void)
{
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    printf("host         %s\n", name);
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) {
        printf("topology     unknown: hwloc has no memory\n");
        return;
    }
    if (hwloc_topology_load(topology) == 0)
        print_topology(topology);
    else
        printf("topology     unknown: hwloc cannot tell\n");
    hwloc_topology_destroy(topology);
}

/* ---- Limits ---- */

static void print_limit(const char *name, int resource)
{
    struct rlimit limit;
    char text[QUANTITY_TEXT];
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
        return;
    printf("%-12s %s", name,
           limit.rlim_cur == RLIM_INFINITY ? "unlimited" : quantity_binary(limit.rlim_cur, text));
    if (limit.rlim_max != limit.rlim_cur)
        printf(" (may be raised to %s)",
               limit.rlim_max == RLIM_INFINITY ? "unlimited" : quantity_binary(limit.rlim_max, text));
    putchar('\n');
}

static void print_limits(void)
{
    struct statvfs shm;
    char all[QUANTITY_TEXT], available[QUANTITY_TEXT];
    print_limit("memlock", RLIMIT_MEMLOCK);
    print_limit("open files", RLIMIT_NOFILE);
    if (statvfs("/dev/shm", &shm) == 0)
        printf("/dev/shm     %s MB, %s MB of it free\n",
               quantity_megabytes((uint64_t)shm.f_blocks * shm.f_frsize, all),
               quantity_megabytes((uint64_t)shm.f_bavail * shm.f_frsize, available));
}

/* ---- Settings ---- */

static void print_environment(void)
{
    unsigned found = 0;
    for (char **variable = environ; *variable; ++variable) {
        if (strncmp(*variable, "BELAY_", 6) != 0)
            continue;
        printf("%-12s %s\n", found++ == 0 ? "environment" : "", *variable);
    }
    if (found == 0)
        printf("environment  no BELAY_* variable is set\n");
}

void info_print_host(void)
{
    print_versions();
    print_host();
    info_print_devices();
    print_limits();
    print_environment();
}
