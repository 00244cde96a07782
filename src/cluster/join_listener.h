/* SPDX-License-Identifier: BSD-3-Clause */
/* Where processes that want to join turn to: a socket, and a thread that talks with one of them at a time. */
#ifndef BELAY_JOIN_LISTENER_H
#define BELAY_JOIN_LISTENER_H

#include <pthread.h>
#include <stdbool.h>

struct join_listener {
    int socket;  /* -1: none */
    int stop[2]; /* pipe that ends the thread */
    pthread_t thread;
    bool running;
    bool trim_wanted; /* the thread's: a server has joined, and others still hold what it will */
};

#endif
