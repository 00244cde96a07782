/* SPDX-License-Identifier: BSD-3-Clause */
#include "fabric/ring.h"

#include "base/fence.h"
#include "base/parts.h"

/* A header: low half the length with a bit that makes it non-zero, high half the line's number since the ring was opened. */
#define HEADER_PRESENT (1u << 31)
#define HEADER_END     (1u << 30)
#define HEADER_SIZE    sizeof(uint64_t)
#define RING_MASK      (RING_SIZE - 1)

static uint64_t header_of(uint64_t position, uint32_t low)
{
    return position / RING_LINE << 32 | low | HEADER_PRESENT;
}

static uint64_t size_of(size_t length)
{
    return (HEADER_SIZE + length + RING_LINE - 1) & ~(uint64_t)(RING_LINE - 1);
}

static _Atomic uint64_t *header_at(unsigned char *bytes, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(bytes + (position & RING_MASK));
}

void ring_writer_init(struct ring_writer *writer, struct ring_ends *ends, unsigned char *bytes,
                      uint64_t reader)
{
    *writer = (struct ring_writer){.ends = ends, .bytes = bytes, .reader = reader, .cleared = RING_SIZE};
}

void ring_reader_init(struct ring_reader *reader, struct ring_ends *ends, const unsigned char *bytes,
                      uint64_t self)
{
    *reader = (struct ring_reader){.ends = ends, .bytes = bytes, .self = self};
}

/* What the reader says is not trusted either: a position that cannot be is no news. */
static bool room_until(struct ring_writer *writer, uint64_t end)
{
    if (end - writer->consumed <= RING_SIZE)
        return true;
    uint64_t consumed = atomic_load_explicit(&writer->ends->consumed, memory_order_acquire);
    if (consumed <= writer->position && consumed > writer->consumed)
        writer->consumed = consumed;
    return end - writer->consumed <= RING_SIZE;
}

static void clear_until(struct ring_writer *writer, uint64_t end)
{
    for (; writer->cleared < end; writer->cleared += RING_LINE)
        atomic_store_explicit(header_at(writer->bytes, writer->cleared), 0, memory_order_relaxed);
}

/* The reader has these lines in its cache: fetch them all at once, not each when its first store is due. */
static void prefetch_to_write(const struct ring_writer *writer, uint64_t end)
{
    const uint64_t lines_max = 4;
    for (uint64_t at = writer->position; at < end && at < writer->position + lines_max * RING_LINE;
         at += RING_LINE)
        __builtin_prefetch(writer->bytes + (at & RING_MASK), 1);
}

static void open_for_reader(struct ring_writer *writer)
{
    writer->opened = true;
    atomic_store_explicit(&writer->ends->opened, writer->reader, memory_order_release);
}

bool ring_write(struct ring_writer *writer, const struct iovec *parts, int count, size_t length)
{
    uint64_t position = writer->position;
    uint64_t end = position + size_of(length);
    if (!room_until(writer, end + RING_LINE))
        return false;

    prefetch_to_write(writer, end);
    parts_copy(writer->bytes + (position & RING_MASK) + HEADER_SIZE, parts, count);
    if (writer->cleared < end) /* those between are the message's own */
        writer->cleared = end;
    clear_until(writer, end + RING_LINE);
    atomic_store_explicit(header_at(writer->bytes, position), header_of(position, (uint32_t)length),
                          memory_order_release);
    writer->position = end;
    if (!writer->opened)
        open_for_reader(writer);
    if (end + RING_CLEAR_AHEAD - writer->consumed <= RING_SIZE)
        clear_until(writer, end + RING_CLEAR_AHEAD);
    return true;
}

/* The header at the writer's position is always free and clear: room for every message includes the line behind it. */
void ring_end(struct ring_writer *writer)
{
    if (!writer->opened) {
        atomic_store_explicit(&writer->ends->opened, RING_LEFT, memory_order_release);
        return;
    }
    atomic_store_explicit(header_at(writer->bytes, writer->position), header_of(writer->position, HEADER_END),
                          memory_order_release);
}

void ring_starve(struct ring_writer *writer, bool starved)
{
    atomic_store_explicit(&writer->ends->starved, starved, memory_order_release);
}

static const _Atomic uint64_t *header_from(const struct ring_reader *reader, uint64_t position)
{
    return (const _Atomic uint64_t *)(const void *)(reader->bytes + (position & RING_MASK));
}

static const _Atomic uint64_t *next_header(const struct ring_reader *reader)
{
    return header_from(reader, reader->position);
}

const _Atomic uint64_t *ring_watch(const struct ring_reader *reader, uint64_t *idle)
{
    *idle = reader->opened ? 0 : reader->seen;
    return reader->opened ? next_header(reader) : &reader->ends->opened;
}

/* What a ring that has not been open to us yet says. */
static enum ring_event read_opened(struct ring_reader *reader)
{
    reader->seen = atomic_load_explicit(&reader->ends->opened, memory_order_acquire);
    reader->opened = reader->seen == reader->self;
    return reader->seen == RING_LEFT ? RING_END : RING_EMPTY;
}

enum ring_event ring_read(struct ring_reader *reader, const void **message, size_t *length)
{
    if (!reader->opened) {
        enum ring_event event = read_opened(reader);
        if (!reader->opened)
            return event;
    }
    const _Atomic uint64_t *word = next_header(reader);
    uint64_t header = atomic_load_explicit(word, memory_order_acquire);
    if (header == 0)
        return RING_EMPTY;
    uint32_t low = (uint32_t)header & ~HEADER_PRESENT;
    if (header != header_of(reader->position, low))
        return RING_MALFORMED;
    if (low == HEADER_END)
        return RING_END;
    if (low > FABRIC_MESSAGE_MAX)
        return RING_MALFORMED;
    *message = word + 1;
    *length = low;
    return RING_MESSAGE;
}

bool ring_peek(const struct ring_reader *reader, uint64_t *position, const void **message, size_t *length)
{
    if (!reader->opened || *position - reader->position >= RING_SIZE)
        return false;
    const _Atomic uint64_t *word = header_from(reader, *position);
    uint64_t header = atomic_load_explicit(word, memory_order_acquire);
    uint32_t low = (uint32_t)header & ~HEADER_PRESENT;
    if (header != header_of(*position, low) || low > FABRIC_MESSAGE_MAX)
        return false;
    *message = word + 1;
    *length = low;
    *position += size_of(low);
    return true;
}

/* The report and the look at `starved` here, and ring_starve() and the look at `consumed` there (in a last round of polling
 * before the sender sleeps), each with a full fence between: one of the two sides sees the other. */
bool ring_release(struct ring_reader *reader, size_t length)
{
    reader->position += size_of(length);
    if (reader->position - reader->reported < RING_REPORT)
        return false;
    reader->reported = reader->position;
    atomic_store_explicit(&reader->ends->consumed, reader->position, memory_order_release);
    fence_full();
    return atomic_load_explicit(&reader->ends->starved, memory_order_relaxed) != 0;
}
