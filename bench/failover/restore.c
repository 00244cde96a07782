/* SPDX-License-Identifier: BSD-3-Clause */
#include "notes.h"

#include "support/check.h"
#include "support/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

double bare_copy(size_t bytes)
{
    enum { PIECE = 64 << 10 };
    unsigned char *from = malloc(bytes);
    void *to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(from && to != MAP_FAILED, "no memory for a copy of %zu bytes", bytes);
    memset(from, 1, bytes);
    uint64_t begun = clock_ns();
    for (size_t at = 0; at < bytes; at += PIECE)
        memcpy((unsigned char *)to + at, from + at, at + PIECE <= bytes ? PIECE : bytes - at);
    double seconds = (double)(clock_ns() - begun) / 1e9;
    munmap(to, bytes);
    free(from);
    return (double)bytes / seconds;
}
