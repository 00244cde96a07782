/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of a message, which are only read, as iovecs, which know no const. An empty part may point nowhere. */
#ifndef BELAY_PARTS_H
#define BELAY_PARTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

static inline struct iovec part_of(const void *bytes, size_t length)
{
    return (struct iovec){(void *)(uintptr_t)bytes, length};
}

/* Copy the parts one behind the other. */
static inline void parts_copy(void *target, const struct iovec *parts, int count)
{
    unsigned char *at = target;
    for (int i = 0; i < count; ++i) {
        if (parts[i].iov_len > 0)
            memcpy(at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
}

#endif
