/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much arena a tree needs. Every piece and what is known about it is an entry on 1 + backups nodes;
 * partitions are dealt out by hash, so nodes get unequal shares, more so with large files.
 */
#include "tool/message.h"
#include "tool/quantity.h"
#include "tool/stage.h"
#include "tool/stage_key.h"

#include <stdlib.h>

enum {
    MIB = 1 << 20,
    BYTES_PER_PARTITION = 4 * MIB,
    PARTITIONS_LEAST = 32,
    PARTITIONS_MOST = 1024,
    ENTRY_OVERHEAD = 128, /* header, padding, slot */
    SEGMENT_DEFAULT = 64 << 10,
    SEGMENTS_PER_COPY = 4, /* that are not full: log, index, what was just let go */
    STAGING = 32 * MIB     /* buffers for one-sided reads and large values, the board */
};

static uint64_t segment_size(void)
{
    uint64_t size;
    const char *text = getenv("BELAY_SEGMENT_SIZE");
    return text && quantity_parse_size(text, &size) && size <= 4 * MIB ? size : SEGMENT_DEFAULT;
}

unsigned stage_partitions(const struct stage *stage)
{
    unsigned partitions = PARTITIONS_LEAST;
    while (partitions < PARTITIONS_MOST && (uint64_t)partitions * BYTES_PER_PARTITION < stage->tree.bytes)
        partitions *= 2;
    return partitions;
}

static unsigned passes(const struct stage *stage)
{
    return (unsigned)__builtin_popcount(stage->options.modes);
}

uint64_t stage_arena_size(const struct stage *stage)
{
    const struct stage_tree *tree = &stage->tree;
    unsigned copies = stage->options.backups + 1 < stage->ranks ? stage->options.backups + 1 : stage->ranks;
    uint64_t entries = tree->bytes + 2 * tree->names_length +
                       tree->piece_count * (2 * ENTRY_OVERHEAD + sizeof(struct stage_about));
    uint64_t segments = (uint64_t)stage_partitions(stage) * passes(stage) * SEGMENTS_PER_COPY *
                        segment_size();
    unsigned holders = stage->ranks > copies ? stage->ranks - 1 : copies; /* one may be lost */
    uint64_t share = (entries + segments) * copies / holders;
    if (holders > copies)
        share += share / 3; /* as dealt out by hash */
    uint64_t need = share + share / 8 + 2 * tree->longest_piece + STAGING;
    return (need / MIB + 1) * MIB;
}

void stage_explain_no_space(const struct stage *stage)
{
    char now[QUANTITY_TEXT], more[QUANTITY_TEXT], tree[QUANTITY_TEXT];
    const char *set = getenv("BELAY_ARENA_SIZE");
    uint64_t used = stage->arena_size;
    if (!set || !quantity_parse_size(set, &used))
        used = stage->arena_size;
    uint64_t advised = used < stage->arena_size ? stage->arena_size : used + used / 2;
    message("the arena of a node is full: %s MB in %llu files, %u backups, %u ranks; each rank has %s. Set "
            "BELAY_ARENA_SIZE=%s, or stage less (--limit), or use more ranks on more hosts",
            quantity_megabytes(stage->tree.bytes, tree), (unsigned long long)stage->tree.file_count,
            stage->options.backups, stage->ranks, quantity_binary(used, now),
            quantity_binary(advised / MIB * MIB, more));
}
