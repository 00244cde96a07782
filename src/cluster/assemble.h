/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file assemble.h
 * A node out of what all nodes told each other first: whether that came by MPI (bootstrap.c) or from a member of a running
 * job (join.c).
 */
#ifndef BELAY_ASSEMBLE_H
#define BELAY_ASSEMBLE_H

#include "cluster/node.h"

/* What each process tells all others first. */
struct introduction {
    struct node_settings settings;
    struct process process;
    unsigned char host[FABRIC_HOST_SIZE];
    char contact[72]; /* where its processes that want to join turn to: host name or address */
    uint32_t port;    /* 0: nowhere */
    uint32_t known;   /* the id has been given to a process */
};

struct assembly {
    int id;
    int members;                  /* ids of the first view: 0 ... members - 1 */
    int capacity;                 /* ids there can ever be */
    struct introduction *all;     /* by id; goes to the node */
    const struct node_set *alive; /* nodes to watch; NULL: all members */
    int nodes_on_host, index_on_host, hosts;
    unsigned char secret[FABRIC_SECRET_SIZE];
    int (*prepare)(belay_node *node);
    belay_node *node;
};

/* Make the node, its view, fabric and arena, and let `prepare` register the layers above; no peers yet. On failure too
 * a->node, if set, is to be given back with assemble_destroy(). Errors: as belay_open(). */
int assemble_node(struct assembly *a, const struct node_settings *settings);

/* This process as the others see it. Errors: SYSTEM, CONFIG. */
int assemble_introduction(const struct node_settings *settings, struct introduction *mine);

/* A node that is known now. */
void assemble_member(belay_node *node, int id, const struct introduction *introduction);

/* Give back a node whose progress thread is stopped. */
void assemble_destroy(belay_node *node);

#endif
