/* SPDX-License-Identifier: BSD-3-Clause */
/* The conversation with a process that joins: who may, and what is said. Both ends are of one version of the library. */
#ifndef BELAY_JOIN_TALK_H
#define BELAY_JOIN_TALK_H

#include "cluster/assemble.h"

/* What the process outside wants. */
enum join_purpose { JOIN_TO_JOIN = 1, JOIN_TO_ASK };

enum { JOIN_PROTOCOL = 2, JOIN_CONTACTS_MAX = 64, JOIN_TEXT = 256 };

struct join_contact {
    char host[72];
    uint32_t port;
};

/* What the address file holds. */
struct join_address {
    unsigned char secret[FABRIC_SECRET_SIZE];
    int count;
    struct join_contact contacts[JOIN_CONTACTS_MAX];
};

int join_read_file(const char *path, struct join_address *address);

/* First the member sends its settings, the process then its introduction, with the settings that must be equal taken from there. */

/* Member to process: what was decided; behind it as many introductions as there are ids. */
struct join_offer {
    int32_t result;
    char text[JOIN_TEXT]; /* of a refusal */
    int32_t id, members, capacity;
};

/* Member to process, when it has been let in; behind it views, addresses by id, and the upper layers' bytes. */
struct join_welcome {
    int32_t result;
    char text[JOIN_TEXT];
    uint32_t views, reserved;
    uint64_t bytes;
};

/* Both sides prove that they know the secret. *purpose is the process's own, and told to the member. Errors: REFUSED,
 * TIMEOUT, SYSTEM. */
int join_prove(int socket, const unsigned char *secret, bool is_member, enum join_purpose *purpose);

/* All of it, within some seconds. Errors: NODE_FAILED (quietly). */
int join_send(int socket, const void *bytes, size_t length);
int join_receive(int socket, void *bytes, size_t length);

/* @return a socket, or -1: nobody answers there. */
int join_connect(const struct join_contact *contact, unsigned timeout_ms);

/* A socket for this conversation: no call on it waits for ever. */
void join_set_timeouts(int socket, unsigned milliseconds);

#endif
