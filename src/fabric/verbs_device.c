/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A GID table says little about which of its entries work, and the device's name or number says nothing. So the
 * candidates are the IP addresses of this host, as users know them; rdma_cm tells which device and port each leads to,
 * and a connection from the address to itself, with a write and a read over it, tells whether it works. Which GID that takes
 * on which kind of network is rdma_cm's business.
 */
#include "base/clock.h"
#include "base/log.h"
#include "belay.h"
#include "fabric/verbs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANDIDATES_MAX = 64, PROBE_TIMEOUT_MS = 3000, PROBE_SIZE = 64 };

int verbs_mtu_bytes(enum ibv_mtu mtu)
{
    return 128 << mtu;
}

/* ---- The test of one address ---------------------------------------------------------------------------------- */

/* Both ends of a connection from an address to itself. */
struct probe {
    struct rdma_event_channel *channel;
    struct rdma_cm_id *listener, *caller, *callee;
    struct ibv_pd *domain;
    struct ibv_cq *completions;
    struct ibv_mr *memory;
    unsigned char *bytes; /* the caller's PROBE_SIZE, then the callee's */
    bool established;
    uint64_t deadline;
    const char *step; /* that was under way when it failed */
};

static int milliseconds_left(const struct probe *probe)
{
    uint64_t now = clock_now();
    return now >= probe->deadline ? 0 : (int)((probe->deadline - now) / NANOSECONDS_PER_MS) + 1;
}

static bool probe_make_pair(struct probe *probe, struct rdma_cm_id *id)
{
    struct ibv_qp_init_attr attributes = {
        .send_cq = probe->completions,
        .recv_cq = probe->completions,
        .cap = {.max_send_wr = 2, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
        .qp_type = IBV_QPT_RC,
    };
    return rdma_create_qp(id, probe->domain, &attributes) == 0;
}

static bool probe_handle(struct probe *probe, enum rdma_cm_event_type event, struct rdma_cm_id *id)
{
    struct rdma_conn_param parameters = {
        .responder_resources = 1, .initiator_depth = 1, .retry_count = 3, .rnr_retry_count = 3};
    switch (event) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
        probe->step = "resolving the route to itself";
        return rdma_resolve_route(id, PROBE_TIMEOUT_MS) == 0;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        probe->step = "connecting to itself";
        return probe_make_pair(probe, id) && rdma_connect(id, &parameters) == 0;
    case RDMA_CM_EVENT_CONNECT_REQUEST:
        probe->callee = id;
        return probe_make_pair(probe, id) && rdma_accept(id, &parameters) == 0;
    case RDMA_CM_EVENT_ESTABLISHED:
        if (id == probe->caller)
            probe->established = true;
        return true;
    default: errno = ECONNREFUSED; return false;
    }
}

static bool probe_connect(struct probe *probe)
{
    while (!probe->established) {
        struct pollfd ready = {.fd = probe->channel->fd, .events = POLLIN};
        struct rdma_cm_event *event;
        if (poll(&ready, 1, milliseconds_left(probe)) != 1) {
            errno = ETIMEDOUT;
            return false;
        }
        if (rdma_get_cm_event(probe->channel, &event) != 0)
            return false;
        enum rdma_cm_event_type type = event->event;
        struct rdma_cm_id *id = event->id;
        rdma_ack_cm_event(event);
        if (!probe_handle(probe, type, id))
            return false;
    }
    return true;
}

static bool probe_transfer(struct probe *probe, enum ibv_wr_opcode opcode)
{
    struct ibv_sge piece = {(uintptr_t)probe->bytes, PROBE_SIZE, probe->memory->lkey};
    struct ibv_send_wr work = {
        .sg_list = &piece, .num_sge = 1, .opcode = opcode, .send_flags = IBV_SEND_SIGNALED};
    struct ibv_send_wr *bad;
    struct ibv_wc completion;
    int count;
    work.wr.rdma.remote_addr = (uintptr_t)probe->bytes + PROBE_SIZE;
    work.wr.rdma.rkey = probe->memory->rkey;
    if (ibv_post_send(probe->caller->qp, &work, &bad) != 0)
        return false;
    while ((count = ibv_poll_cq(probe->completions, 1, &completion)) == 0) {
        if (milliseconds_left(probe) == 0) {
            errno = ETIMEDOUT;
            return false;
        }
        sched_yield();
    }
    errno = EIO;
    return count == 1 && completion.status == IBV_WC_SUCCESS;
}

static bool probe_move_bytes(struct probe *probe)
{
    unsigned char *mine = probe->bytes, *other = probe->bytes + PROBE_SIZE;
    probe->step = "an RDMA write to itself";
    memset(mine, 0x5a, PROBE_SIZE);
    if (!probe_transfer(probe, IBV_WR_RDMA_WRITE) || memcmp(mine, other, PROBE_SIZE) != 0)
        return false;
    probe->step = "an RDMA read from itself";
    memset(other, 0xa5, PROBE_SIZE);
    return probe_transfer(probe, IBV_WR_RDMA_READ) && memcmp(mine, other, PROBE_SIZE) == 0;
}

static bool probe_begin(struct probe *probe, struct verbs_device *device)
{
    struct ibv_context *context = probe->listener->verbs;
    int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
    probe->step = "making a protection domain, a completion queue and a memory region";
    probe->bytes = calloc(2, PROBE_SIZE);
    if (!probe->bytes || !(probe->domain = ibv_alloc_pd(context)) ||
        !(probe->completions = ibv_create_cq(context, 8, NULL, NULL, 0)) ||
        !(probe->memory = ibv_reg_mr(probe->domain, probe->bytes, 2 * (size_t)PROBE_SIZE, access)))
        return false;
    probe->step = "listening";
    if (rdma_listen(probe->listener, 1) != 0)
        return false;
    struct sockaddr_storage target;
    memcpy(&target, rdma_get_local_addr(probe->listener), sizeof target);
    probe->step = "resolving its own address";
    return rdma_create_id(probe->channel, &probe->caller, NULL, RDMA_PS_TCP) == 0 &&
           rdma_resolve_addr(probe->caller, &device->address.any, (struct sockaddr *)&target,
                             PROBE_TIMEOUT_MS) == 0;
}

static void probe_hang_up(struct rdma_cm_id *id)
{
    if (!id)
        return;
    if (id->qp)
        rdma_destroy_qp(id);
    rdma_destroy_id(id);
}

static void probe_end(struct probe *probe)
{
    probe_hang_up(probe->caller);
    probe_hang_up(probe->callee);
    if (probe->memory)
        ibv_dereg_mr(probe->memory);
    if (probe->completions)
        ibv_destroy_cq(probe->completions);
    if (probe->domain)
        ibv_dealloc_pd(probe->domain);
    free(probe->bytes);
}

/* The listener is bound to the device's address, with a port number of the system's choice. */
static bool probe_passes(struct rdma_event_channel *channel, struct rdma_cm_id *listener,
                         struct verbs_device *device, const char **step)
{
    struct probe probe = {
        .channel = channel, .listener = listener, .deadline = clock_deadline(PROBE_TIMEOUT_MS)};
    bool passes = probe_begin(&probe, device) && probe_connect(&probe) && probe_move_bytes(&probe);
    int reason = errno;
    probe_end(&probe);
    *step = probe.step;
    errno = reason;
    return passes;
}

/* ---- The candidates ------------------------------------------------------------------------------------------- */

/* Why candidates failed, as far as it fits. */
struct report {
    char text[320];
    size_t length;
};

static void __attribute__((format(printf, 2, 3))) report_add(struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(report->text + report->length, sizeof report->text - report->length, format,
                           arguments);
    va_end(arguments);
    report->length += length > 0 ? (size_t)length : 0;
    if (report->length >= sizeof report->text)
        report->length = sizeof report->text - 1;
}

/* IPv4 first, addresses of one link only last. */
static int address_rank(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return 0;
    return IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr) ? 2 : 1;
}

static bool address_is_candidate(const struct ifaddrs *interface, int rank)
{
    const struct sockaddr *address = interface->ifa_addr;
    return address && (interface->ifa_flags & IFF_UP) && !(interface->ifa_flags & IFF_LOOPBACK) &&
           (address->sa_family == AF_INET || address->sa_family == AF_INET6) && address_rank(address) == rank;
}

static void address_text(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
    const void *bytes = address->sa_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    inet_ntop(address->sa_family, bytes, text, INET6_ADDRSTRLEN);
}

/* Fill in what the port says. */
static bool device_describe(const struct rdma_cm_id *id, const struct sockaddr *address,
                            const char *interface, struct verbs_device *device, enum ibv_port_state *state)
{
    struct ibv_port_attr port;
    char ip[INET6_ADDRSTRLEN];
    if (ibv_query_port(id->verbs, id->port_num, &port) != 0)
        return false;
    memset(device, 0, sizeof *device);
    if (address->sa_family == AF_INET)
        memcpy(&device->address.v4, address, sizeof device->address.v4);
    else
        memcpy(&device->address.v6, address, sizeof device->address.v6);
    snprintf(device->name, sizeof device->name, "%s", ibv_get_device_name(id->verbs->device));
    device->port = id->port_num;
    device->mtu = port.active_mtu;
    address_text(address, ip);
    snprintf(device->text, sizeof device->text, "%s port %u (%s) at %s on %s, MTU %d", device->name,
             device->port, port.link_layer == IBV_LINK_LAYER_ETHERNET ? "Ethernet" : "InfiniBand", ip,
             interface, verbs_mtu_bytes(port.active_mtu));
    *state = port.state;
    return true;
}

/* @return whether the address leads to a device that is wanted and works. */
static bool candidate_test(const struct ifaddrs *interface, const char *wanted, struct verbs_device *device,
                           struct report *report, struct rdma_event_channel *channel)
{
    struct rdma_cm_id *listener;
    enum ibv_port_state state;
    const char *step;
    bool passes = false;
    if (rdma_create_id(channel, &listener, NULL, RDMA_PS_TCP) != 0)
        return false;
    if (rdma_bind_addr(listener, interface->ifa_addr) != 0 || !listener->verbs ||
        !device_describe(listener, interface->ifa_addr, interface->ifa_name, device, &state))
        goto destroy_listener; /* an interface without RDMA */
    if (wanted && strcmp(wanted, device->name) != 0)
        goto destroy_listener;
    if (state != IBV_PORT_ACTIVE) {
        report_add(report, "%s: the port is %s; ", device->text, ibv_port_state_str(state));
        goto destroy_listener;
    }
    passes = probe_passes(channel, listener, device, &step);
    if (!passes)
        report_add(report, "%s: %s failed (%s); ", device->text, step, strerror(errno));
destroy_listener:
    rdma_destroy_id(listener);
    return passes;
}

/* Each test has an event channel of its own, so that events of the one before cannot mislead it. */
static bool candidate_passes(const struct ifaddrs *interface, const char *wanted, struct verbs_device *device,
                             struct report *report)
{
    struct rdma_event_channel *channel = rdma_create_event_channel();
    if (!channel)
        return false;
    bool passes = candidate_test(interface, wanted, device, report, channel);
    rdma_destroy_event_channel(channel);
    return passes;
}

/* Devices that no address led to have failed too. */
static void report_devices(struct ibv_device **devices, int count, const char *wanted, struct report *report)
{
    for (int i = 0; i < count; ++i) {
        const char *name = ibv_get_device_name(devices[i]);
        if (wanted && strcmp(wanted, name) != 0)
            report_add(report, "%s: not the one asked for; ", name);
        else if (!strstr(report->text, name))
            report_add(report, "%s: no IP address on its network interface, or that is down; ", name);
    }
}

static int no_device(const char *wanted, const struct report *report)
{
    return log_error(
        BELAY_ERR_NO_DEVICE,
        "no usable RDMA device%s%s: %sset up Soft-RoCE with mpi-launch/softroce-up, or run on one host "
        "with BELAY_TRANSPORT=shm",
        wanted ? " named " : "", wanted ? wanted : "", report->text);
}

int verbs_device_choose(const char *wanted, struct verbs_device *device)
{
    struct report report = {.length = 0};
    struct ifaddrs *interfaces;
    int count = 0;
    struct ibv_device **devices = ibv_get_device_list(&count);
    if (!devices || count == 0) {
        if (devices)
            ibv_free_device_list(devices);
        report_add(&report, "this host has none; ");
        return no_device(wanted, &report);
    }
    struct rdma_event_channel *channel = rdma_create_event_channel();
    if (!channel) {
        ibv_free_device_list(devices);
        report_add(&report, "/dev/infiniband/rdma_cm cannot be opened (%s), is the module rdma_ucm loaded?; ",
                   strerror(errno));
        return no_device(wanted, &report);
    }
    rdma_destroy_event_channel(channel);
    if (getifaddrs(&interfaces) != 0) {
        ibv_free_device_list(devices);
        return log_error(BELAY_ERR_SYSTEM, "getifaddrs: %s", strerror(errno));
    }
    bool found = false;
    for (int rank = 0; rank <= 2 && !found; ++rank)
        for (const struct ifaddrs *i = interfaces; i && !found; i = i->ifa_next)
            found = address_is_candidate(i, rank) && candidate_passes(i, wanted, device, &report);
    if (!found)
        report_devices(devices, count, wanted, &report);
    freeifaddrs(interfaces);
    ibv_free_device_list(devices);
    return found ? BELAY_OK : no_device(wanted, &report);
}
