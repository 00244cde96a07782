/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_disk.h
 * Pieces of files on disk. Files may change, shrink, grow or vanish at any time: what is read is what there
 * was. Calls return 0 or an errno.
 */
#ifndef BELAY_TOOL_STAGE_DISK_H
#define BELAY_TOOL_STAGE_DISK_H

#include "tool/stage_tree.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <xxhash.h>

struct disk_piece {
    int fd;
    struct stat status;
    uint64_t offset;
    uint64_t length; /* there is to read; the last piece of a file goes to its end as it is now */
    bool last;
};

/* Open the file that piece number @p piece is part of, relative to an open directory. EINVAL: no longer a
 * regular file. */
int disk_open(int directory, const struct stage_tree *tree, uint32_t piece, struct disk_piece *out);
void disk_close(struct disk_piece *piece);

/* Read the piece. @param[out] length less than expected if the file has shrunk. */
int disk_read(const struct disk_piece *piece, void *buffer, uint64_t *length);

/* Its checksum, by way of a small buffer of its own. */
int disk_checksum(const struct disk_piece *piece, XXH128_hash_t *checksum, uint64_t *length);

#endif
