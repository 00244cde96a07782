/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of one host. A peer's region is mapped here, so a write or a read is a memcpy and done at once. Messages go through
 * rings (ring.h) in the control memory of the sender (control.h).
 *
 * A peer's process is watched by a pidfd. What it had sent before it ended is delivered before it counts as lost, and its
 * region stays readable until the peer's address is replaced.
 */
#include "base/fence.h"
#include "base/log.h"
#include "base/parts.h"
#include "base/racy.h"
#include "base/siphash.h"
#include "belay.h"
#include "fabric/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    POLL_BUDGET = 16, /* messages taken from one peer before the next has its turn */
    LOOK_AHEAD = 4    /* messages of a burst that are looked at before they are handled */
};

struct queued_message {
    struct queued_message *next;
    size_t length;
    unsigned char bytes[];
};

struct shm_link {
    struct fabric_link base;
    struct shm *shm;

    /* The poller's. */
    _Alignas(64) struct ring_reader reader;
    uint64_t ahead; /* position in the ring of what has not been looked at yet */
    int seen_ahead; /* messages between */
    struct shm_link *next_arrived;

    /* The senders'. */
    _Alignas(64) spin_lock lock;
    bool hung_up; /* nothing is sent any more */
    struct ring_writer writer;
    struct queued_message *first, *last; /* what the ring had no room for, in order */

    /* The peer's attention, and how to draw it. */
    const _Atomic uint64_t *attention, *callers_asleep;
    _Atomic uint64_t woken; /* the sleep that was ended already: its word */
    int wake_writer;

    struct fabric_source death; /* pidfd */
    struct control *control;    /* the peer's */
    size_t control_size;
    unsigned char *bytes_in, *bytes_out; /* mapped twice in a row */
};

/* What is looked at to see whether a peer has sent something: one word, compactly beside those of the other peers. */
struct watch {
    const _Atomic uint64_t *word;
    uint64_t idle; /* what it says while there is nothing */
    struct shm_link *link;
};

struct shm {
    struct fabric_transport base;
    struct process self;
    int control_file;
    struct control *control;
    size_t control_size; /* without the rings */

    _Atomic int overflowing;            /* links with queued messages */
    _Atomic int draining;               /* links that were cut and may still have messages */
    _Atomic(struct shm_link *) arrived; /* new links, for the poller to take in */

    /* The poller's: one entry per peer. */
    int count;
    struct watch watches[];
};

static struct shm *shm_of(struct fabric_transport *transport)
{
    return (struct shm *)(void *)transport;
}

static struct shm_link *link_of(struct fabric_link *base)
{
    return (struct shm_link *)(void *)base;
}

static size_t size_of_control(uint32_t peers_max)
{
    return control_size(peers_max, (size_t)sysconf(_SC_PAGESIZE));
}

/* ---- Waking the peer ------------------------------------------------------------------------------------------ */

/*
 * The sender publishes, then looks whether the peer's thread sleeps; the peer announces its sleep, then looks for messages
 * once more (fabric_sleep, fabric_poller_leave). With a full fence between on both sides, one of them sees the other.
 * The word is unique to one sleep, so one byte per sleep and link is enough: a byte is taken only after its sleep is over.
 */
static void wake_if_asleep(struct shm_link *link, bool awaited)
{
    fence_full();
    if (awaited && !atomic_load_explicit(link->callers_asleep, memory_order_relaxed))
        return;
    uint64_t word = atomic_load_explicit(link->attention, memory_order_relaxed);
    if (!attention_needs_wake(word) || atomic_load_explicit(&link->woken, memory_order_relaxed) == word)
        return;
    /* EAGAIN: the pipe is full of bytes that will wake it. There is no SIGPIPE: our end reads too. */
    if (write(link->wake_writer, "", 1) < 0 && errno != EAGAIN)
        log_warn("cannot wake node %d: %s", link->base.peer, strerror(errno));
    atomic_store_explicit(&link->woken, word, memory_order_relaxed);
    fabric_count(&link->base.fabric->counts.wakeups_sent);
}

/* ---- Messages out --------------------------------------------------------------------------------------------- */

static int enqueue(struct shm_link *link, const struct iovec *parts, int count, size_t length)
{
    struct queued_message *message = malloc(sizeof *message + length);
    if (!message)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory to queue a message of %zu bytes", length);
    message->next = NULL;
    message->length = length;
    parts_copy(message->bytes, parts, count);
    if (link->first) {
        link->last->next = message;
    } else {
        link->first = message;
        atomic_fetch_add_explicit(&link->shm->overflowing, 1, memory_order_relaxed);
        ring_starve(&link->writer, true);
    }
    link->last = message;
    fabric_count(&link->base.fabric->counts.overflowed);
    return BELAY_OK;
}

static void remove_first(struct shm_link *link)
{
    struct queued_message *message = link->first;
    link->first = message->next;
    free(message);
    if (!link->first)
        atomic_fetch_sub_explicit(&link->shm->overflowing, 1, memory_order_relaxed);
}

/* Move queued messages into the ring while there is room. */
static int drain_queue(struct shm_link *link)
{
    int moved = 0;
    spin_acquire(&link->lock);
    while (link->first) {
        struct iovec part = {link->first->bytes, link->first->length};
        if (!ring_write(&link->writer, &part, 1, part.iov_len))
            break;
        remove_first(link);
        if (!link->first)
            ring_starve(&link->writer, false);
        ++moved;
    }
    spin_release(&link->lock);
    if (moved)
        wake_if_asleep(link, false);
    return moved;
}

static int shm_send(struct fabric_link *base, const struct iovec *parts, int count, size_t length,
                    unsigned flags)
{
    struct shm_link *link = link_of(base);
    int result = BELAY_OK;
    bool queued = false;

    spin_acquire(&link->lock);
    if (link->hung_up) {
        result = BELAY_ERR_NODE_FAILED;
    } else if (link->first || !ring_write(&link->writer, parts, count, length)) {
        queued = flags & FABRIC_QUEUE;
        result = queued ? enqueue(link, parts, count, length) : FABRIC_AGAIN;
    }
    spin_release(&link->lock);

    /* With a full ring earlier messages may still wait for the wake-up that FABRIC_MORE put off. */
    if (!(flags & FABRIC_MORE) || queued || result)
        wake_if_asleep(link, (flags & FABRIC_AWAITED) && !queued && !result);
    /* The peer may have made room before it could see that we wait for it. */
    if (queued)
        drain_queue(link);
    return result;
}

static bool shm_congested(const struct fabric_link *base)
{
    const struct shm_link *link = (const struct shm_link *)(const void *)base;
    return atomic_load_explicit(&link->writer.ends->starved, memory_order_relaxed) != 0;
}

/* ---- One-sided ------------------------------------------------------------------------------------------------ */

/* What is posted later becomes visible by stores that come after the fence. */
static int shm_write(struct fabric_link *base, uint64_t remote_offset, const void *local, size_t length,
                     unsigned flags, fabric_ticket *ticket)
{
    unsigned char *target = (unsigned char *)base->map + remote_offset;
    (void)flags;
    if (length == sizeof(uint64_t) && remote_offset % sizeof(uint64_t) == 0) {
        uint64_t word;
        memcpy(&word, local, sizeof word);
        atomic_store_explicit((_Atomic uint64_t *)(void *)target, word, memory_order_release);
    } else {
        racy_begin();
        racy_copy(target, local, length);
    }
    *ticket = 0;
    return BELAY_OK;
}

/* A read comes after the writes posted before it: the fence waits until they have left this core. */
static int shm_read(struct fabric_link *base, uint64_t remote_offset, void *local, size_t length,
                    unsigned flags, fabric_ticket *ticket)
{
    const unsigned char *source = (const unsigned char *)base->map + remote_offset;
    (void)flags;
    fence_full();
    if (length == sizeof(uint64_t) && remote_offset % sizeof(uint64_t) == 0) {
        uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)(const void *)source,
                                             memory_order_acquire);
        memcpy(local, &word, sizeof word);
    } else {
        racy_copy(local, source, length);
    }
    *ticket = 0;
    return BELAY_OK;
}

static int shm_fence(struct fabric_link *base, fabric_ticket *ticket)
{
    (void)base;
    fence_full();
    *ticket = 0;
    return BELAY_OK;
}

static bool shm_done(const struct fabric_link *base, fabric_ticket ticket)
{
    (void)base;
    (void)ticket;
    return true;
}

static int shm_connect(struct fabric_link *base)
{
    (void)base;
    return BELAY_OK;
}

/* ---- The end of a link ---------------------------------------------------------------------------------------- */

/* Send nothing more, and let the peer know. */
static void hang_up(struct shm_link *link)
{
    spin_acquire(&link->lock);
    bool first_time = !link->hung_up;
    if (first_time) {
        link->hung_up = true;
        while (link->first)
            remove_first(link);
        ring_end(&link->writer);
    }
    spin_release(&link->lock);
    if (first_time) {
        fabric_unwatch(link->base.fabric, &link->death);
        wake_if_asleep(link, false);
    }
}

/* @return false: it was lost before. */
static bool lose(struct shm_link *link, const char *why)
{
    bool first_time = fabric_link_lose(&link->base, why);
    hang_up(link);
    return first_time;
}

static void shm_cut(struct fabric_link *base)
{
    atomic_fetch_add_explicit(&link_of(base)->shm->draining, 1, memory_order_release);
    hang_up(link_of(base));
    fabric_wake(base->fabric);
}

/* ---- Messages in ---------------------------------------------------------------------------------------------- */

/* Not for the first of a burst: most messages come alone. */
static void look_ahead(struct shm_link *link)
{
    fabric *f = link->base.fabric;
    const void *message;
    size_t length;
    if (link->seen_ahead == 0)
        link->ahead = link->reader.position;
    for (; link->seen_ahead < LOOK_AHEAD && ring_peek(&link->reader, &link->ahead, &message, &length);
         ++link->seen_ahead)
        f->handler.ahead(f->handler.context, link->base.peer, message, length);
}

static int poll_link(struct shm_link *link)
{
    fabric *f = link->base.fabric;
    int handled = 0;
    while (handled < POLL_BUDGET && !atomic_load_explicit(&link->base.drained, memory_order_relaxed)) {
        const void *message;
        size_t length;
        if (handled > 0 && f->handler.ahead)
            look_ahead(link);
        switch (ring_read(&link->reader, &message, &length)) {
        case RING_EMPTY: return handled;
        case RING_MESSAGE:
            fabric_deliver(f, link->base.peer, message, length);
            link->seen_ahead -= link->seen_ahead > 0;
            if (ring_release(&link->reader, length))
                wake_if_asleep(link, false);
            break;
        case RING_END: return handled + lose(link, fabric_left);
        case RING_MALFORMED:
            fabric_count(&f->counts.malformed);
            log_warn("node %d broke the message ring and is cut off", link->base.peer);
            return handled + lose(link, "it sent a malformed message");
        }
        ++handled;
    }
    return handled;
}

/* From now on look where the peer's next message will be. Of a lost peer nothing more is wanted. */
static void renew_watch(struct watch *watch)
{
    static const _Atomic uint64_t nothing;
    if (atomic_load_explicit(&watch->link->base.drained, memory_order_relaxed)) {
        watch->word = &nothing;
        watch->idle = 0;
    } else {
        watch->word = ring_watch(&watch->link->reader, &watch->idle);
    }
}

/* A new link takes the place of the peer's former life, if there was one. */
static void take_in(struct shm *shm, struct shm_link *link)
{
    int place = 0;
    while (place < shm->count && shm->watches[place].link->base.peer != link->base.peer)
        ++place;
    if (place == shm->count)
        ++shm->count;
    shm->watches[place].link = link;
    renew_watch(&shm->watches[place]);
}

static void take_in_arrived(struct shm *shm)
{
    struct shm_link *link = atomic_exchange_explicit(&shm->arrived, NULL, memory_order_acquire);
    while (link) {
        struct shm_link *next = link->next_arrived;
        take_in(shm, link);
        link = next;
    }
}

/* A link that was cut: what is in its ring is delivered, then it is over. */
static int drain_cut(struct shm *shm, struct watch *watch)
{
    struct fabric_link *base = &watch->link->base;
    if (fabric_link_state(base) != FABRIC_LOST || atomic_load_explicit(&base->drained, memory_order_relaxed))
        return 0;
    int handled = poll_link(watch->link);
    if (handled < POLL_BUDGET) {
        atomic_store_explicit(&base->drained, true, memory_order_release);
        atomic_fetch_sub_explicit(&shm->draining, 1, memory_order_relaxed);
        renew_watch(watch);
    }
    return handled + 1;
}

static int shm_poll(struct fabric_transport *transport)
{
    struct shm *shm = shm_of(transport);
    int handled = 0;
    if (atomic_load_explicit(&shm->arrived, memory_order_relaxed))
        take_in_arrived(shm);
    for (struct watch *watch = shm->watches; watch < shm->watches + shm->count; ++watch) {
        if (atomic_load_explicit(watch->word, memory_order_relaxed) == watch->idle)
            continue;
        /* Most messages have a second line: fetch it while the first is looked at. */
        __builtin_prefetch(watch->word + RING_LINE / sizeof *watch->word);
        handled += poll_link(watch->link);
        renew_watch(watch);
    }
    if (atomic_load_explicit(&shm->draining, memory_order_relaxed))
        for (int place = 0; place < shm->count; ++place)
            handled += drain_cut(shm, &shm->watches[place]);
    if (atomic_load_explicit(&shm->overflowing, memory_order_relaxed))
        for (int place = 0; place < shm->count; ++place)
            handled += drain_queue(shm->watches[place].link);
    return handled;
}

/* The pidfd is readable: the process has ended. */
static void peer_died(struct fabric_source *source)
{
    struct shm_link *link = (struct shm_link *)(void *)((char *)source - offsetof(struct shm_link, death));
    while (poll_link(link) > 0)
        ;
    lose(link, "its process has ended");
}

/* ---- Attaching a peer ----------------------------------------------------------------------------------------- */

/* The peer's control memory proves that it belongs to the job. */
static int check_control(const struct shm_link *link, const struct fabric_card *card,
                         const struct shm_card *part)
{
    const fabric *f = link->base.fabric;
    const struct control *control = link->control;
    unsigned char proof[FABRIC_PROOF_SIZE];
    fabric_proof(f, card, proof);
    if (control->magic != FABRIC_MAGIC || control->protocol != FABRIC_PROTOCOL ||
        control->incarnation != card->incarnation || control->peers_max != part->peers_max)
        return log_error(BELAY_ERR_REFUSED,
                         "process %ld does not hold the memory of node %d that its address names",
                         (long)part->process.pid, link->base.peer);
    if (!siphash_equal(control->proof, proof))
        return log_error(BELAY_ERR_REFUSED, "node %d (process %ld) is of another job: wrong secret",
                         link->base.peer, (long)part->process.pid);
    return BELAY_OK;
}

/* Map @p size bytes of a descriptor of the peer. */
static int map_of_peer(const struct shm_card *part, int number, size_t file_size, size_t size, void **out)
{
    int file;
    int result = shared_memory_open(&part->process, number, file_size, &file);
    if (result)
        return result;
    result = shared_memory_map(file, 0, size, out);
    close(file);
    return result;
}

static int map_ring_of_peer(struct shm_link *link, const struct shm_card *part)
{
    const fabric *f = link->base.fabric;
    size_t offset = control_ring_offset(link->control_size, f->node);
    int file;
    void *bytes;
    int result = shared_memory_open(&part->process, part->control_file, offset + RING_SIZE, &file);
    if (result)
        return result;
    result = shared_memory_map_ring(file, offset, RING_SIZE, &bytes);
    close(file);
    if (result)
        return result;
    link->bytes_in = bytes;
    ring_reader_init(&link->reader, &link->control->ends[f->node], link->bytes_in, f->card.incarnation);
    return BELAY_OK;
}

/* The own ring to this peer starts from zero, whatever an earlier life of the peer left there. */
static int map_own_ring(struct shm_link *link)
{
    struct shm *shm = link->shm;
    struct ring_ends *ends = &shm->control->ends[link->base.peer];
    size_t offset = control_ring_offset(shm->control_size, link->base.peer);
    void *bytes;
    int result = shared_memory_clear(shm->control_file, offset, RING_SIZE);
    if (result)
        return result;
    result = shared_memory_map_ring(shm->control_file, offset, RING_SIZE, &bytes);
    if (result)
        return result;
    link->bytes_out = bytes;
    atomic_store(&ends->opened, 0);
    atomic_store(&ends->starved, 0);
    atomic_store(&ends->consumed, 0);
    ring_writer_init(&link->writer, ends, link->bytes_out, link->base.incarnation);
    return BELAY_OK;
}

/* Undoes what of attaching was done. */
static void release_link(struct shm_link *link)
{
    if (link->bytes_out)
        munmap(link->bytes_out, RING_MAPPED);
    if (link->bytes_in)
        munmap(link->bytes_in, RING_MAPPED);
    if (link->control)
        munmap(link->control, link->control_size);
    if (link->base.map)
        munmap(link->base.map, link->base.region_size);
    if (link->wake_writer >= 0)
        close(link->wake_writer);
    if (link->death.descriptor >= 0)
        close(link->death.descriptor);
    free(link);
}

static int open_link(struct shm_link *link, const struct fabric_card *card, const struct shm_card *part)
{
    void *control = NULL;
    int result = process_watch(&part->process, &link->death.descriptor);
    if (!result)
        result = process_open(&part->process, part->wake_writer, O_NONBLOCK, &link->wake_writer);
    if (!result)
        result = map_of_peer(part, part->control_file, link->control_size, link->control_size, &control);
    if (result)
        return result;
    link->control = control;
    link->attention = &link->control->attention;
    link->callers_asleep = &link->control->callers_asleep;
    result = check_control(link, card, part);
    if (!result)
        result = map_of_peer(part, part->region_file, card->region_size, card->region_size, &link->base.map);
    if (!result)
        result = map_ring_of_peer(link, part);
    if (!result)
        result = map_own_ring(link);
    if (!result)
        result = fabric_watch(link->base.fabric, &link->death);
    return result;
}

/* The next poll takes the link in. What the peer has sent already may have woken us too early: hence another wake. */
static void let_poll(struct shm *shm, struct shm_link *link)
{
    struct shm_link *first = atomic_load_explicit(&shm->arrived, memory_order_relaxed);
    do
        link->next_arrived = first;
    while (!atomic_compare_exchange_weak_explicit(&shm->arrived, &first, link, memory_order_release,
                                                  memory_order_relaxed));
    fabric_wake(shm->base.fabric);
}

static int shm_attach(struct fabric_transport *transport, int peer, const struct fabric_card *card,
                      struct fabric_link **out)
{
    struct shm *shm = shm_of(transport);
    struct shm_card part;
    memcpy(&part, card->shm, sizeof part);
    if (part.peers_max > BELAY_NODES_MAX || part.peers_max <= (uint32_t)shm->base.fabric->node)
        return log_error(BELAY_ERR_REFUSED, "node %d expects at most %u nodes, this is node %d", peer,
                         part.peers_max, shm->base.fabric->node);

    struct shm_link *link = aligned_alloc(64, (sizeof *link + 63) / 64 * 64);
    if (!link)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the link to node %d", peer);
    memset(link, 0, sizeof *link);
    fabric_link_init(&link->base, transport, peer, card);
    link->shm = shm;
    link->control_size = size_of_control(part.peers_max);
    link->wake_writer = -1;
    link->death = (struct fabric_source){.descriptor = -1, .ready = peer_died};

    int result = open_link(link, card, &part);
    if (result) {
        release_link(link);
        return result;
    }
    fabric_link_connected(&link->base);
    let_poll(shm, link);
    *out = &link->base;
    return BELAY_OK;
}

/* The rings stay: they cost little, and a handler may be looking at a message. */
static void shm_retire(struct fabric_link *base)
{
    hang_up(link_of(base));
    shared_memory_forget(base->map, base->region_size);
}

static void shm_detach(struct fabric_link *base)
{
    hang_up(link_of(base));
    release_link(link_of(base));
}

/* ---- The transport -------------------------------------------------------------------------------------------- */

static void shm_address(const struct fabric_transport *transport, struct fabric_card *card)
{
    const struct shm *shm = (const struct shm *)(const void *)transport;
    const fabric *f = transport->fabric;
    struct shm_card part = {.process = shm->self,
                            .region_file = f->region_file,
                            .control_file = shm->control_file,
                            .wake_writer = f->wake_writer,
                            .peers_max = (uint32_t)f->peers_max};
    memcpy(card->shm, &part, sizeof part);
    /* The card is complete with this transport's part, the last one. */
    fabric_proof(f, card, shm->control->proof);
}

static void shm_destroy(struct fabric_transport *transport)
{
    struct shm *shm = shm_of(transport);
    if (shm->control)
        munmap(shm->control, shm->control_size);
    if (shm->control_file >= 0)
        close(shm->control_file);
    free(shm);
}

static int create_control(struct shm *shm)
{
    const fabric *f = shm->base.fabric;
    void *control;
    shm->control_size = size_of_control((uint32_t)f->peers_max);
    int result = shared_memory_create("belay-control", control_ring_offset(shm->control_size, f->peers_max),
                                      &shm->control_file);
    if (!result)
        result = shared_memory_map(shm->control_file, 0, shm->control_size, &control);
    if (result)
        return result;
    shm->control = control;
    shm->control->magic = FABRIC_MAGIC;
    shm->control->protocol = FABRIC_PROTOCOL;
    shm->control->peers_max = (uint32_t)f->peers_max;
    shm->control->incarnation = f->card.incarnation;
    return BELAY_OK;
}

static int shm_create(fabric *f, struct fabric_transport **out)
{
    struct shm *shm = calloc(1, sizeof *shm + (size_t)f->peers_max * sizeof shm->watches[0]);
    if (!shm)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for %d peers", f->peers_max);
    shm->base = (struct fabric_transport){.ops = &shm_transport, .fabric = f};
    shm->control_file = -1;
    int result = process_self(&shm->self);
    if (!result)
        result = create_control(shm);
    if (result) {
        shm_destroy(&shm->base);
        return result;
    }
    f->attention = &shm->control->attention;
    f->callers_asleep = &shm->control->callers_asleep;
    *out = &shm->base;
    return BELAY_OK;
}

const struct transport_ops shm_transport = {
    .name = "shm",
    .create = shm_create,
    .destroy = shm_destroy,
    .address = shm_address,
    .attach = shm_attach,
    .retire = shm_retire,
    .detach = shm_detach,
    .connect = shm_connect,
    .cut = shm_cut,
    .write = shm_write,
    .read = shm_read,
    .fence = shm_fence,
    .send = shm_send,
    .done = shm_done,
    .congested = shm_congested,
    .poll = shm_poll,
};
