/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of a message, which are only read, as iovecs, which know no const. */
#ifndef BELAY_PARTS_H
#define BELAY_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

static inline struct iovec part_of(const void *bytes, size_t length)
{
    return (struct iovec){(void *)(uintptr_t)bytes, length};
}

#endif
