/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file attach.h
 * A running job, seen from outside by its address file: what stats, top and verify look at. All calls log what fails.
 */
#ifndef BELAY_TOOL_ATTACH_H
#define BELAY_TOOL_ATTACH_H

#include "cache/observe.h"

#include <argp.h>

struct attached_cache {
    const struct observed_cache *cache;
    struct observed_share *shares; /* by node, in the order of ids */
    uint32_t count;
    struct observed_share sum; /* of all; its node is -1 */
};

/* What the job said of itself at one moment. */
struct attached_job {
    uint64_t taken_ns; /* clock_now() */
    const struct observed_job *head;
    const struct observed_node *nodes;
    struct attached_cache caches[BELAY_CACHES_MAX];
    void *bytes;
};

/* For tables of options: the argument that names the address file. */
error_t attach_argument(struct argp_state *state, const char *text, const char **address_file);
/* At the end of the arguments: without one, BELAY_ADDRESS_FILE names it; neither is an error. */
error_t attach_argument_end(struct argp_state *state, const char **address_file);

/* What helps, in each command's --help. */
#define ATTACH_HELP                                                                                                \
    "FILE is the address file that the job writes (address_file, BELAY_ADDRESS_FILE); without FILE, the variable " \
    "names it. The job is asked through one of its servers, and does not change by that."

/* To be given back with attached_free(). @return BELAY_OK or an error of ask_job(). */
int attach(const char *address_file, struct attached_job *job);
void attached_free(struct attached_job *job);

/* Compare the copies of some partitions. */
int attach_verify(const char *address_file, uint32_t cache, uint32_t first, uint32_t count,
                  belay_verify_report *report);

const char *attached_role(uint32_t role);

#endif
