/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file ring.h
 * Messages from one process to one other through shared memory: a ring with one writer and one reader.
 *
 * A message is a header word of 8 bytes and its bytes, contiguous (the ring is mapped twice in a row), rounded up to
 * whole cache lines. The reader looks at one word only: the header at its own position. 0 means nothing yet; a message is
 * published by one release store of its header. So a short message crosses in one transfer of its lines.
 *
 * A stale word must never look like a header: before a message is published, the first word of the line behind it
 * is 0. The writer clears first words some lines ahead, after it has published, when nobody waits for it.
 *
 * No line is written by both sides. How far the reader is goes back in a line of its own, each quarter of the ring; the
 * writer looks at it only when it seems to have no room.
 *
 * Both ends lie in the *sender's* memory, which starts from zero in each life of the sender. The ring opens with the
 * first message: the writer stores the reader's incarnation into `opened`. Until then the reader looks at that word only:
 * two nodes that never talk touch 128 bytes per direction, and a ring meant for an earlier life of the
 * reader stays closed to it.
 */
#ifndef BELAY_RING_H
#define BELAY_RING_H

#include "fabric/fabric.h"

#include <stdatomic.h>

enum {
    RING_SIZE = 64 * 1024,
    RING_LINE = 64,
    RING_REPORT = RING_SIZE / 4, /* the reader reports its position each so many bytes */
    RING_CLEAR_AHEAD = 8 * RING_LINE
};

#define RING_MAPPED ((size_t)2 * RING_SIZE) /* bytes of address space of one ring */
#define RING_LEFT   UINT64_MAX /* in `opened`: the sender has left without ever opening the ring */

/* In shared memory. */
struct ring_ends {
    /* Written by the sender. */
    _Alignas(RING_LINE) _Atomic uint64_t opened;
    _Atomic uint64_t starved; /* not 0: messages wait for room, so wake the sender when there is some */
    /* Written by the reader. */
    _Alignas(RING_LINE) _Atomic uint64_t consumed; /* bytes since the ring was opened */
};

/* Positions count bytes since the ring was opened, and never wrap. */
struct ring_writer {
    struct ring_ends *ends;
    unsigned char *bytes;
    uint64_t reader;   /* whom the ring is for: its incarnation */
    uint64_t position; /* of the next message */
    uint64_t cleared;  /* first words of lines from position up to here are 0 */
    uint64_t consumed; /* as last seen */
    bool opened;
};

struct ring_reader {
    struct ring_ends *ends;
    const unsigned char *bytes;
    uint64_t self;     /* own incarnation */
    uint64_t position; /* of the next message */
    uint64_t reported;
    uint64_t seen; /* in `opened`, while it is not for us */
    bool opened;
};

enum ring_event { RING_EMPTY, RING_MESSAGE, RING_END, RING_MALFORMED };

/* The ends and the @p bytes (mapped twice) are all zero. */
void ring_writer_init(struct ring_writer *writer, struct ring_ends *ends, unsigned char *bytes,
                      uint64_t reader);
void ring_reader_init(struct ring_reader *reader, struct ring_ends *ends, const unsigned char *bytes,
                      uint64_t self);

/* Copy a message in and publish it. @p length is the sum of the parts, at most FABRIC_MESSAGE_MAX. One thread at a time.
 * @return false if there is no room. */
bool ring_write(struct ring_writer *writer, const struct iovec *parts, int count, size_t length);

/* No more messages will come: always fits. */
void ring_end(struct ring_writer *writer);

/* Tell the reader that messages wait for room, or no longer. */
void ring_starve(struct ring_writer *writer, bool starved);

/* The next message, if any; it stays valid until ring_release(). What a peer wrote is not trusted: RING_MALFORMED. */
enum ring_event ring_read(struct ring_reader *reader, const void **message, size_t *length);

/* The message at @p position, which has arrived behind the next one; *position is then the one after it. Tells nothing about
 * what is wrong: ring_read() will. @return false: there is none. */
bool ring_peek(const struct ring_reader *reader, uint64_t *position, const void **message, size_t *length);

/* The word that changes when ring_read() has something to say; until then it is @p idle. */
const _Atomic uint64_t *ring_watch(const struct ring_reader *reader, uint64_t *idle);

/* Done with the message of @p length bytes that ring_read() gave. @return true if the sender must be woken, since it waits
 * for room and there is some now. */
bool ring_release(struct ring_reader *reader, size_t length);

#endif
