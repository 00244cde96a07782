/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/join_talk.h"

#include "base/log.h"
#include "base/siphash.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

#define JOIN_MAGIC 0x6e696f4a79614c42ull

struct hello {
    uint64_t magic;
    uint32_t protocol, size; /* size: of an introduction, which another version may have differently */
    unsigned char nonce[16];
};

void join_set_timeouts(int socket, unsigned milliseconds)
{
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000L};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int join_send(int socket, const void *bytes, size_t length)
{
    const char *from = bytes;
    while (length > 0) {
        ssize_t sent = send(socket, from, length, MSG_NOSIGNAL);
        if (sent <= 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return log_quiet(BELAY_ERR_NODE_FAILED, "joining: the other side takes no more: %s",
                             strerror(errno));
        from += sent;
        length -= (size_t)sent;
    }
    return BELAY_OK;
}

int join_receive(int socket, void *bytes, size_t length)
{
    char *to = bytes;
    while (length > 0) {
        ssize_t got = recv(socket, to, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return log_quiet(BELAY_ERR_NODE_FAILED, "joining: the other side says nothing more%s%s",
                             got < 0 ? ": " : "", got < 0 ? strerror(errno) : "");
        to += got;
        length -= (size_t)got;
    }
    return BELAY_OK;
}

/* What only one side can say: it differs for the two, so neither can send the other's words back. */
static void make_proof(const unsigned char *secret, const struct hello *mine, const struct hello *theirs,
                       bool is_member, unsigned char proof[SIPHASH_SIZE])
{
    struct {
        struct hello mine, theirs;
        uint64_t is_member;
    } words = {*mine, *theirs, is_member};
    siphash(secret, &words, sizeof words, proof);
}

int join_prove(int socket, const unsigned char *secret, bool is_member)
{
    struct hello mine = {.magic = JOIN_MAGIC, .protocol = JOIN_PROTOCOL, .size = sizeof(struct introduction)};
    struct hello theirs;
    unsigned char proof[SIPHASH_SIZE], expected[SIPHASH_SIZE];
    if (getrandom(mine.nonce, sizeof mine.nonce, 0) != (ssize_t)sizeof mine.nonce)
        return log_error(BELAY_ERR_SYSTEM, "getrandom failed: %s", strerror(errno));
    int result = join_send(socket, &mine, sizeof mine);
    if (result == BELAY_OK)
        result = join_receive(socket, &theirs, sizeof theirs);
    if (result != BELAY_OK)
        return result;
    if (theirs.magic != JOIN_MAGIC || theirs.protocol != mine.protocol || theirs.size != mine.size)
        return log_error(BELAY_ERR_REFUSED, "joining: the other side is another version of Belay, or none");
    make_proof(secret, &mine, &theirs, is_member, proof);
    make_proof(secret, &theirs, &mine, !is_member, expected);
    result = join_send(socket, proof, sizeof proof);
    if (result == BELAY_OK)
        result = join_receive(socket, proof, sizeof proof);
    if (result != BELAY_OK)
        return log_error(BELAY_ERR_REFUSED, "joining: the other side does not accept the secret");
    if (!siphash_equal(proof, expected))
        return log_error(BELAY_ERR_REFUSED, "joining: the other side does not know the job's secret");
    return BELAY_OK;
}
