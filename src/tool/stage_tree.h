/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file stage_tree.h
 * The list of files to stage, equal on all ranks: the first rank walks the directory, the others get its
 * list.
 *
 * A file is staged in *pieces*: one, unless it is larger than a value may be. Consecutive pieces form
 * *batches*, which ranks claim: enough bytes that claims cost little, few enough that all ranks end together.
 */
#ifndef BELAY_TOOL_STAGE_TREE_H
#define BELAY_TOOL_STAGE_TREE_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct tree_file {
    uint64_t size;    /* when walked */
    int64_t changed;  /* st_ctim in nanoseconds, when walked */
    uint64_t name_at; /* offset in names: the path relative to the directory */
    uint32_t name_length;
    uint32_t first_piece;
};

struct tree_piece {
    uint32_t file;
    uint32_t part;   /* of the file, from 0 */
    uint64_t length; /* when walked; it starts at part * piece_size */
};

struct tree_batch {
    uint32_t first, count; /* pieces */
};

/* Files that are not staged. */
struct tree_skipped {
    uint64_t symlinks;
    uint64_t special;    /* devices, sockets, pipes */
    uint64_t unreadable; /* files and directories */
    uint64_t long_names; /* paths that do not fit in a key */
    uint64_t over_limit; /* left out by --limit */
};

struct stage_tree {
    struct tree_file *files;
    char *names; /* without ends */
    struct tree_piece *pieces;
    struct tree_batch *batches;
    uint64_t file_count, names_length, piece_count, batch_count;
    uint64_t file_room, names_room; /* allocated, while walking */
    uint64_t bytes, longest_piece, piece_size;
    struct tree_skipped skipped;
};

/* st_ctim as one number: differs when a file has been written. */
int64_t tree_time_changed(const struct stat *status);

/* Add a file. @return BELAY_OK or BELAY_ERR_NO_MEMORY. */
int tree_add(struct stage_tree *tree, const char *name, size_t name_length, const struct stat *status);

/* Cut the files into pieces of at most @p piece_size bytes, and these into batches. NO_MEMORY. */
int tree_cut(struct stage_tree *tree, uint64_t piece_size);

/* Send the first rank's files and counts to all. Collective; OK, NO_MEMORY or MPI, the same
 * on every rank. */
int tree_share(struct stage_tree *tree, MPI_Comm communicator);

void tree_free(struct stage_tree *tree);

/* The file's path relative to the directory, in a buffer of PATH_MAX bytes with an end. @return @p path. */
const char *tree_path(const struct stage_tree *tree, const struct tree_file *file, char *path);

#endif
