/* SPDX-License-Identifier: BSD-3-Clause */
/* Placement on a machine with two NUMA nodes and an RDMA device at each, which hwloc reads from a file. */
#include "cluster/placement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { CORES_PER_NODE = 2, MEMORY_SIZE = 65536 };

static char path[] = "/tmp/belay-test-topology.XXXXXX";
static unsigned char memory[MEMORY_SIZE];

/* Begin an object that holds these cpus, near these NUMA nodes. */
static void begin(FILE *file, const char *type, unsigned index, unsigned unique, unsigned cpus,
                  unsigned nodes)
{
    fprintf(file,
            "<object type=\"%s\" os_index=\"%u\" gp_index=\"%u\" cpuset=\"0x%x\" complete_cpuset=\"0x%x\" "
            "nodeset=\"0x%x\" complete_nodeset=\"0x%x\">\n",
            type, index, unique, cpus, cpus, nodes, nodes);
}

static void end(FILE *file)
{
    fprintf(file, "</object>\n");
}

static void write_core(FILE *file, unsigned core, unsigned node)
{
    begin(file, "Core", core, 100 + core, 1u << core, 1u << node);
    begin(file, "PU", core, 200 + core, 1u << core, 1u << node);
    end(file);
    end(file);
}

static void write_device(FILE *file, unsigned node)
{
    fprintf(file,
            "<object type=\"Bridge\" gp_index=\"%u\" bridge_type=\"0-1\" depth=\"0\" "
            "bridge_pci=\"0000:[%02x-%02x]\">\n",
            300 + node, 16 * node, 16 * node + 15);
    fprintf(file,
            "<object type=\"PCIDev\" gp_index=\"%u\" pci_busid=\"0000:%02x:00.0\" "
            "pci_type=\"0207 [15b3:1013] [15b3:0008] 00\" pci_link_speed=\"0.0\">\n",
            400 + node, 16 * node + 1);
    fprintf(file, "<object type=\"OSDev\" gp_index=\"%u\" name=\"mlx5_%u\" osdev_type=\"3\"/>\n", 500 + node,
            node);
    end(file);
    end(file);
}

static void write_package(FILE *file, unsigned node)
{
    unsigned cpus = 3u << (node * CORES_PER_NODE);
    begin(file, "Package", node, 10 + node, cpus, 1u << node);
    begin(file, "NUMANode", node, 20 + node, cpus, 1u << node);
    end(file);
    for (unsigned core = 0; core < CORES_PER_NODE; ++core)
        write_core(file, node * CORES_PER_NODE + core, node);
    write_device(file, node);
    end(file);
}

static int describe_machine(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file)
        return -1;
    fprintf(file, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
                  "<topology version=\"2.0\">\n");
    begin(file, "Machine", 0, 1, 0xf, 0x3);
    write_package(file, 0);
    write_package(file, 1);
    end(file);
    fprintf(file, "</topology>\n");
    return fclose(file) || setenv("HWLOC_XMLFILE", path, 1) || unsetenv("HWLOC_COMPONENTS");
}

static int forget_machine(void **state)
{
    (void)state;
    return unlink(path);
}

static void memory_comes_from_the_device_s_node(void **state)
{
    (void)state;
    assert_int_equal(placement_bind_near("mlx5_0", memory, sizeof memory), 0);
    assert_int_equal(placement_bind_near("mlx5_1", memory, sizeof memory), 1);
}

static void memory_stays_where_it_is_without_a_known_device(void **state)
{
    (void)state;
    assert_int_equal(placement_bind_near("", memory, sizeof memory), -1);
    assert_int_equal(placement_bind_near("mlx5_2", memory, sizeof memory), -1);
    assert_int_equal(placement_bind_near("mlx5", memory, sizeof memory), -1);
}

static void the_progress_thread_runs_near_the_device(void **state)
{
    (void)state;
    assert_int_equal(placement_choose(0, 1, 0, "mlx5_0"), 1);
    assert_int_equal(placement_choose(0, 1, 0, "mlx5_1"), 3);
}

static void nodes_of_one_host_get_different_cores(void **state)
{
    (void)state;
    assert_int_equal(placement_choose(0, 2, 0, ""), 3);
    assert_int_equal(placement_choose(0, 2, 1, ""), 2);
}

static void it_is_left_to_the_scheduler_where_cores_are_few(void **state)
{
    (void)state;
    assert_int_equal(placement_choose(0, 3, 0, ""), -1);
    assert_int_equal(placement_choose(0, 2, 0, "mlx5_0"), -1);
}

static void what_the_user_wants_goes_first(void **state)
{
    (void)state;
    assert_int_equal(placement_choose(1, 1, 0, "mlx5_1"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_from_the_device_s_node),
        cmocka_unit_test(memory_stays_where_it_is_without_a_known_device),
        cmocka_unit_test(the_progress_thread_runs_near_the_device),
        cmocka_unit_test(nodes_of_one_host_get_different_cores),
        cmocka_unit_test(it_is_left_to_the_scheduler_where_cores_are_few),
        cmocka_unit_test(what_the_user_wants_goes_first),
    };
    return cmocka_run_group_tests(tests, describe_machine, forget_machine);
}
