/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/settings_file.h"

#include "base/log.h"
#include "cluster/settings_value.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int settings_file_parse(const char *path, const void *bytes, size_t length, settings_file **file)
{
    settings_file *parsed = calloc(1, sizeof *parsed);
    if (!parsed)
        return log_error(BELAY_ERR_NO_MEMORY, "no memory for the configuration of %.200s", path);
    setting_quote(path, parsed->path, sizeof parsed->path);
    int result = length > SETTINGS_FILE_MAX
                     ? log_error(BELAY_ERR_CONFIG, "%.200s: larger than %d bytes, which is refused",
                                 parsed->path, SETTINGS_FILE_MAX)
                     : settings_xml_read(bytes, length, parsed);
    if (result)
        settings_file_free(parsed);
    else
        *file = parsed;
    return result;
}

/* @return the number of bytes read, up to @p size, or -1. */
static ssize_t read_whole(int fd, char *bytes, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, bytes + length, size - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

int settings_file_load(const char *path, const char *origin, settings_file **file)
{
    struct stat status;
    int result;
    /* Not blocking: opening or reading a pipe might wait for ever. Only regular files are read. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0) {
        result = log_error(BELAY_ERR_CONFIG, "%s: configuration file \"%.200s\" cannot be opened: %s", origin,
                           path, strerror(errno));
        goto close_file;
    }
    if (!S_ISREG(status.st_mode)) {
        result = log_error(BELAY_ERR_CONFIG, "%s: configuration file \"%.200s\" is not a regular file",
                           origin, path);
        goto close_file;
    }
    /* One byte more than allowed, so that a file which is too large is seen to be. */
    char *bytes = malloc(SETTINGS_FILE_MAX + 1);
    if (!bytes) {
        result = log_error(BELAY_ERR_NO_MEMORY, "no memory to read \"%.200s\"", path);
        goto close_file;
    }
    ssize_t length = read_whole(fd, bytes, SETTINGS_FILE_MAX + 1);
    if (length < 0)
        result = log_error(BELAY_ERR_CONFIG, "%s: configuration file \"%.200s\" cannot be read: %s", origin,
                           path, strerror(errno));
    else
        result = settings_file_parse(path, bytes, (size_t)length, file);
    free(bytes);
close_file:
    if (fd >= 0)
        close(fd);
    return result;
}

void settings_file_free(settings_file *file)
{
    free(file);
}

size_t settings_file_cache_count(const settings_file *file)
{
    return file ? file->cache_count : 0;
}

const char *settings_file_cache_name(const settings_file *file, size_t index)
{
    return file->caches[index].name;
}

void settings_format_place(const char *path, uint32_t line, uint32_t column, char place[SETTINGS_PLACE_SIZE])
{
    enum { SHOWN = 120 };
    size_t length = strlen(path);
    size_t skipped = length > SHOWN ? length - SHOWN : 0;
    snprintf(place, SETTINGS_PLACE_SIZE, "%s%.*s:%u:%u", skipped ? "..." : "", SHOWN, path + skipped, line,
             column);
}

const struct cache_settings *settings_file_find(const settings_file *file, const char *name)
{
    for (size_t i = 0; i < settings_file_cache_count(file); ++i)
        if (strcmp(file->caches[i].name, name) == 0)
            return &file->caches[i];
    return NULL;
}
