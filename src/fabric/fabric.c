/* SPDX-License-Identifier: BSD-3-Clause */
/* The common part: the region, the table of peers, the checks of every call, and which transport carries it out. */
#include "config.h"

#include "base/log.h"
#include "belay.h"
#include "fabric/card.h"
#include "fabric/progress.h"
#include "fabric/shared_memory.h"
#include "fabric/transport.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef HAVE_VERBS
static const struct transport_ops *const verbs_ops = &verbs_transport;
#else
static const struct transport_ops *const verbs_ops = NULL;
#endif

const char fabric_left[] = "it has left";

/* ---- Statistics ----------------------------------------------------------------------------------------------- */

enum { COUNTING_THREADS = 16 };

/* One line per thread, so that counting costs no shared line and no locked operation. Beyond so many threads, some
 * share a line and may lose a count. */
struct fabric_thread_counts {
    _Alignas(64) _Atomic uint64_t writes, reads, messages, bytes_written, bytes_read;
};

static struct fabric_thread_counts *own_counts(const fabric *f)
{
    static atomic_uint threads;
    static _Thread_local __attribute__((tls_model("initial-exec"))) unsigned number;
    if (number == 0)
        number = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % COUNTING_THREADS + 1;
    return &f->thread_counts[number - 1];
}

static void add(_Atomic uint64_t *count, uint64_t amount)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + amount,
                          memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static struct fabric_link *link_at(const fabric *f, int peer)
{
    return atomic_load_explicit(&f->links[peer], memory_order_acquire);
}

void fabric_stats(const fabric *f, struct fabric_stats *stats)
{
    struct fabric_stats sum = {.malformed = get(&f->counts.malformed),
                               .wakeups_sent = get(&f->counts.wakeups_sent),
                               .wakeups_taken = get(&f->counts.wakeups_taken),
                               .overflowed = get(&f->counts.overflowed)};
    for (int thread = 0; thread < COUNTING_THREADS; ++thread) {
        const struct fabric_thread_counts *counts = &f->thread_counts[thread];
        sum.writes += get(&counts->writes);
        sum.reads += get(&counts->reads);
        sum.messages += get(&counts->messages);
        sum.bytes_written += get(&counts->bytes_written);
        sum.bytes_read += get(&counts->bytes_read);
    }
    for (int peer = 0; peer < f->peers_max; ++peer) {
        const struct fabric_link *link = link_at(f, peer);
        if (!link || fabric_link_state(link) == FABRIC_LOST)
            continue;
        *(link->ops == &shm_transport ? &sum.peers_shm : &sum.peers_verbs) += 1;
        sum.connected += fabric_link_state(link) == FABRIC_CONNECTED;
    }
    *stats = sum;
}

/* ---- Set-up --------------------------------------------------------------------------------------------------- */

static int check_options(const struct fabric_options *options)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (options->peers_max < 1 || options->peers_max > (int)BELAY_NODES_MAX || options->node < 0 ||
        options->node >= options->peers_max)
        return log_error(BELAY_ERR_INVALID, "node %d of %d: at most %u nodes", options->node,
                         options->peers_max, BELAY_NODES_MAX);
    if (options->region_size == 0 || options->region_size % page || options->region_size > PTRDIFF_MAX)
        return log_error(BELAY_ERR_INVALID, "a region of %zu bytes: not a multiple of %zu",
                         options->region_size, page);
    if (!options->handler.message || !options->handler.lost)
        return log_error(BELAY_ERR_INVALID, "a fabric without a handler");
    if (!options->shm && !options->verbs)
        return log_error(BELAY_ERR_INVALID, "a fabric without a transport");
    if (options->verbs && !verbs_ops)
        return log_error(BELAY_ERR_NOT_SUPPORTED,
                         "this build has no verbs transport: install libibverbs-dev and "
                         "librdmacm-dev, configure again, or use BELAY_TRANSPORT=shm");
    return BELAY_OK;
}

static int create_region(fabric *f, size_t size)
{
    void *region;
    int result = shared_memory_create("belay-region", size, &f->region_file);
    if (!result)
        result = shared_memory_map(f->region_file, 0, size, &region);
    if (result)
        return result;
    f->region = region;
    f->region_size = size;
    return BELAY_OK;
}

static int create_tables(fabric *f, const struct fabric_options *options)
{
    f->links = calloc((size_t)options->peers_max, sizeof *f->links);
    f->thread_counts = aligned_alloc(64, COUNTING_THREADS * sizeof *f->thread_counts);
    f->device = options->device ? strdup(options->device) : NULL;
    if (!f->links || !f->thread_counts || (options->device && !f->device))
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a table of %d peers", options->peers_max);
    memset(f->thread_counts, 0, COUNTING_THREADS * sizeof *f->thread_counts);
    f->peers_max = options->peers_max;
    return BELAY_OK;
}

/* The own card is complete when shm, which proves it with the secret, adds its part as the last one. */
static int create_transports(fabric *f, const struct fabric_options *options)
{
    int result = BELAY_OK;
    if (options->verbs)
        result = verbs_ops->create(f, &f->verbs);
    if (!result && options->shm)
        result = shm_transport.create(f, &f->shm);
    if (result)
        return result;
    f->card.transports = (f->shm ? CARD_SHM : 0u) | (f->verbs ? CARD_VERBS : 0u);
    if (f->verbs)
        f->verbs->ops->address(f->verbs, &f->card);
    if (f->shm)
        f->shm->ops->address(f->shm, &f->card);
    return BELAY_OK;
}

int fabric_create(const struct fabric_options *options, fabric **out)
{
    int result = check_options(options);
    if (result)
        return result;
    fabric *f = aligned_alloc(_Alignof(fabric), sizeof *f);
    if (!f)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for a fabric");
    memset(f, 0, sizeof *f);
    f->node = options->node;
    f->timeout_ms = options->timeout_ms;
    f->handler = options->handler;
    f->chosen = options->chosen;
    f->region_file = f->epoll = f->wake.descriptor = f->wake_writer = -1;
    pthread_mutex_init(&f->table_lock, NULL);
    memcpy(f->secret, options->secret, sizeof f->secret);

    result = create_tables(f, options);
    if (!result)
        result = create_region(f, options->region_size);
    if (!result)
        result = progress_create(f);
    if (!result)
        result = card_init(&f->card, f->node, f->region_size);
    if (!result)
        result = create_transports(f, options);
    if (result) {
        fabric_destroy(f);
        return result;
    }
    *out = f;
    return BELAY_OK;
}

static void detach_links(fabric *f)
{
    for (int peer = 0; peer < f->peers_max; ++peer) {
        struct fabric_link *link = link_at(f, peer);
        if (link)
            link->ops->detach(link);
    }
    while (f->retired) {
        struct fabric_link *link = f->retired;
        f->retired = link->retired;
        link->ops->detach(link);
    }
}

void fabric_destroy(fabric *f)
{
    if (!f)
        return;
    detach_links(f);
    if (f->verbs)
        f->verbs->ops->destroy(f->verbs);
    if (f->shm)
        f->shm->ops->destroy(f->shm);
    progress_destroy(f);
    if (f->region)
        munmap(f->region, f->region_size);
    if (f->region_file >= 0)
        close(f->region_file);
    pthread_mutex_destroy(&f->table_lock);
    free((void *)(uintptr_t)f->device);
    free(f->thread_counts);
    free(f->links);
    free(f);
}

void fabric_local_address(const fabric *f, struct fabric_address *address)
{
    memcpy(address, &f->card, sizeof *address);
}

void *fabric_region(const fabric *f)
{
    return f->region;
}

size_t fabric_region_size(const fabric *f)
{
    return f->region_size;
}

const char *fabric_device_text(const fabric *f)
{
    return f->verbs && f->verbs->ops->device_text ? f->verbs->ops->device_text(f->verbs) : "";
}

/* ---- Peers ---------------------------------------------------------------------------------------------------- */

void fabric_link_init(struct fabric_link *link, const struct fabric_transport *transport, int peer,
                      const struct fabric_card *card)
{
    *link = (struct fabric_link){.ops = transport->ops,
                                 .fabric = transport->fabric,
                                 .region_size = card->region_size,
                                 .incarnation = card->incarnation,
                                 .peer = peer,
                                 .state = FABRIC_KNOWN};
}

bool fabric_link_connected(struct fabric_link *link)
{
    int known = FABRIC_KNOWN;
    return atomic_compare_exchange_strong(&link->state, &known, FABRIC_CONNECTED);
}

bool fabric_link_lose(struct fabric_link *link, const char *why)
{
    const fabric *f = link->fabric;
    if (atomic_exchange(&link->state, FABRIC_LOST) == FABRIC_LOST)
        return false;
    log_info("node %d is lost: %s", link->peer, why);
    atomic_store_explicit(&link->drained, true, memory_order_release);
    f->handler.lost(f->handler.context, link->peer, why);
    return true;
}

static struct fabric_transport *choose_transport(fabric *f, int peer, const struct fabric_card *card)
{
    bool same_host = card_same_host(card, &f->card);
    if (same_host && f->shm && (card->transports & CARD_SHM))
        return f->shm;
    if (f->verbs && (card->transports & CARD_VERBS))
        return f->verbs;
    log_error(BELAY_ERR_NOT_SUPPORTED, "node %d is on %s host and there is no transport to it", peer,
              same_host ? "this" : "another");
    return NULL;
}

static bool peer_valid(const fabric *f, int peer)
{
    return peer >= 0 && peer < f->peers_max;
}

/* Under the table lock. */
static int replace_link(fabric *f, int peer, const struct fabric_card *card)
{
    struct fabric_link *old = link_at(f, peer);
    struct fabric_link *link;
    if (old && old->incarnation == card->incarnation) {
        if (fabric_link_state(old) != FABRIC_LOST)
            return BELAY_OK;
        return log_error(BELAY_ERR_REFUSED,
                         "node %d was lost and comes back with the address of its former life", peer);
    }
    if (old && fabric_link_state(old) != FABRIC_LOST)
        return log_error(BELAY_ERR_INVALID, "node %d has an address already, and is not lost", peer);
    struct fabric_transport *transport = choose_transport(f, peer, card);
    if (!transport)
        return BELAY_ERR_NOT_SUPPORTED;
    if (old)
        old->ops->retire(old);
    int result = transport->ops->attach(transport, peer, card, &link);
    if (result)
        return result;
    if (old) {
        old->retired = f->retired;
        f->retired = old;
    }
    atomic_store_explicit(&f->links[peer], link, memory_order_release);
    return BELAY_OK;
}

int fabric_add_peer(fabric *f, int peer, const struct fabric_address *address)
{
    struct fabric_card card;
    if (!peer_valid(f, peer) || peer == f->node)
        return log_error(BELAY_ERR_INVALID, "node %d is not a peer of node %d", peer, f->node);
    memcpy(&card, address, sizeof card);
    int result = card_check(&card, peer);
    if (result)
        return result;
    pthread_mutex_lock(&f->table_lock);
    result = replace_link(f, peer, &card);
    pthread_mutex_unlock(&f->table_lock);
    return result;
}

/* The link to post to; NULL if there is none. */
static struct fabric_link *live_link(const fabric *f, int peer)
{
    struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link && fabric_link_state(link) != FABRIC_LOST ? link : NULL;
}

static int no_live_link(const fabric *f, int peer)
{
    if (fabric_peer_state(f, peer) == FABRIC_LOST)
        return log_quiet(BELAY_ERR_NODE_FAILED, "node %d is lost", peer);
    return log_quiet(BELAY_ERR_INVALID, "node %d is not known", peer);
}

int fabric_connect(fabric *f, int peer)
{
    struct fabric_link *link = live_link(f, peer);
    return link ? link->ops->connect(link) : no_live_link(f, peer);
}

void fabric_cut(fabric *f, int peer)
{
    struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    if (link && atomic_exchange(&link->state, FABRIC_LOST) != FABRIC_LOST)
        link->ops->cut(link);
}

bool fabric_drained(const fabric *f, int peer)
{
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return !link || atomic_load_explicit(&link->drained, memory_order_acquire);
}

enum fabric_peer_state fabric_peer_state(const fabric *f, int peer)
{
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link ? (enum fabric_peer_state)fabric_link_state(link) : FABRIC_UNKNOWN;
}

const char *fabric_peer_transport(const fabric *f, int peer)
{
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link ? link->ops->name : "";
}

void *fabric_map(const fabric *f, int peer)
{
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link ? link->map : NULL;
}

size_t fabric_peer_region_size(const fabric *f, int peer)
{
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link ? link->region_size : 0;
}

/* ---- Posting -------------------------------------------------------------------------------------------------- */

static bool in_range(uint64_t offset, size_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static bool in_own_region(const fabric *f, const void *local, size_t length)
{
    uintptr_t offset = (uintptr_t)local -
                       (uintptr_t)f->region; /* wraps to a large number if it lies before */
    return in_range(offset, length, f->region_size);
}

static int bad_range(int peer, uint64_t offset, size_t length)
{
    return log_quiet(BELAY_ERR_INVALID,
                     "%zu bytes at offset %llu are not in the region of node %d, or their source or "
                     "target is not in the own region",
                     length, (unsigned long long)offset, peer);
}

int fabric_write(fabric *f, int peer, uint64_t remote_offset, const void *local, size_t length,
                 unsigned flags, fabric_ticket *ticket)
{
    struct fabric_link *link = live_link(f, peer);
    if (!link)
        return no_live_link(f, peer);
    if (!in_range(remote_offset, length, link->region_size) ||
        (!link->map && length > FABRIC_INLINE_MAX && !in_own_region(f, local, length)))
        return bad_range(peer, remote_offset, length);
    *ticket = 0;
    if (length == 0)
        return BELAY_OK;
    struct fabric_thread_counts *counts = own_counts(f);
    add(&counts->writes, 1);
    add(&counts->bytes_written, length);
    return link->ops->write(link, remote_offset, local, length, flags, ticket);
}

int fabric_read(fabric *f, int peer, uint64_t remote_offset, void *local, size_t length, unsigned flags,
                fabric_ticket *ticket)
{
    struct fabric_link *link = live_link(f, peer);
    if (!link)
        return no_live_link(f, peer);
    if (!in_range(remote_offset, length, link->region_size) ||
        (!link->map && !in_own_region(f, local, length)))
        return bad_range(peer, remote_offset, length);
    *ticket = 0;
    if (length == 0)
        return BELAY_OK;
    struct fabric_thread_counts *counts = own_counts(f);
    add(&counts->reads, 1);
    add(&counts->bytes_read, length);
    return link->ops->read(link, remote_offset, local, length, flags, ticket);
}

int fabric_fence(fabric *f, int peer, fabric_ticket *ticket)
{
    struct fabric_link *link = live_link(f, peer);
    return link ? link->ops->fence(link, ticket) : no_live_link(f, peer);
}

bool fabric_done(const fabric *f, int peer, fabric_ticket ticket)
{
    if (ticket == 0)
        return true;
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link && link->ops->done(link, ticket);
}

bool fabric_congested(const fabric *f, int peer)
{
    const struct fabric_link *link = peer_valid(f, peer) ? link_at(f, peer) : NULL;
    return link && link->ops->congested(link);
}

int fabric_send(fabric *f, int peer, const struct iovec *parts, int count, unsigned flags)
{
    struct fabric_link *link = live_link(f, peer);
    if (!link)
        return no_live_link(f, peer);
    size_t length = 0;
    for (int part = 0; part < count && part < FABRIC_IOV_MAX; ++part) {
        if (parts[part].iov_len > FABRIC_MESSAGE_MAX - length)
            return log_quiet(BELAY_ERR_TOO_LARGE, "a message is longer than %d bytes", FABRIC_MESSAGE_MAX);
        length += parts[part].iov_len;
    }
    if (count < 0 || count > FABRIC_IOV_MAX)
        return log_quiet(BELAY_ERR_INVALID, "a message of %d parts: at most %d", count, FABRIC_IOV_MAX);
    int result = link->ops->send(link, parts, count, length, flags);
    if (result == BELAY_OK)
        add(&own_counts(f)->messages, 1);
    return result;
}
