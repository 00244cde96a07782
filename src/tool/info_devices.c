/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tool/info.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_VERBS

#include <infiniband/verbs.h>

static const char *link_of(const struct ibv_port_attr *port)
{
    switch (port->link_layer) {
    case IBV_LINK_LAYER_INFINIBAND: return "InfiniBand";
    case IBV_LINK_LAYER_ETHERNET: return "Ethernet";
    default: return "unknown link";
    }
}

static void print_ports(struct ibv_context *context, const char *name)
{
    struct ibv_device_attr device;
    int error = ibv_query_device(context, &device);
    if (error) {
        printf("RDMA device  %s: cannot be queried: %s\n", name, strerror(error));
        return;
    }
    for (uint8_t number = 1; number <= device.phys_port_cnt; ++number) {
        struct ibv_port_attr port;
        if (ibv_query_port(context, number, &port) != 0)
            continue;
        printf("RDMA device  %s port %u: %s, %s, MTU %u of %u\n", name, number,
               ibv_port_state_str(port.state), link_of(&port), 128u << port.active_mtu, 128u << port.max_mtu);
    }
}

static void print_none(void)
{
    printf("RDMA device  none: jobs run on one host; for Soft-RoCE see mpi-launch/\n");
}

void info_print_devices(void)
{
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);
    if (!devices && errno == ENOSYS) { /* the kernel has no RDMA at all */
        print_none();
        return;
    }
    if (!devices) {
        printf("RDMA device  unknown: %s\n", strerror(errno));
        return;
    }
    if (count == 0)
        print_none();
    for (int i = 0; i < count; ++i) {
        struct ibv_context *context = ibv_open_device(devices[i]);
        if (!context) {
            printf("RDMA device  %s: cannot be opened: %s\n", ibv_get_device_name(devices[i]),
                   strerror(errno));
            continue;
        }
        print_ports(context, ibv_get_device_name(devices[i]));
        ibv_close_device(context);
    }
    ibv_free_device_list(devices);
}

#else

void info_print_devices(void)
{
    printf("RDMA device  not looked for: built without verbs\n");
}

#endif
