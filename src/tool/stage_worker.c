/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_worker.h"

#include "base/clock.h"
#include "tool/message.h"
#include "tool/stage_disk.h"
#include "tool/stage_key.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLAINTS_MOST = 20, BUFFER_LEAST = 64 * 1024, PAUSE_SECONDS = 1 };
#define NOT_CONTENT UINT64_MAX

/* Tell about one piece; the first ones only, as all files may have the same trouble. */
static void complain(const struct stage_worker *worker, uint32_t piece, const char *what)
{
    static atomic_uint told;
    unsigned number = atomic_fetch_add(&told, 1);
    if (number > COMPLAINTS_MOST)
        return;
    if (number == COMPLAINTS_MOST) {
        message("and more files that are not listed");
        return;
    }
    const struct tree_piece *p = &worker->tree->pieces[piece];
    const struct tree_file *file = &worker->tree->files[p->file];
    char name[1024];
    printable(worker->tree->names + file->name_at, file->name_length, name, sizeof name);
    if (p->part > 0)
        message("%s: %s, part %u: %s", worker->mode, name, p->part + 1, what);
    else
        message("%s: %s: %s", worker->mode, name, what);
}

static int make_room(struct stage_worker *worker, size_t length)
{
    if (length <= worker->room && worker->buffer)
        return BELAY_OK;
    size_t room = worker->room * 2 > length ? worker->room * 2 : length;
    if (room < BUFFER_LEAST)
        room = BUFFER_LEAST;
    free(worker->buffer); /* nothing in it is needed */
    worker->room = 0;
    worker->buffer = malloc(room);
    if (!worker->buffer) {
        message("no memory for a buffer of %zu bytes; --part-size makes it smaller", room);
        return BELAY_ERR_NO_MEMORY;
    }
    worker->room = room;
    return BELAY_OK;
}

void worker_release(struct stage_worker *worker)
{
    free(worker->buffer);
    worker->buffer = NULL;
    worker->room = 0;
}

static void make_keys(const struct stage_worker *worker, uint32_t piece, struct stage_key *content,
                      struct stage_key *about)
{
    const struct tree_piece *p = &worker->tree->pieces[piece];
    const struct tree_file *file = &worker->tree->files[p->file];
    const char *name = worker->tree->names + file->name_at;
    stage_key_content(content, name, file->name_length, p->part);
    stage_key_about(about, name, file->name_length, p->part);
}

static int failed(int result, const char *call)
{
    message("%s: %s", call, belay_last_error()[0] ? belay_last_error() : belay_strerror(result));
    return result;
}

/* ---- Timing ---- */

/* Did a change of views make this call wait? */
static void note_pause(struct stage_worker *worker, uint64_t begun, uint64_t ended)
{
    int view = belay_view_number(worker->node);
    if (view != worker->view.number)
        worker->view = (struct stage_view){view, ended + PAUSE_SECONDS * 1000 * NANOSECONDS_PER_MS};
    if (begun < worker->view.change_until && ended - begun > worker->tally.pause)
        worker->tally.pause = ended - begun;
}

/* Account for a call that ends now, which moved @p bytes of content: NOT_CONTENT for what belongs to it. */
static void note_call(struct stage_worker *worker, struct stage_timing *timing, uint64_t begun,
                      uint64_t bytes)
{
    uint64_t ended = clock_now();
    timing->in_cache += ended - begun;
    if (bytes != NOT_CONTENT) {
        timing->bytes += bytes;
        latency_record(&timing->latency, ended - begun);
    }
    note_pause(worker, begun, ended);
}

/* ---- Putting ---- */

static int timed_put(struct stage_worker *worker, const struct stage_key *key, const void *value,
                     size_t length, bool content)
{
    uint64_t begun = clock_now();
    int result = belay_put(worker->cache, key->bytes, key->length, value, length, NULL);
    note_call(worker, &worker->tally.put, begun, content ? length : NOT_CONTENT);
    return result == BELAY_OK ? BELAY_OK : failed(result, "put");
}

/* Read the piece into the buffer. @param[out] error an errno: the piece cannot be read. */
static int read_piece(struct stage_worker *worker, uint32_t piece, struct stage_about *about, int *error)
{
    struct disk_piece disk;
    *error = disk_open(worker->directory, worker->tree, piece, &disk);
    if (*error)
        return BELAY_OK;
    int result = make_room(worker, disk.length);
    if (result == BELAY_OK)
        *error = disk_read(&disk, worker->buffer, &about->length);
    about->file_size = (uint64_t)disk.status.st_size;
    about->modified = disk.status.st_mtim.tv_sec;
    about->mode = disk.status.st_mode;
    disk_close(&disk);
    return result;
}

int worker_put(struct stage_worker *worker, uint32_t piece)
{
    struct stage_key content, about_key;
    struct stage_about about = {.staged_by = worker->rank, .part = worker->tree->pieces[piece].part};
    make_keys(worker, piece, &content, &about_key);

    int result = read_piece(worker, piece, &about, &about.error);
    if (result == BELAY_OK && about.error) {
        ++worker->found.unreadable;
        complain(worker, piece, strerror(about.error));
    } else if (result == BELAY_OK) {
        XXH128_canonicalFromHash((XXH128_canonical_t *)about.checksum,
                                 XXH3_128bits(worker->buffer, about.length));
        result = timed_put(worker, &content, worker->buffer, about.length, true);
        worker->found.files += about.part == 0;
        worker->found.bytes += about.length;
    }
    /* Last, so that where there is an about there is the content. */
    return result == BELAY_OK ? timed_put(worker, &about_key, &about, sizeof about, false) : result;
}

/* ---- Checking ---- */

static int timed_get(struct stage_worker *worker, const struct stage_key *key, void *value, size_t room,
                     size_t *length, bool content)
{
    uint64_t begun = clock_now();
    int result = belay_get(worker->cache, key->bytes, key->length, value, room, length);
    note_call(worker, &worker->tally.get, begun, !content ? NOT_CONTENT : result == BELAY_OK ? *length : 0);
    return result;
}

/* What a get said: tally a lost or overlong value. @return true if there is a value to compare; else *result
 * says whether it makes sense to go on. */
static bool has_value(struct stage_worker *worker, uint32_t piece, int *result)
{
    switch (*result) {
    case BELAY_OK: return true;
    case BELAY_ERR_NOT_FOUND:
    case BELAY_ERR_PARTITION_LOST:
        ++worker->found.lost;
        complain(worker, piece, "lost");
        *result = BELAY_OK;
        return false;
    case BELAY_ERR_TRUNCATED:
        ++worker->found.differing;
        complain(worker, piece, "is longer in the cache than it was staged");
        *result = BELAY_OK;
        return false;
    default: failed(*result, "get"); return false;
    }
}

/* Whether the piece on disk is still as it was staged. */
static bool same_on_disk(const struct stage_worker *worker, uint32_t piece, const struct stage_about *about,
                         bool *touched)
{
    const struct tree_file *file = &worker->tree->files[worker->tree->pieces[piece].file];
    struct disk_piece disk;
    XXH128_hash_t checksum;
    uint64_t length;
    *touched = true;
    if (disk_open(worker->directory, worker->tree, piece, &disk) != 0)
        return false;
    int error = disk_checksum(&disk, &checksum, &length);
    *touched = error || (uint64_t)disk.status.st_size != file->size ||
               tree_time_changed(&disk.status) != file->changed;
    uint64_t size = (uint64_t)disk.status.st_size;
    disk_close(&disk);
    return !error && length == about->length && (!disk.last || size == disk.offset + length) &&
           XXH128_isEqual(checksum, XXH128_hashFromCanonical((const XXH128_canonical_t *)about->checksum));
}

static void compare(struct stage_worker *worker, uint32_t piece, const struct stage_about *about,
                    size_t length)
{
    struct stage_found *found = &worker->found;
    XXH128_hash_t staged = XXH128_hashFromCanonical((const XXH128_canonical_t *)about->checksum);
    bool touched;
    if (length != about->length || !XXH128_isEqual(staged, XXH3_128bits(worker->buffer, length))) {
        ++found->differing;
        complain(worker, piece, "differs from what was staged");
    } else if (same_on_disk(worker, piece, about, &touched)) {
        ++found->intact;
    } else if (touched) {
        ++found->changed;
        complain(worker, piece, "has changed on disk since the job began");
    } else { /* content and about agree with each other, but with nothing that was ever on disk */
        ++found->differing;
        complain(worker, piece, "differs from the file on disk, which has not changed");
    }
}

int worker_check(struct stage_worker *worker, uint32_t piece)
{
    struct stage_key content, about_key;
    struct stage_about about;
    size_t length = 0;
    make_keys(worker, piece, &content, &about_key);

    int result = timed_get(worker, &about_key, &about, sizeof about, &length, false);
    if (!has_value(worker, piece, &result))
        return result;
    if (length != sizeof about || about.length > worker->tree->piece_size) {
        ++worker->found.differing;
        complain(worker, piece, "what the cache knows about it is damaged");
        return BELAY_OK;
    }
    if (about.error)
        return BELAY_OK; /* tallied by who tried to read it */
    result = make_room(worker, about.length);
    if (result != BELAY_OK)
        return result;
    result = timed_get(worker, &content, worker->buffer, about.length, &length, true);
    if (!has_value(worker, piece, &result))
        return result;
    worker->found.files += about.part == 0;
    worker->found.bytes += length;
    compare(worker, piece, &about, length);
    return BELAY_OK;
}
