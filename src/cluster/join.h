/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file join.h
 * Processes that join a running job. The job writes a file with a secret and the places to turn to. A process connects to one
 * of them by TCP; each side proves that it knows the secret. The member gets an id from the coordinator, tells all members of the
 * process and its address, has it let in with the next view, and then tells it all that it must know: the members, all
 * views so far, the caches. From then on the process is a node like any other; a server gets its share of the copies.
 *
 * A node that joined as a client leaves by itself, too.
 */
#ifndef BELAY_JOIN_H
#define BELAY_JOIN_H

#include "cluster/assemble.h"

enum { JOIN_ROOM_DEFAULT = 16 };

/* ---- In the job ---- */

/* Listen, and say where in the own introduction. Errors: SYSTEM. */
int join_listen(struct join_listener *listener, struct introduction *mine);
void join_close(struct join_listener *listener);

/* Write the address file. Errors: SYSTEM. */
int join_write_file(const belay_node *node);

void join_register(belay_node *node);
/* Begin to answer; the node's listener is set. Errors: SYSTEM. */
int join_start(belay_node *node);
void join_stop(belay_node *node);

/* ---- From outside ---- */

/* Become a node of the job that wrote @p path. *bytes: what its upper layers tell, to be freed. */
int join_node(const char *path, const belay_config *config, int (*prepare)(belay_node *node),
              belay_node **node, void **bytes, size_t *length);

/* A joined client goes: the others need not wait for it, nor it for them. */
int join_leave(belay_node *node);

#endif
