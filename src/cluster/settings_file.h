/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration file as its reader leaves it, and the reader. */
#ifndef BELAY_SETTINGS_FILE_H
#define BELAY_SETTINGS_FILE_H

#include "cluster/settings.h"

/* Values are those whose origin is set; all others are absent from the file. Every cache has a name, no two the same. */
struct settings_file {
    char path[SETTINGS_PATH_MAX + 1];
    struct node_settings node;
    size_t cache_count;
    struct cache_settings caches[BELAY_CACHES_MAX];
};

/* Fill @p file, whose path is set, from XML. After an error its content is unspecified. */
int settings_xml_read(const char *bytes, size_t length, settings_file *file);

enum { SETTINGS_PLACE_SIZE = 160 };

/* "path:line:column"; of a long path its end. */
void settings_format_place(const char *path, uint32_t line, uint32_t column, char place[SETTINGS_PLACE_SIZE]);

/* @return NULL if the file (may be NULL) does not have it. */
const struct cache_settings *settings_file_find(const settings_file *file, const char *name);

#endif
