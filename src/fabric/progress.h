/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptors that end a sleep. Polling, sleeping and waking are calls of fabric.h. Private to this folder. */
#ifndef BELAY_PROGRESS_H
#define BELAY_PROGRESS_H

#include "fabric/transport.h"

/* Set up epoll and the wake pipe. Errors: SYSTEM. progress_destroy() is safe after a failure, and on -1 descriptors. */
int progress_create(fabric *f);
void progress_destroy(fabric *f);

#endif
