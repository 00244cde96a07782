/* SPDX-License-Identifier: BSD-3-Clause */
/* What a test must know of this host's RDMA devices. */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#include <stdbool.h>

/* The kernel has an RDMA device. */
bool device_is_there(void);

/* Belay is built with verbs. */
bool device_can_be_used(void);

#endif
