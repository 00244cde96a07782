/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file info.h
 * The parts of `belay info`, one file each. All print to standard output.
 */
#ifndef BELAY_TOOL_INFO_H
#define BELAY_TOOL_INFO_H

/* Versions, processors, RDMA devices, limits and BELAY_* variables of this host. */
void info_print_host(void);

/* The RDMA devices of this host and the state of their ports, one line each, or why there are none. */
void info_print_devices(void);

/* Every setting of a node and of caches with its value and where that came from: of the caches that the configuration
 * file names, or of @p cache alone (NULL: none named). @return an exit_status: DIFFERS if a setting is bad. */
int info_print_config(const char *cache);

/* Join the processes of this job and print, at the first rank, where they run, how they reach each other, and where
 * the copies of the cache @p cache would lie (NULL: a cache with no settings of its own). @return an exit_status. */
int info_print_job(const char *cache);

#endif
