/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts allocations: a program that links allocations.c has its malloc and kin, in all libraries, replaced
 * by ones that count and then call the C library's. Not with sanitizers, which do the same. */
#ifndef TESTS_ALLOCATIONS_H
#define TESTS_ALLOCATIONS_H

#include <stdint.h>

uint64_t allocations_of_thread(void);  /* by the calling thread so far */
uint64_t allocations_of_process(void); /* by all threads */

#endif
