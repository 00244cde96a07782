/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_key.h
 * How a tree lies in a cache. The content of a file is under its path relative to the directory. What else
 * belongs to it is under that path, a NUL byte, which no path contains, and a word:
 *
 *   usr/include/stdio.h            content, or its first part
 *   usr/include/stdio.h NUL 1      content, second part (files larger than --part-size, 1 GiB unless given)
 *   usr/include/stdio.h NUL about  a struct stage_about for the content under the path
 *   usr/include/stdio.h NUL about1 for its second part
 */
#ifndef BELAY_TOOL_STAGE_KEY_H
#define BELAY_TOOL_STAGE_KEY_H

#include "belay.h"

#include <stddef.h>
#include <stdint.h>

enum {
    STAGE_SUFFIX_MAX = 16, /* NUL, "about" and a number of 32 bits */
    STAGE_NAME_MAX = BELAY_KEY_MAX - STAGE_SUFFIX_MAX
};

struct stage_key {
    size_t length;
    char bytes[BELAY_KEY_MAX + 1]; /* snprintf() puts an end behind the longest */
};

/* Metadata of one piece; in host order, as a job runs on one kind of machine. */
struct stage_about {
    uint8_t checksum[16]; /* XXH3-128 of the piece, canonical; of its bytes on disk when they were read */
    uint64_t length;      /* of the piece */
    uint64_t file_size;   /* as far as known when the piece was read */
    int64_t modified;     /* seconds since the epoch */
    uint32_t mode;        /* as st_mode */
    uint32_t staged_by;   /* rank */
    int32_t error;        /* not 0: there is no content because of this errno */
    uint32_t part;
};

void stage_key_content(struct stage_key *key, const char *name, size_t length, uint32_t part);
void stage_key_about(struct stage_key *key, const char *name, size_t length, uint32_t part);

#endif
