/* SPDX-License-Identifier: BSD-3-Clause */
/* The vocabulary: every setting with its names, its type, what is allowed, its default and its place in memory. */
#ifndef BELAY_SETTINGS_TABLE_H
#define BELAY_SETTINGS_TABLE_H

#include "cluster/settings.h"

enum setting_type {
    SETTING_WORD,         /* one of `words`, in any case, with - or _ */
    SETTING_NUMBER,       /* decimal digits */
    SETTING_SIZE,         /* digits and perhaps K, M, G or T: bytes */
    SETTING_MILLISECONDS, /* digits and perhaps ms or s */
    SETTING_TEXT          /* printable bytes, `minimum` to `maximum` of them */
};

struct setting_word {
    const char *word;
    uint32_t value; /* 0: a word of Apache Ignite for something that Belay does not have */
};

struct setting {
    const char *name;     /* in the struct of belay.h */
    const char *property; /* in the file; NULL: not there */
    const char *variable; /* in the environment; NULL: not there */
    enum setting_type type;
    bool power_of_two;
    bool equal;                       /* must be equal on all nodes */
    const struct setting_word *words; /* up to one without a word */
    uint64_t minimum, maximum;
    const char *automatic; /* the word for 0 or "", when that is not a value like others; else NULL */
    uint64_t initial;      /* the default; of texts always "" */
    size_t config_offset, config_width; /* in the struct of belay.h: 4 or 8 bytes, or a pointer */
    size_t offset, width;               /* in the resolved settings: 4 or 8 bytes, or an array */
    const char *meaning;
};

struct settings_table {
    const char *config_name; /* the struct of belay.h */
    const struct setting *settings;
    size_t count;
    size_t origins_offset; /* in the resolved settings */
};

extern const struct settings_table settings_node_table;
extern const struct settings_table settings_cache_table;

const struct setting *settings_table_find(const struct settings_table *table,
                                          const char *property); /* or NULL */

/* What to do instead of a property that Apache Ignite has and Belay does not; NULL if it is not a known one. */
const char *settings_table_advice(const char *property);

/* The origins within resolved settings, to read and to write. */
static inline const struct settings_origin *settings_origins(const struct settings_table *table,
                                                             const void *settings)
{
    return (const struct settings_origin *)((const char *)settings + table->origins_offset);
}

static inline void settings_set_origin(const struct settings_table *table, size_t index,
                                       const struct settings_origin *origin, void *settings)
{
    ((struct settings_origin *)((char *)settings + table->origins_offset))[index] = *origin;
}

#endif
