/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_walk.h"

#include "belay.h"
#include "tool/message.h"
#include "tool/stage_key.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct stage_tree *tree;
    uint64_t limit;
    size_t directory_length;
};

static int add_file(struct walk *walk, const FTSENT *entry)
{
    struct tree_skipped *skipped = &walk->tree->skipped;
    const char *name = entry->fts_path + walk->directory_length;
    size_t length = entry->fts_pathlen - walk->directory_length;
    while (*name == '/') {
        ++name;
        --length;
    }
    if (length > STAGE_NAME_MAX) {
        ++skipped->long_names;
    } else if (faccessat(AT_FDCWD, entry->fts_accpath, R_OK, AT_EACCESS) != 0) {
        ++skipped->unreadable;
    } else if ((uint64_t)entry->fts_statp->st_size > walk->limit - walk->tree->bytes) {
        ++skipped->over_limit;
    } else {
        return tree_add(walk->tree, name, length, entry->fts_statp);
    }
    return BELAY_OK;
}

static int visit(struct walk *walk, const FTSENT *entry)
{
    struct tree_skipped *skipped = &walk->tree->skipped;
    switch (entry->fts_info) {
    case FTS_F: return add_file(walk, entry);
    case FTS_SL:
    case FTS_SLNONE: ++skipped->symlinks; break;
    case FTS_DEFAULT: ++skipped->special; break;
    case FTS_DNR: /* a directory that cannot be opened */
    case FTS_NS:
    case FTS_ERR:
        if (entry->fts_level == FTS_ROOTLEVEL) {
            message("%s: %s", entry->fts_path, strerror(entry->fts_errno));
            return BELAY_ERR_INVALID;
        }
        if (entry->fts_errno == ENAMETOOLONG)
            ++skipped->long_names;
        else
            ++skipped->unreadable;
        break;
    default: break; /* directories, before and after their files */
    }
    return BELAY_OK;
}

static int walk_all(FTS *stream, struct walk *walk)
{
    for (;;) {
        errno = 0;
        const FTSENT *entry = fts_read(stream);
        if (!entry && errno != 0) {
            message("reading the directory tree: %s", strerror(errno));
            return errno == ENOMEM ? BELAY_ERR_NO_MEMORY : BELAY_ERR_SYSTEM;
        }
        if (!entry)
            return BELAY_OK;
        int result = visit(walk, entry);
        if (result != BELAY_OK)
            return result;
    }
}

int stage_walk(const char *directory, uint64_t limit, struct stage_tree *tree)
{
    struct stat status;
    int error = stat(directory, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error) {
        message("%s: %s", directory, strerror(error));
        return BELAY_ERR_INVALID;
    }
    char *const roots[] = {(char *)(uintptr_t)directory, NULL};
    /* Without FTS_NOCHDIR the working directory would change under the other threads; COMFOLLOW: DIR may be a
     * symlink. */
    FTS *stream = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    if (!stream) {
        message("%s: %s", directory, strerror(errno));
        return BELAY_ERR_SYSTEM;
    }
    struct walk walk = {.tree = tree, .limit = limit, .directory_length = strlen(directory)};
    int result = walk_all(stream, &walk);
    fts_close(stream);
    return result;
}
