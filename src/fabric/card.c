/* SPDX-License-Identifier: BSD-3-Clause */
/* Who this node is, for its peers: the card that travels as struct fabric_address, and its checks. */
#include "fabric/card.h"

#include "base/log.h"
#include "base/siphash.h"
#include "belay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

_Static_assert((int)FABRIC_SECRET_SIZE == SIPHASH_KEY_SIZE && (int)FABRIC_PROOF_SIZE == SIPHASH_SIZE,
               "the secret is the key of the proof");

static int read_boot_id(char *text, size_t size)
{
    const char *path = "/proc/sys/kernel/random/boot_id";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, size - 1);
    if (file >= 0)
        close(file);
    if (length <= 0)
        return log_error(BELAY_ERR_SYSTEM, "cannot read %s: %s", path, strerror(errno));
    text[length] = '\0';
    return BELAY_OK;
}

/*
 * Processes of one boot and one pid namespace can reach each other's memory through /proc.
 * BELAY_TEST_HOST, a hook for tests, makes processes of one host look like several.
 */
int fabric_host_identity(unsigned char identity[FABRIC_HOST_SIZE])
{
    char boot[64];
    char text[256];
    struct stat namespace;
    int result = read_boot_id(boot, sizeof boot);
    if (result)
        return result;
    if (stat("/proc/self/ns/pid", &namespace))
        return log_error(BELAY_ERR_SYSTEM, "cannot look at /proc/self/ns/pid: %s", strerror(errno));
    const char *part = getenv("BELAY_TEST_HOST");
    int length = snprintf(text, sizeof text, "%s/%ju/%s", boot, (uintmax_t) namespace.st_ino,
                          part ? part : "");
    if (length >= (int)sizeof text)
        return log_error(BELAY_ERR_CONFIG, "BELAY_TEST_HOST is too long");
    XXH128_canonicalFromHash((XXH128_canonical_t *)(void *)identity, XXH3_128bits(text, (size_t)length));
    return BELAY_OK;
}

static int draw_incarnation(uint64_t *incarnation)
{
    uint64_t drawn = 0;
    while (drawn == 0 || drawn == UINT64_MAX)
        if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn)
            return log_error(BELAY_ERR_SYSTEM, "getrandom failed: %s", strerror(errno));
    *incarnation = drawn;
    return BELAY_OK;
}

int card_init(struct fabric_card *card, int node, size_t region_size)
{
    *card = (struct fabric_card){
        .magic = FABRIC_MAGIC, .protocol = FABRIC_PROTOCOL, .region_size = region_size, .node = node};
    int result = fabric_host_identity(card->host);
    if (!result)
        result = draw_incarnation(&card->incarnation);
    return result;
}

int card_check(const struct fabric_card *card, int peer)
{
    if (card->magic != FABRIC_MAGIC)
        return log_error(BELAY_ERR_REFUSED, "what node %d gave is not a fabric address", peer);
    if (card->protocol != FABRIC_PROTOCOL)
        return log_error(BELAY_ERR_REFUSED, "node %d speaks protocol version %u, this node %d", peer,
                         card->protocol, FABRIC_PROTOCOL);
    if (card->node != peer)
        return log_error(BELAY_ERR_REFUSED, "the address of node %d was given for node %d", card->node, peer);
    if (card->incarnation == 0 || card->incarnation == UINT64_MAX || card->region_size == 0 ||
        card->region_size > PTRDIFF_MAX)
        return log_error(BELAY_ERR_REFUSED, "the address of node %d is damaged", peer);
    return BELAY_OK;
}

bool card_same_host(const struct fabric_card *a, const struct fabric_card *b)
{
    return memcmp(a->host, b->host, sizeof a->host) == 0;
}

void fabric_proof(const fabric *f, const struct fabric_card *card, unsigned char proof[FABRIC_PROOF_SIZE])
{
    siphash(f->secret, card, sizeof *card, proof);
}
