/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

enum { READ_MOST = 1 << 30, CHUNK = 128 * 1024 };

static void place(struct disk_piece *out, const struct stage_tree *tree, uint32_t number)
{
    const struct tree_piece *piece = &tree->pieces[number];
    uint64_t size = (uint64_t)out->status.st_size;
    out->offset = piece->part * tree->piece_size;
    out->last = number + 1 == tree->piece_count || tree->pieces[number + 1].file != piece->file;
    out->length = size > out->offset ? size - out->offset : 0;
    uint64_t most = out->last ? tree->piece_size : piece->length;
    if (out->length > most)
        out->length = most;
}

int disk_open(int directory, const struct stage_tree *tree, uint32_t piece, struct disk_piece *out)
{
    char path[PATH_MAX + 1];
    tree_path(tree, &tree->files[tree->pieces[piece].file], path);
    /* O_NONBLOCK: a pipe that has taken the file's place must not stop us. */
    int fd = openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fstat(fd, &out->status) != 0 ? errno : S_ISREG(out->status.st_mode) ? 0 : EINVAL;
    if (error) {
        close(fd);
        return error;
    }
    out->fd = fd;
    place(out, tree, piece);
    return 0;
}

void disk_close(struct disk_piece *piece)
{
    close(piece->fd);
}

/* As pread(), but repeated until all is read or the file ends. */
static int read_all(int fd, void *buffer, uint64_t length, uint64_t offset, uint64_t *read_length)
{
    uint64_t at = 0;
    while (at < length) {
        size_t some = length - at < READ_MOST ? length - at : READ_MOST;
        ssize_t got = pread(fd, (char *)buffer + at, some, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            break;
        at += (uint64_t)got;
    }
    *read_length = at;
    return 0;
}

int disk_read(const struct disk_piece *piece, void *buffer, uint64_t *length)
{
    return read_all(piece->fd, buffer, piece->length, piece->offset, length);
}

int disk_checksum(const struct disk_piece *piece, XXH128_hash_t *checksum, uint64_t *length)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return ENOMEM;
    XXH3_128bits_reset(state);
    char chunk[CHUNK];
    uint64_t at = 0, got = 0;
    int error = 0;
    do {
        uint64_t some = piece->length - at < CHUNK ? piece->length - at : CHUNK;
        error = read_all(piece->fd, chunk, some, piece->offset + at, &got);
        if (error)
            break;
        XXH3_128bits_update(state, chunk, got);
        at += got;
    } while (got == CHUNK);
    if (!error) {
        *checksum = XXH3_128bits_digest(state);
        *length = at;
    }
    XXH3_freeState(state);
    return error;
}
