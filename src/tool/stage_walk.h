/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the regular files of a directory tree, directory by directory, without following symlinks. */
#ifndef BELAY_TOOL_STAGE_WALK_H
#define BELAY_TOOL_STAGE_WALK_H

#include "tool/stage_tree.h"

/**
 * Add the regular files below @p directory to @p tree, which is empty, as long as they fit in @p limit bytes;
 * count the rest as skipped. Errors, told on standard error: INVALID (no directory that can be read),
 * NO_MEMORY, SYSTEM.
 */
int stage_walk(const char *directory, uint64_t limit, struct stage_tree *tree);

#endif
