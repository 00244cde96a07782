/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_tree.h"

#include "belay.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_PIECES = 64,
    BATCH_BYTES = 1 << 20,
    MESSAGE_BYTES = 1 << 30 /* of one broadcast: MPI counts with an int */
};

/* Make room for @p wanted elements, at least doubling. */
static int reserve(void **elements, uint64_t *room, uint64_t wanted, size_t element)
{
    if (wanted <= *room)
        return BELAY_OK;
    uint64_t larger = *room * 2 > wanted ? *room * 2 : wanted;
    void *moved = reallocarray(*elements, larger, element);
    if (!moved)
        return BELAY_ERR_NO_MEMORY;
    *elements = moved;
    *room = larger;
    return BELAY_OK;
}

int64_t tree_time_changed(const struct stat *status)
{
    return (int64_t)status->st_ctim.tv_sec * 1000000000 + status->st_ctim.tv_nsec;
}

int tree_add(struct stage_tree *tree, const char *name, size_t name_length, const struct stat *status)
{
    if (tree->file_count == UINT32_MAX)
        return BELAY_ERR_NO_MEMORY;
    int result = reserve((void **)&tree->files, &tree->file_room, tree->file_count + 1, sizeof *tree->files);
    if (result == BELAY_OK)
        result = reserve((void **)&tree->names, &tree->names_room, tree->names_length + name_length, 1);
    if (result != BELAY_OK)
        return result;
    tree->files[tree->file_count++] = (struct tree_file){.size = (uint64_t)status->st_size,
                                                         .changed = tree_time_changed(status),
                                                         .name_at = tree->names_length,
                                                         .name_length = (uint32_t)name_length};
    memcpy(tree->names + tree->names_length, name, name_length);
    tree->names_length += name_length;
    tree->bytes += (uint64_t)status->st_size;
    return BELAY_OK;
}

static uint64_t pieces_of(const struct tree_file *file, uint64_t piece_size)
{
    return file->size == 0 ? 1 : (file->size - 1) / piece_size + 1;
}

static void cut_pieces(struct stage_tree *tree)
{
    uint64_t at = 0;
    for (uint32_t f = 0; f < tree->file_count; ++f) {
        struct tree_file *file = &tree->files[f];
        uint64_t parts = pieces_of(file, tree->piece_size);
        file->first_piece = (uint32_t)at;
        for (uint32_t part = 0; part < parts; ++part) {
            uint64_t left = file->size - part * tree->piece_size;
            uint64_t length = left < tree->piece_size ? left : tree->piece_size;
            tree->pieces[at++] = (struct tree_piece){.file = f, .part = part, .length = length};
            if (length > tree->longest_piece)
                tree->longest_piece = length;
        }
    }
}

static void cut_batches(struct stage_tree *tree)
{
    uint64_t bytes = 0;
    struct tree_batch *batch = NULL;
    for (uint32_t p = 0; p < tree->piece_count; ++p) {
        if (!batch || batch->count == BATCH_PIECES || bytes + tree->pieces[p].length > BATCH_BYTES) {
            batch = &tree->batches[tree->batch_count++];
            *batch = (struct tree_batch){.first = p};
            bytes = 0;
        }
        ++batch->count;
        bytes += tree->pieces[p].length;
    }
}

int tree_cut(struct stage_tree *tree, uint64_t piece_size)
{
    uint64_t pieces = 0;
    for (uint64_t f = 0; f < tree->file_count; ++f)
        pieces += pieces_of(&tree->files[f], piece_size);
    if (pieces > UINT32_MAX)
        return BELAY_ERR_NO_MEMORY;
    tree->pieces = calloc(pieces + 1, sizeof *tree->pieces);
    tree->batches = calloc(pieces + 1, sizeof *tree->batches);
    if (!tree->pieces || !tree->batches)
        return BELAY_ERR_NO_MEMORY; /* tree_free() has the rest */
    tree->piece_size = piece_size;
    tree->piece_count = pieces;
    cut_pieces(tree);
    cut_batches(tree);
    return BELAY_OK;
}

static int broadcast(void *bytes, uint64_t length, MPI_Comm communicator)
{
    for (uint64_t at = 0; at < length; at += MESSAGE_BYTES) {
        uint64_t part = length - at < MESSAGE_BYTES ? length - at : MESSAGE_BYTES;
        if (MPI_Bcast((char *)bytes + at, (int)part, MPI_BYTE, 0, communicator) != MPI_SUCCESS)
            return BELAY_ERR_MPI;
    }
    return BELAY_OK;
}

int tree_share(struct stage_tree *tree, MPI_Comm communicator)
{
    int rank;
    struct stage_tree walked = *tree; /* of the first rank; its pointers mean nothing elsewhere */
    if (MPI_Comm_rank(communicator, &rank) != MPI_SUCCESS ||
        broadcast(&walked, sizeof walked, communicator) != BELAY_OK)
        return BELAY_ERR_MPI;
    if (rank != 0) {
        *tree = walked;
        tree->pieces = NULL;
        tree->batches = NULL;
        tree->files = calloc(walked.file_count + 1, sizeof *tree->files);
        tree->names = malloc(walked.names_length + 1);
    }
    int room = rank == 0 || (tree->files && tree->names), room_everywhere;
    if (MPI_Allreduce(&room, &room_everywhere, 1, MPI_INT, MPI_MIN, communicator) != MPI_SUCCESS)
        return BELAY_ERR_MPI;
    if (!room_everywhere)
        return BELAY_ERR_NO_MEMORY;
    int result = broadcast(tree->files, tree->file_count * sizeof *tree->files, communicator);
    return result == BELAY_OK ? broadcast(tree->names, tree->names_length, communicator) : result;
}

void tree_free(struct stage_tree *tree)
{
    free(tree->files);
    free(tree->names);
    free(tree->pieces);
    free(tree->batches);
    *tree = (struct stage_tree){0};
}

const char *tree_path(const struct stage_tree *tree, const struct tree_file *file, char *path)
{
    memcpy(path, tree->names + file->name_at, file->name_length);
    path[file->name_length] = '\0';
    return path;
}
