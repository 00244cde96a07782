/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/placement.h"

#include "base/log.h"

#include <errno.h>
#include <hwloc.h>
#include <stdbool.h>
#include <string.h>

/* Where the device hangs: the smallest part of the machine around it, or NULL. */
static hwloc_obj_t place_of_device(hwloc_topology_t topology, const char *device)
{
    hwloc_obj_t object = NULL;
    while (device[0] && (object = hwloc_get_next_osdev(topology, object)))
        if (object->attr->osdev.type == HWLOC_OBJ_OSDEV_OPENFABRICS && object->name &&
            strcmp(object->name, device) == 0)
            return hwloc_get_non_io_ancestor_obj(topology, object);
    return NULL;
}

/* Cores close to the device, as far as this process may run there; else all that it may use. */
static void near_device(hwloc_topology_t topology, const char *device, hwloc_bitmap_t cpus)
{
    hwloc_obj_t place = place_of_device(topology, device);
    if (place && place->cpuset && hwloc_bitmap_intersects(place->cpuset, cpus))
        hwloc_bitmap_and(cpus, cpus, place->cpuset);
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

/* With the devices. @return false if this machine's topology cannot be had. */
static bool load(hwloc_topology_t *topology)
{
    if (hwloc_topology_init(topology) != 0)
        return false;
    hwloc_topology_set_io_types_filter(*topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (hwloc_topology_load(*topology) == 0)
        return true;
    hwloc_topology_destroy(*topology);
    return false;
}

int placement_choose(int progress_core, int nodes_on_host, int index_on_host, const char *device)
{
    hwloc_topology_t topology;
    int chosen = -1;
    if (progress_core > 0)
        return progress_core - 1;
    if (!load(&topology))
        return -1;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (cpus && hwloc_get_cpubind(topology, cpus, HWLOC_CPUBIND_PROCESS) == 0) {
        near_device(topology, device, cpus);
        chosen = spare_cpu(topology, cpus, nodes_on_host, index_on_host);
    }
    hwloc_bitmap_free(cpus);
    hwloc_topology_destroy(topology);
    return chosen;
}

/* Without HWLOC_MEMBIND_STRICT: a memory node that is full is no failure, the rest comes from others. */
static bool bind(hwloc_topology_t topology, hwloc_const_bitmap_t nodes, const void *memory, size_t size)
{
    if (hwloc_bitmap_isincluded(hwloc_topology_get_topology_nodeset(topology), nodes))
        return false;
    if (hwloc_set_area_membind(topology, memory, size, nodes, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET) ==
        0)
        return true;
    log_info("the arena cannot be placed near the RDMA device: %s", strerror(errno));
    return false;
}

int placement_bind_near(const char *device, void *memory, size_t size)
{
    hwloc_topology_t topology;
    int first = -1;
    if (!load(&topology))
        return -1;
    hwloc_obj_t place = place_of_device(topology, device);
    if (place && place->nodeset && bind(topology, place->nodeset, memory, size))
        first = hwloc_bitmap_first(place->nodeset);
    hwloc_topology_destroy(topology);
    return first;
}
