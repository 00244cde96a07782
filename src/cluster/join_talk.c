/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/join_talk.h"

#include "base/log.h"
#include "base/siphash.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define JOIN_MAGIC 0x6e696f4a79614c42ull

struct hello {
    uint64_t magic;
    uint32_t protocol, size;    /* size: of an introduction, which another version may have differently */
    uint32_t purpose, reserved; /* enum join_purpose; a member says 0 */
    unsigned char nonce[16];
};

void join_set_timeouts(int socket, unsigned milliseconds)
{
    struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000L};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* small words, to and fro */
}

int join_connect(const struct join_contact *contact, unsigned timeout_ms)
{
    char port[16];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    snprintf(port, sizeof port, "%u", contact->port);
    if (getaddrinfo(contact->host, port, &hints, &found) != 0)
        return -1;
    int connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connected >= 0) {
        join_set_timeouts(connected, timeout_ms);
        if (connect(connected, found->ai_addr, found->ai_addrlen) != 0) {
            close(connected);
            connected = -1;
        }
    }
    freeaddrinfo(found);
    return connected;
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

int join_prove(int socket, const unsigned char *secret, bool is_member, enum join_purpose *purpose)
{
    struct hello mine = {.magic = JOIN_MAGIC,
                         .protocol = JOIN_PROTOCOL,
                         .size = sizeof(struct introduction),
                         .purpose = is_member ? 0 : *purpose};
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
    if (is_member)
        *purpose = theirs.purpose == JOIN_TO_ASK ? JOIN_TO_ASK : JOIN_TO_JOIN;
    return BELAY_OK;
}
