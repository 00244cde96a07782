/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link is connected once, by whichever node first has something to post. If both begin at once, the attempt of the node with
 * the lower id counts: it refuses the other's request, and the node with the higher id gives its own attempt up, be it
 * because of that refusal or because the request of the lower one comes in first.
 *
 * A request of a peer whose address is not known yet, or is that of a former life, is held until it is known. Only requests
 * that prove the job's secret are held, one for each peer.
 *
 * The queue pair belongs to the link, not to the rdma_cm id, because MTU and time-outs are set here. So the calling side
 * brings it to life itself when the response comes, and then tells rdma_cm.
 *
 * An id must not be destroyed while one of its events is not acknowledged: events are copied and acknowledged first.
 *
 * All of it under the poll lock.
 */
#include "base/clock.h"
#include "base/log.h"
#include "belay.h"
#include "fabric/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { BURIED_MS = 250, EVENTS_AT_ONCE = 64, READS_IN_FLIGHT = 16, PRIVATE_DATA_MAX = 256, BACKLOG = 1024 };

/* An event of rdma_cm, copied. */
struct connect_event {
    enum rdma_cm_event_type type;
    int status;
    struct rdma_cm_id *id;
    uint8_t responder_resources, initiator_depth;
    size_t length;
    unsigned char data[PRIVATE_DATA_MAX];
};

static uint8_t at_most(int value, int limit)
{
    int smaller = value < limit ? value : limit;
    return (uint8_t)(smaller < READS_IN_FLIGHT ? smaller : READS_IN_FLIGHT);
}

/* ---- The time limit ------------------------------------------------------------------------------------------- */

static void timer_set(struct verbs *v, uint64_t when)
{
    struct itimerspec setting = {.it_value = {(time_t)(when / 1000000000u), (long)(when % 1000000000u)}};
    if (timerfd_settime(v->timer_source.descriptor, TFD_TIMER_ABSTIME, &setting, NULL) != 0)
        log_warn("timerfd_settime: %s", strerror(errno));
}

/* Every attempt has the same time, so the timer is set for the first, and then for the earliest that is left. */
static void under_way(struct verbs_link *link, enum verbs_phase phase)
{
    struct verbs *v = verbs_of(link);
    if (link->phase == PHASE_IDLE) {
        link->deadline = clock_deadline(v->common.fabric->timeout_ms);
        if (v->connecting++ == 0)
            timer_set(v, link->deadline);
    }
    link->phase = phase;
}

static bool is_under_way(const struct verbs_link *link)
{
    return link->phase > PHASE_IDLE && link->phase < PHASE_UP;
}

void verbs_connect_timer(struct fabric_source *source)
{
    struct verbs *v = (struct verbs *)(void *)((char *)source - offsetof(struct verbs, timer_source));
    uint64_t expirations, now = clock_now(), earliest = UINT64_MAX;
    ssize_t taken = read(source->descriptor, &expirations, sizeof expirations);
    (void)taken;
    for (int peer = 0; peer < v->common.fabric->peers_max; ++peer) {
        struct verbs_link *link = verbs_link_at(v->common.fabric, peer);
        if (!link || !is_under_way(link))
            continue;
        if (link->deadline <= now)
            verbs_lose(link, "no connection within %u ms", v->common.fabric->timeout_ms);
        else if (link->deadline < earliest)
            earliest = link->deadline;
    }
    if (earliest != UINT64_MAX)
        timer_set(v, earliest);
}

/* ---- The end of a connection ---------------------------------------------------------------------------------- */

static void refuse(struct rdma_cm_id *id, enum verbs_refusal refusal)
{
    struct verbs_reject reject;
    verbs_reject_make(refusal, &reject);
    rdma_reject(id, &reject, sizeof reject);
    rdma_destroy_id(id);
}

static void destroy(struct verbs *v, struct verbs_queue *queue, struct rdma_cm_id *id)
{
    if (queue)
        verbs_queue_destroy(v, queue);
    if (id)
        rdma_destroy_id(id);
}

/* Give up the attempt or the connection of a link. */
void verbs_connect_close(struct verbs_link *link, enum verbs_phase phase)
{
    struct verbs *v = verbs_of(link);
    spin_acquire(&link->lock);
    struct verbs_queue *queue = link->queue;
    link->queue = NULL;
    link->open = false;
    spin_release(&link->lock);
    destroy(v, queue, link->id);
    link->id = NULL;
    if (is_under_way(link) && phase == PHASE_CLOSED)
        --v->connecting;
    link->phase = phase;
}

void verbs_connect_lose(struct verbs_link *link)
{
    struct verbs *v = verbs_of(link);
    struct verbs_buried *buried = link->phase == PHASE_UP ? malloc(sizeof *buried) : NULL;
    if (buried) {
        *buried = (struct verbs_buried){
            .next = v->buried, .id = link->id, .until = clock_now() + BURIED_MS * NANOSECONDS_PER_MS};
        spin_acquire(&link->lock);
        if (link->queue)
            verbs_queue_stop(link->queue);
        buried->queue = link->queue;
        link->queue = NULL;
        spin_release(&link->lock);
        buried->id->context = NULL;
        link->id = NULL;
        v->buried = buried;
    }
    verbs_connect_close(link, PHASE_CLOSED);
}

void verbs_connect_clear(struct verbs *v, uint64_t now)
{
    for (struct verbs_buried **place = &v->buried, *buried; (buried = *place);) {
        if (buried->until > now) {
            place = &buried->next;
            continue;
        }
        *place = buried->next;
        destroy(v, buried->queue, buried->id);
        free(buried);
    }
}

/* ---- Common to both sides ------------------------------------------------------------------------------------- */

/* @return false if the link was cut meanwhile. */
static bool adopt_queue(struct verbs_link *link, struct verbs_queue *queue)
{
    queue->rkey = link->card.rkey;
    queue->remote_base = link->card.base;
    spin_acquire(&link->lock);
    bool closed = link->closed;
    if (!closed)
        link->queue = queue;
    spin_release(&link->lock);
    return !closed;
}

static int make_queue(struct verbs_link *link, struct rdma_cm_id *id)
{
    struct verbs_queue *queue;
    int result = verbs_queue_create(link, id, &queue);
    if (result != BELAY_OK)
        return result;
    if (adopt_queue(link, queue))
        return BELAY_OK;
    verbs_queue_destroy(verbs_of(link), queue);
    return BELAY_ERR_NODE_FAILED;
}

static void take_grant(struct verbs_queue *queue, const struct verbs_hello *hello)
{
    queue->credits_max = hello->credits;
    atomic_store_explicit(&queue->credits, hello->credits, memory_order_relaxed);
}

static struct rdma_conn_param parameters_for(const struct verbs_link *link, const struct verbs_hello *hello,
                                             uint8_t responder_resources, uint8_t initiator_depth)
{
    return (struct rdma_conn_param){.private_data = hello,
                                    .private_data_len = sizeof *hello,
                                    .responder_resources = responder_resources,
                                    .initiator_depth = initiator_depth,
                                    .retry_count = 7,
                                    .rnr_retry_count = 6,
                                    .srq = 1,
                                    .qp_num = link->queue->number};
}

static void established(struct verbs_link *link)
{
    --verbs_of(link)->connecting;
    link->phase = PHASE_UP;
    if (fabric_link_connected(&link->common))
        verbs_queue_open(link);
}

void verbs_connect_established(struct verbs_link *link)
{
    if (link->phase == PHASE_ACCEPTING)
        established(link);
}

/* ---- The side that is called ---------------------------------------------------------------------------------- */

static void accept_request(struct verbs_link *link, struct verbs_held *request)
{
    struct verbs *v = verbs_of(link);
    const fabric *f = v->common.fabric;
    const struct verbs_hello *hello = &request->hello;
    struct rdma_cm_id *id = request->id;
    struct verbs_hello answer;
    if (hello->mtu < IBV_MTU_256 || hello->mtu > v->device.mtu) {
        refuse(id, REFUSED_MTU);
        verbs_lose(link, "it asked for an MTU that this node does not have");
        return;
    }
    if (make_queue(link, id) != BELAY_OK) {
        refuse(id, REFUSED_RESOURCES);
        verbs_lose(link, "no queue pair could be made");
        return;
    }
    link->id = id;
    id->context = link;
    under_way(link, PHASE_ACCEPTING);
    take_grant(link->queue, hello);
    verbs_hello_make(f, link->common.peer, link->common.incarnation, (uint16_t)v->grant, hello->mtu, true,
                     &answer);
    struct rdma_conn_param parameters = parameters_for(
        link, &answer, at_most(request->responder_resources, v->limits.max_qp_rd_atom),
        at_most(request->initiator_depth, v->limits.max_qp_init_rd_atom));
    if (verbs_queue_ready(link, id, hello->mtu) != BELAY_OK)
        verbs_lose(link, "its queue pair could not be made ready");
    else if (rdma_accept(id, &parameters) != 0)
        verbs_lose(link, "rdma_accept: %s", strerror(errno));
}

static void decide(struct verbs_link *link, struct verbs_held *request)
{
    if (fabric_link_state(&link->common) == FABRIC_LOST) {
        refuse(request->id, REFUSED_CUT);
        return;
    }
    switch (link->phase) {
    case PHASE_RESOLVING:
    case PHASE_REQUESTED:
        if (link->common.fabric->node < link->common.peer) {
            refuse(request->id, REFUSED_TIE);
            return;
        }
        verbs_connect_close(link, PHASE_YIELDED);
        break;
    case PHASE_IDLE:
    case PHASE_YIELDED: break;
    default:
        refuse(request->id, REFUSED_TIE); /* an attempt that was given up, overtaken by the one that counts */
        return;
    }
    accept_request(link, request);
}

static void drop_held(struct verbs_held **place)
{
    struct verbs_held *held = *place;
    *place = held->next;
    free(held);
}

/* A newer request of the same peer replaces the older. */
static void hold(struct verbs *v, const struct verbs_held *request)
{
    for (struct verbs_held **place = &v->held; *place; place = &(*place)->next) {
        if ((*place)->hello.from == request->hello.from) {
            refuse((*place)->id, REFUSED_STRANGER);
            drop_held(place);
            break;
        }
    }
    struct verbs_held *held = malloc(sizeof *held);
    if (!held) {
        refuse(request->id, REFUSED_RESOURCES);
        return;
    }
    *held = *request;
    held->next = v->held;
    v->held = held;
}

static void on_request(struct verbs *v, const struct connect_event *event)
{
    struct verbs_held request = {.id = event->id,
                                 .responder_resources = event->responder_resources,
                                 .initiator_depth = event->initiator_depth};
    enum verbs_refusal refusal;
    if (!verbs_hello_check(v->common.fabric, event->data, event->length, false, &request.hello, &refusal)) {
        log_error(BELAY_ERR_REFUSED, "a connection request was refused: %s", verbs_refusal_text(refusal));
        fabric_count(&v->common.fabric->counts.malformed);
        refuse(event->id, refusal);
        return;
    }
    struct verbs_link *link = verbs_link_at(v->common.fabric, request.hello.from);
    if (link && link->common.incarnation == request.hello.from_incarnation)
        decide(link, &request);
    else
        hold(v, &request);
}

void verbs_connect_attached(struct verbs_link *link)
{
    struct verbs *v = verbs_of(link);
    for (struct verbs_held **place = &v->held; *place; place = &(*place)->next) {
        if ((*place)->hello.from != link->common.peer ||
            (*place)->hello.from_incarnation != link->common.incarnation)
            continue;
        struct verbs_held request = **place;
        drop_held(place);
        decide(link, &request);
        return;
    }
}

/* ---- The side that calls -------------------------------------------------------------------------------------- */

static void peer_address(const struct verbs_link *link, struct sockaddr_storage *address)
{
    const struct verbs_card *card = &link->card;
    memset(address, 0, sizeof *address);
    if (card->family == 4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address;
        v4->sin_family = AF_INET;
        v4->sin_port = card->port;
        memcpy(&v4->sin_addr, card->ip, sizeof v4->sin_addr);
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)address;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = card->port;
        memcpy(&v6->sin6_addr, card->ip, sizeof v6->sin6_addr);
        if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
            v6->sin6_scope_id = verbs_of(link)->device.address.v6.sin6_scope_id;
    }
}

void verbs_connect_begin(struct verbs_link *link)
{
    struct verbs *v = verbs_of(link);
    struct sockaddr_storage address;
    if (link->phase != PHASE_IDLE)
        return;
    under_way(link, PHASE_RESOLVING);
    peer_address(link, &address);
    if (rdma_create_id(v->connect_channel, &link->id, link, RDMA_PS_TCP) != 0) {
        link->id = NULL;
        verbs_lose(link, "rdma_create_id: %s", strerror(errno));
    } else if (rdma_resolve_addr(link->id, &v->device.address.any, (struct sockaddr *)&address,
                                 (int)v->common.fabric->timeout_ms) != 0) {
        verbs_lose(link, "rdma_resolve_addr: %s", strerror(errno));
    }
}

static void on_address(struct verbs_link *link)
{
    struct verbs *v = verbs_of(link);
    if (link->id->verbs != v->context)
        verbs_lose(link, "the way to it does not lead over %s", v->device.name);
    else if (rdma_resolve_route(link->id, (int)v->common.fabric->timeout_ms) != 0)
        verbs_lose(link, "rdma_resolve_route: %s", strerror(errno));
}

/* The largest MTU that both ports and the path between them have. */
static uint8_t common_mtu(const struct verbs_link *link)
{
    uint8_t mtu = (uint8_t)verbs_of(link)->device.mtu;
    if (link->card.mtu < mtu)
        mtu = link->card.mtu;
    if (link->id->route.num_paths > 0) {
        uint8_t path = link->id->route.path_rec->mtu & 0x3f;
        if (path >= IBV_MTU_256 && path < mtu)
            mtu = path;
    }
    return mtu;
}

static void on_route(struct verbs_link *link)
{
    struct verbs *v = verbs_of(link);
    struct verbs_hello hello;
    if (make_queue(link, link->id) != BELAY_OK) {
        verbs_lose(link, "no queue pair could be made");
        return;
    }
    link->mtu = common_mtu(link);
    verbs_hello_make(v->common.fabric, link->common.peer, link->common.incarnation, (uint16_t)v->grant,
                     link->mtu, false, &hello);
    struct rdma_conn_param parameters = parameters_for(link, &hello,
                                                       at_most(v->limits.max_qp_rd_atom, UINT8_MAX),
                                                       at_most(v->limits.max_qp_init_rd_atom, UINT8_MAX));
    under_way(link, PHASE_REQUESTED);
    if (rdma_connect(link->id, &parameters) != 0)
        verbs_lose(link, "rdma_connect: %s", strerror(errno));
}

static void on_response(struct verbs_link *link, const struct connect_event *event)
{
    struct verbs *v = verbs_of(link);
    struct verbs_hello hello;
    enum verbs_refusal refusal;
    if (!verbs_hello_check(v->common.fabric, event->data, event->length, true, &hello, &refusal) ||
        hello.from != link->common.peer || hello.from_incarnation != link->common.incarnation ||
        hello.mtu != link->mtu) {
        fabric_count(&v->common.fabric->counts.malformed);
        log_error(BELAY_ERR_REFUSED, "the answer of node %d is not one of this job's nodes",
                  link->common.peer);
        verbs_lose(link, "it could not prove who it is");
        return;
    }
    take_grant(link->queue, &hello);
    if (verbs_queue_ready(link, link->id, link->mtu) != BELAY_OK)
        verbs_lose(link, "its queue pair could not be made ready");
    else if (rdma_establish(link->id) != 0)
        verbs_lose(link, "rdma_establish: %s", strerror(errno));
    else
        established(link);
}

static void on_rejected(struct verbs_link *link, const struct connect_event *event)
{
    enum verbs_refusal refusal = verbs_reject_parse(event->data, event->length);
    if (refusal == REFUSED_TIE && link->phase == PHASE_REQUESTED) {
        verbs_connect_close(link, PHASE_YIELDED);
        return;
    }
    if (refusal == REFUSED_UNKNOWN) {
        verbs_lose(link, "it does not answer: no such process any more (rdma_cm status %d)", event->status);
        return;
    }
    log_error(BELAY_ERR_REFUSED, "node %d refused the connection: %s", link->common.peer,
              verbs_refusal_text(refusal));
    verbs_lose(link, "it refused the connection: %s", verbs_refusal_text(refusal));
}

/* ---- Events --------------------------------------------------------------------------------------------------- */

/* The peer gave up a request that is held here. */
static void on_held(struct verbs *v, struct rdma_cm_id *id)
{
    for (struct verbs_held **place = &v->held; *place; place = &(*place)->next) {
        if ((*place)->id == id) {
            drop_held(place);
            rdma_destroy_id(id);
            return;
        }
    }
}

static void on_device_removal(struct verbs *v)
{
    log_error(BELAY_ERR_NO_DEVICE, "%s was removed", v->device.name);
    for (int peer = 0; peer < v->common.fabric->peers_max; ++peer) {
        struct verbs_link *link = verbs_link_at(v->common.fabric, peer);
        if (link)
            verbs_lose(link, "the RDMA device was removed");
    }
}

static void on_link_event(struct verbs_link *link, const struct connect_event *event)
{
    switch (event->type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED: on_address(link); break;
    case RDMA_CM_EVENT_ROUTE_RESOLVED: on_route(link); break;
    case RDMA_CM_EVENT_CONNECT_RESPONSE: on_response(link, event); break;
    case RDMA_CM_EVENT_ESTABLISHED: verbs_connect_established(link); break;
    case RDMA_CM_EVENT_REJECTED: on_rejected(link, event); break;
    case RDMA_CM_EVENT_DISCONNECTED: verbs_lose(link, "it disconnected, or its process ended"); break;
    case RDMA_CM_EVENT_TIMEWAIT_EXIT: break;
    case RDMA_CM_EVENT_ADDR_CHANGE:
        log_warn("the IP address of %s changed", verbs_of(link)->device.name);
        break;
    default: verbs_lose(link, "%s (status %d)", rdma_event_str(event->type), event->status); break;
    }
}

static void on_event(struct verbs *v, const struct connect_event *event)
{
    if (event->type == RDMA_CM_EVENT_CONNECT_REQUEST)
        on_request(v, event);
    else if (event->type == RDMA_CM_EVENT_DEVICE_REMOVAL)
        on_device_removal(v);
    else if (event->id->context)
        on_link_event(event->id->context, event);
    else
        on_held(v, event->id);
}

static void copy_event(const struct rdma_cm_event *from, struct connect_event *to)
{
    const struct rdma_conn_param *parameters = &from->param.conn;
    *to = (struct connect_event){.type = from->event, .status = from->status, .id = from->id};
    switch (from->event) {
    case RDMA_CM_EVENT_CONNECT_REQUEST:
    case RDMA_CM_EVENT_CONNECT_RESPONSE:
    case RDMA_CM_EVENT_REJECTED:
        to->responder_resources = parameters->responder_resources;
        to->initiator_depth = parameters->initiator_depth;
        to->length = parameters->private_data_len;
        if (parameters->private_data && to->length <= sizeof to->data)
            memcpy(to->data, parameters->private_data, to->length);
        else
            to->length = 0;
        break;
    default: break;
    }
}

void verbs_connect_ready(struct fabric_source *source)
{
    struct verbs *v = (struct verbs *)(void *)((char *)source - offsetof(struct verbs, connect_source));
    struct rdma_cm_event *event;
    struct connect_event copy;
    for (int i = 0; i < EVENTS_AT_ONCE && rdma_get_cm_event(v->connect_channel, &event) == 0; ++i) {
        copy_event(event, &copy);
        rdma_ack_cm_event(event);
        on_event(v, &copy);
    }
}

/* ---- Set-up --------------------------------------------------------------------------------------------------- */

/* The first id gives the device's context, which librdmacm opens once per process. */
int verbs_connect_create(struct verbs *v)
{
    v->connect_channel = rdma_create_event_channel();
    if (!v->connect_channel)
        return log_error(BELAY_ERR_SYSTEM, "rdma_create_event_channel: %s", strerror(errno));
    int flags = fcntl(v->connect_channel->fd, F_GETFL);
    if (flags < 0 || fcntl(v->connect_channel->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return log_error(BELAY_ERR_SYSTEM, "fcntl: %s", strerror(errno));
    if (rdma_create_id(v->connect_channel, &v->listener, NULL, RDMA_PS_TCP) != 0) {
        v->listener = NULL;
        return log_error(BELAY_ERR_SYSTEM, "rdma_create_id: %s", strerror(errno));
    }
    if (rdma_bind_addr(v->listener, &v->device.address.any) != 0 || !v->listener->verbs)
        return log_error(BELAY_ERR_SYSTEM, "rdma_bind_addr on %s: %s", v->device.text, strerror(errno));
    v->context = v->listener->verbs;
    return BELAY_OK;
}

int verbs_connect_listen(struct verbs *v)
{
    v->timer_source.descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (v->timer_source.descriptor < 0)
        return log_error(BELAY_ERR_SYSTEM, "timerfd_create: %s", strerror(errno));
    v->timer_source.ready = verbs_connect_timer;
    v->connect_source = (struct fabric_source){.descriptor = v->connect_channel->fd,
                                               .ready = verbs_connect_ready};
    if (rdma_listen(v->listener, BACKLOG) != 0)
        return log_error(BELAY_ERR_SYSTEM, "rdma_listen on %s: %s", v->device.text, strerror(errno));
    int result = fabric_watch(v->common.fabric, &v->timer_source);
    return result == BELAY_OK ? fabric_watch(v->common.fabric, &v->connect_source) : result;
}

void verbs_connect_destroy(struct verbs *v)
{
    verbs_connect_clear(v, UINT64_MAX);
    while (v->held) {
        rdma_destroy_id(v->held->id);
        drop_held(&v->held);
    }
    if (v->timer_source.descriptor >= 0)
        close(v->timer_source.descriptor);
    if (v->listener)
        rdma_destroy_id(v->listener);
    if (v->connect_channel)
        rdma_destroy_event_channel(v->connect_channel);
}
