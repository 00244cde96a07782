/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file calls.h
 * The C side of calls.f90 and belay.f90: calls of belay.h that take Fortran's variables. Optional arguments that are
 * absent come as NULL.
 */
#ifndef BELAY_FORTRAN_CALLS_H
#define BELAY_FORTRAN_CALLS_H

#include "belay.h"

#include <ISO_Fortran_binding.h>

#pragma GCC visibility push(default)

int belay_fortran_open(const MPI_Fint *communicator, const belay_config *config, belay_node **node);
int belay_fortran_put(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                      const belay_write_options *options);
int belay_fortran_put_if_absent(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                                const belay_write_options *options);
int belay_fortran_replace(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                          const belay_write_options *options);
int belay_fortran_get(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                      size_t *value_length);
int belay_fortran_get_versioned(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                                uint64_t *version, size_t *value_length);
int belay_fortran_remove(belay_cache *cache, const CFI_cdesc_t *key, const belay_write_options *options);
int belay_fortran_contains(belay_cache *cache, const CFI_cdesc_t *key);
int belay_fortran_get_and_put(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                              const CFI_cdesc_t *old, size_t *old_length, const belay_write_options *options);
int belay_fortran_compare_and_set(belay_cache *cache, const CFI_cdesc_t *key, uint64_t expected,
                                  const CFI_cdesc_t *value, const belay_write_options *options,
                                  uint64_t *version);
int belay_fortran_fetch_add(belay_cache *cache, const CFI_cdesc_t *key, int64_t delta,
                            const belay_write_options *options, int64_t *old);
int belay_fortran_invoke(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *function,
                         const CFI_cdesc_t *argument, const CFI_cdesc_t *buffer, size_t *result_length,
                         const belay_write_options *options);
int belay_fortran_invoke_nb(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *function,
                            belay_request **request, const CFI_cdesc_t *argument, const CFI_cdesc_t *buffer,
                            size_t *result_length, const belay_write_options *options);
belay_get_item belay_fortran_get_item(const CFI_cdesc_t *key, const CFI_cdesc_t *buffer);
belay_put_item belay_fortran_put_item(const CFI_cdesc_t *key, const CFI_cdesc_t *value);
int belay_fortran_get_all(belay_cache *cache, const CFI_cdesc_t *items);
int belay_fortran_put_all(belay_cache *cache, const CFI_cdesc_t *items, const belay_write_options *options);
int belay_fortran_loader_add(belay_loader *loader, const CFI_cdesc_t *key, const CFI_cdesc_t *value);
int belay_fortran_put_nb(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value,
                         belay_request **request, const belay_write_options *options);
int belay_fortran_get_nb(belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                         size_t *value_length, belay_request **request);
int belay_fortran_remove_nb(belay_cache *cache, const CFI_cdesc_t *key, belay_request **request,
                            const belay_write_options *options);
int belay_fortran_fetch_add_nb(belay_cache *cache, const CFI_cdesc_t *key, int64_t delta,
                               belay_request **request, const belay_write_options *options, int64_t *old);
int belay_fortran_wait_all(const CFI_cdesc_t *requests, const CFI_cdesc_t *results);
int belay_fortran_tx_get(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *buffer,
                         size_t *value_length);
int belay_fortran_tx_get_all(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *items);
int belay_fortran_tx_put(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *key, const CFI_cdesc_t *value);
int belay_fortran_tx_remove(belay_tx *tx, belay_cache *cache, const CFI_cdesc_t *key);
int belay_fortran_partition_of(belay_cache *cache, const CFI_cdesc_t *key);
int belay_fortran_is_primary(belay_cache *cache, const CFI_cdesc_t *key);
int belay_fortran_backups_of(belay_cache *cache, int partition, const CFI_cdesc_t *nodes);
int belay_fortran_lost_partitions(belay_cache *cache, const CFI_cdesc_t *partitions);

#pragma GCC visibility pop

#endif
