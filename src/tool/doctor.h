/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file doctor.h
 * The checks of `belay doctor`, one file per subject, and how they tell what they found. What a check cannot find out it
 * says in a note; nothing passes unchecked.
 */
#ifndef BELAY_TOOL_DOCTOR_H
#define BELAY_TOOL_DOCTOR_H

#include "cluster/settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct doctor {
    FILE *report;
    struct node_settings settings; /* as a program would get them here */
    int processes;                 /* of the job on this host; if unknown, one per usable processor */
    bool in_job;
    bool verbs_wanted; /* BELAY_TRANSPORT=verbs, or the host has a device */
    unsigned faults, notes;
};

/* Tell what was found on @p subject: good; worth knowing; or a fault that stops jobs, or some of them. A note and a
 * fault have a fix: what to do about it (of a note it may be NULL). */
void doctor_good(struct doctor *doctor, const char *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_note(struct doctor *doctor, const char *subject, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_fault(struct doctor *doctor, const char *subject, const char *fix, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void doctor_check_host(
    struct doctor *doctor); /* processors, descriptors, what processes may see of each other */
void doctor_check_job(struct doctor *doctor);    /* MPI library, recovery, processors per process */
void doctor_check_memory(struct doctor *doctor); /* memory, locked memory, huge pages, shared memory */
void doctor_check_network(
    struct doctor *doctor); /* RDMA devices: link, GID, MTU, and a test of the one chosen */

#endif
