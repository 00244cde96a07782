/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/placement.h"

#include "base/log.h"

#include <hwloc.h>
#include <string.h>

/* Cores close to the device, as far as this process may run there; else all that it may use. */
static void near_device(hwloc_topology_t topology, const char *device, hwloc_bitmap_t cpus)
{
    hwloc_obj_t object = NULL;
    if (!device || !device[0])
        return;
    while ((object = hwloc_get_next_osdev(topology, object))) {
        if (object->attr->osdev.type != HWLOC_OBJ_OSDEV_OPENFABRICS || !object->name ||
            strcmp(object->name, device) != 0)
            continue;
        hwloc_obj_t parent = hwloc_get_non_io_ancestor_obj(topology, object);
        if (parent && parent->cpuset && hwloc_bitmap_intersects(parent->cpuset, cpus))
            hwloc_bitmap_and(cpus, cpus, parent->cpuset);
        return;
    }
}

/* The nodes of a host are handed the allowed cores from the last one down; callers, bound by the launcher from the first
 * one up, keep theirs. */
static int spare_cpu(hwloc_topology_t topology, hwloc_const_bitmap_t cpus, int nodes_on_host,
                     int index_on_host)
{
    int cores = hwloc_get_nbobjs_inside_cpuset_by_type(topology, cpus, HWLOC_OBJ_CORE);
    if (cores < 2 * nodes_on_host)
        return -1;
    hwloc_obj_t core = hwloc_get_obj_inside_cpuset_by_type(topology, cpus, HWLOC_OBJ_CORE,
                                                           (unsigned)(cores - 1 - index_on_host));
    return core ? hwloc_bitmap_first(core->cpuset) : -1;
}

int placement_choose(int progress_core, int nodes_on_host, int index_on_host, const char *device)
{
    hwloc_topology_t topology;
    int chosen = -1;
    if (progress_core > 0)
        return progress_core - 1;
    if (hwloc_topology_init(&topology) != 0)
        return -1;
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (hwloc_topology_load(topology) != 0)
        goto destroy_topology;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (cpus && hwloc_get_cpubind(topology, cpus, HWLOC_CPUBIND_PROCESS) == 0) {
        near_device(topology, device, cpus);
        chosen = spare_cpu(topology, cpus, nodes_on_host, index_on_host);
    }
    hwloc_bitmap_free(cpus);
destroy_topology:
    hwloc_topology_destroy(topology);
    return chosen;
}
