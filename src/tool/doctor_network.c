/* SPDX-License-Identifier: BSD-3-Clause */
/* RDMA devices, from the link upwards, and at last the library's own test of the device that it would choose. */
#include "config.h"

#include "base/log.h"
#include "tool/doctor.h"

#ifdef HAVE_VERBS

#include "fabric/verbs.h"

#include <string.h>

enum { MTU_SMALL = 1024 };

/* The first GID that RoCE version 2 carries over IPv4, else over IPv6. @return its index, or -1. */
static int find_gid(struct ibv_context *context, uint8_t port, int entries, bool *ipv4)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct ibv_gid_entry entry;
    int found = -1;
    *ipv4 = false;
    for (int i = 0; i < entries && !*ipv4; ++i) {
        if (ibv_query_gid_ex(context, port, (uint32_t)i, &entry, 0) != 0 ||
            entry.gid_type != IBV_GID_TYPE_ROCE_V2)
            continue;
        *ipv4 = memcmp(entry.gid.raw, mapped, sizeof mapped) == 0;
        if (found < 0 || *ipv4)
            found = i;
    }
    return found;
}

static void check_gid(struct doctor *doctor, struct ibv_context *context, const char *name, uint8_t number,
                      const struct ibv_port_attr *port)
{
    bool ipv4;
    if (port->link_layer != IBV_LINK_LAYER_ETHERNET) {
        doctor_good(doctor, "GID", "%s port %u: not needed on InfiniBand", name, number);
        return;
    }
    int index = find_gid(context, number, port->gid_tbl_len, &ipv4);
    if (index < 0)
        doctor_fault(doctor, "GID", "give its network interface an IP address: ip address add ADDRESS dev IF",
                     "%s port %u: none for RoCE version 2", name, number);
    else
        doctor_good(doctor, "GID", "%s port %u: index %d, RoCE version 2 over %s", name, number, index,
                    ipv4 ? "IPv4" : "IPv6");
}

static void check_mtu(struct doctor *doctor, const char *name, uint8_t number,
                      const struct ibv_port_attr *port)
{
    int active = verbs_mtu_bytes(port->active_mtu), most = verbs_mtu_bytes(port->max_mtu);
    if (active >= most)
        doctor_good(doctor, "MTU", "%s port %u: %d", name, number, active);
    else
        doctor_note(doctor, "MTU", "ip link set IF mtu 9000, on all hosts and switches between them",
                    "%s port %u: %d of %d%s", name, number, active, most,
                    active < MTU_SMALL ? "; large values will be slow" : "");
}

static void check_port(struct doctor *doctor, struct ibv_context *context, const char *name, uint8_t number)
{
    struct ibv_port_attr port;
    int error = ibv_query_port(context, number, &port);
    if (error) {
        doctor_fault(doctor, "link", "look at dmesg for the device's driver", "%s port %u: %s", name, number,
                     strerror(error));
        return;
    }
    if (port.state != IBV_PORT_ACTIVE) {
        doctor_fault(doctor, "link",
                     "ip link set IF up, look at cable and switch; InfiniBand: is a subnet manager running?",
                     "%s port %u is %s", name, number, ibv_port_state_str(port.state));
        return;
    }
    doctor_good(doctor, "link", "%s port %u is up", name, number);
    check_gid(doctor, context, name, number, &port);
    check_mtu(doctor, name, number, &port);
}

static void check_device(struct doctor *doctor, struct ibv_device *device)
{
    struct ibv_device_attr attributes;
    const char *name = ibv_get_device_name(device);
    struct ibv_context *context = ibv_open_device(device);
    if (!context || ibv_query_device(context, &attributes) != 0) {
        doctor_fault(doctor, "device", "allow /dev/infiniband/uverbs* to this user, and to the container",
                     "%s cannot be opened", name);
    } else {
        for (uint8_t number = 1; number <= attributes.phys_port_cnt; ++number)
            check_port(doctor, context, name, number);
    }
    if (context)
        ibv_close_device(context);
}

/* A connection to itself, a write and a read: what no table tells. */
static void check_choice(struct doctor *doctor)
{
    struct verbs_device device;
    const char *wanted = doctor->settings.device[0] ? doctor->settings.device : NULL;
    if (verbs_device_choose(wanted, &device) == BELAY_OK)
        doctor_good(doctor, "RDMA test", "passed by %s", device.text);
    else
        doctor_fault(doctor, "RDMA test",
                     "mend what failed above; modprobe rdma_ucm; or BELAY_TRANSPORT=shm on one host", "%s",
                     log_last_error());
}

static void check_devices(struct doctor *doctor, struct ibv_device **devices, int count)
{
    doctor->verbs_wanted = count > 0 || doctor->settings.transport == BELAY_TRANSPORT_VERBS;
    if (doctor->settings.transport == BELAY_TRANSPORT_SHM) {
        doctor->verbs_wanted = false;
        doctor_good(doctor, "RDMA device", "not needed: transport is shm");
        return;
    }
    if (count == 0 && doctor->verbs_wanted) {
        doctor_fault(doctor, "RDMA device", "mpi-launch/softroce-up, or BELAY_TRANSPORT=auto",
                     "none, but transport is verbs");
        return;
    }
    if (count == 0) {
        doctor_note(doctor, "RDMA device", "for jobs on several hosts: mpi-launch/softroce-up, on each",
                    "none: jobs run on one host");
        return;
    }
    for (int i = 0; i < count; ++i)
        check_device(doctor, devices[i]);
    check_choice(doctor);
}

void doctor_check_network(struct doctor *doctor)
{
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);
    check_devices(doctor, devices, devices ? count : 0);
    if (devices)
        ibv_free_device_list(devices);
}

#else

void doctor_check_network(struct doctor *doctor)
{
    if (doctor->settings.transport == BELAY_TRANSPORT_VERBS)
        doctor_fault(doctor, "RDMA device", "build with libibverbs and librdmacm, or BELAY_TRANSPORT=auto",
                     "transport is verbs, but this build has none");
    else
        doctor_note(doctor, "RDMA device", "for jobs on several hosts: build with libibverbs and librdmacm",
                    "not looked for: built without verbs");
}

#endif
