/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file settings.h
 * What a node and its caches run with: one vocabulary in three places.
 *
 * Every setting has a name in the struct of belay.h (segment_size), a property in the XML file (segmentSize) and an
 * environment variable (BELAY_SEGMENT_SIZE). For each setting by itself the environment wins over the struct, the
 * struct (where it is not zero) over the file, the file over the default. An empty variable counts as unset. All of
 * it is one table, in settings_table.c; doc/configuration.md is checked against it.
 *
 * Resolved settings remember where every value came from. They are plain data of fixed size without pointers, so that
 * nodes can send them to each other as they are, in host order; what a peer sent is checked before it is believed.
 *
 * Threads: every call may be made by any thread (none changes shared state).
 * Errors are logged where they are found, with field, value, origin and what is allowed.
 */
#ifndef BELAY_SETTINGS_H
#define BELAY_SETTINGS_H

#include "belay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SETTINGS_DEVICE_MAX = 63, SETTINGS_PATH_MAX = 1023 };

enum settings_source {
    SETTINGS_UNSET,
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_STRUCT,
    SETTINGS_ENVIRONMENT,
    SETTINGS_SOURCES
};

struct settings_origin {
    uint32_t source;       /* enum settings_source */
    uint32_t line, column; /* in the file, from 1; 0 for other sources */
};

enum node_setting {
    NODE_ROLE,
    NODE_TRANSPORT,
    NODE_PROGRESS,
    NODE_ARENA_SIZE,
    NODE_SEGMENT_SIZE,
    NODE_OPERATION_TIMEOUT_MS,
    NODE_FAILURE_TIMEOUT_MS,
    NODE_PROGRESS_CORE,
    NODE_DEVICE,
    NODE_JOIN_ROOM,
    NODE_ADDRESS_FILE,
    NODE_CONFIG_FILE,
    NODE_SETTINGS
};

/* Fields are named as in belay_config. Enumerations are never _DEFAULT here. */
struct node_settings {
    uint64_t arena_size;   /* bytes; 0: chosen by the node from the memory of its host */
    uint64_t segment_size; /* bytes */
    uint32_t role;         /* belay_role */
    uint32_t transport;    /* belay_transport */
    uint32_t progress;     /* belay_progress_mode */
    uint32_t operation_timeout_ms;
    uint32_t failure_timeout_ms;
    uint32_t join_room;                       /* 0: by the address file */
    uint32_t progress_core;                   /* 0: chosen by hwloc; n > 0: logical core n - 1 */
    char device[SETTINGS_DEVICE_MAX + 1];     /* "": the first that passes a test */
    char address_file[SETTINGS_PATH_MAX + 1]; /* "": none */
    char config_file[SETTINGS_PATH_MAX + 1];  /* "": none */
    uint32_t reserved;
    struct settings_origin origins[NODE_SETTINGS];
};
_Static_assert(sizeof(struct node_settings) == 2 * 8 + 8 * 4 + 64 + 2 * 1024 + NODE_SETTINGS * 12,
               "sent: no padding");

enum cache_setting {
    CACHE_NAME,
    CACHE_MODE,
    CACHE_BACKUPS,
    CACHE_WRITE_SYNCHRONIZATION_MODE,
    CACHE_ATOMICITY_MODE,
    CACHE_PARTITION_LOSS_POLICY,
    CACHE_PARTITIONS,
    CACHE_READ_FROM_BACKUP,
    CACHE_NEAR_CACHE_SIZE,
    CACHE_EXPIRY_POLICY,
    CACHE_TIME_TO_LIVE_MS,
    CACHE_EVICTION_POLICY,
    CACHE_SETTINGS
};

/* Fields are named as in belay_cache_config. Enumerations are never _DEFAULT here. */
struct cache_settings {
    char name[BELAY_CACHE_NAME_MAX + 1]; /* zeroes behind its end */
    uint64_t time_to_live_ms;            /* 0: for ever */
    uint32_t cache_mode;                 /* belay_cache_mode */
    uint32_t backups;                    /* as configured: the number of servers is not considered here */
    uint32_t write_synchronization_mode; /* belay_sync */
    uint32_t atomicity_mode;             /* belay_atomicity */
    uint32_t partition_loss_policy;      /* belay_loss_policy */
    uint32_t partitions;
    uint32_t read_from_backup; /* belay_switch */
    uint32_t expiry_policy;    /* belay_expiry */
    uint32_t eviction_policy;  /* belay_eviction */
    uint32_t reserved;
    uint64_t near_cache_size; /* bytes; 0: none */
    struct settings_origin origins[CACHE_SETTINGS];
};
_Static_assert(sizeof(struct cache_settings) == 64 + 8 + 10 * 4 + 8 + CACHE_SETTINGS * 12,
               "sent: no padding");

/* ---- The configuration file ---------------------------------------------------------------------------------- */

/* A configuration file that was read and found good; immutable. */
typedef struct settings_file settings_file;

enum { SETTINGS_FILE_MAX = 1024 * 1024 }; /* bytes of the largest file that is accepted */

/* Read an XML file (see settings_xml.c for its form). @p origin tells in messages who named the file. Errors: CONFIG,
 * NOT_SUPPORTED (a value that Apache Ignite knows and Belay does not have), NO_MEMORY. */
int settings_file_load(const char *path, const char *origin, settings_file **file);

/* The same for bytes in memory; @p path is used in messages. */
int settings_file_parse(const char *path, const void *bytes, size_t length, settings_file **file);

void settings_file_free(settings_file *file); /* may be NULL */

size_t settings_file_cache_count(const settings_file *file); /* 0 for NULL */
const char *settings_file_cache_name(const settings_file *file, size_t index);

/* ---- Resolving ----------------------------------------------------------------------------------------------- */

/**
 * Settle every setting of this node.
 * @param config NULL for all defaults.
 * @param[out] file the configuration file, for settings_resolve_cache(); NULL if none is configured. To be freed.
 * Errors: CONFIG, NOT_SUPPORTED, NO_MEMORY.
 */
int settings_resolve_node(const belay_config *config, struct node_settings *out, settings_file **file);

/**
 * Settle every setting of the cache config->name. What the struct leaves zero is looked up in @p file (may be NULL)
 * under that name; a file without the name is fine.
 * Errors: INVALID (config is NULL), CONFIG.
 */
int settings_resolve_cache(const belay_cache_config *config, const settings_file *file,
                           struct cache_settings *out);

/* ---- Settings of other nodes --------------------------------------------------------------------------------- */

/* Whether settings received from a peer are ones that the resolve calls could have made. BELAY_ERR_PROTOCOL names the
 * field. Nothing is known about @p settings before, not even that its strings end. */
int settings_check_node(const struct node_settings *settings);
int settings_check_cache(const struct cache_settings *settings);

struct settings_difference {
    const char *field;          /* name in the struct; constant */
    char left[288], right[288]; /* the values as text, and in brackets where they came from */
};

/* Compare what must be equal on all nodes: for caches everything, for nodes the settings marked so in the table.
 * Both must have been checked.
 * @param[out] difference the first one; may be NULL; set only with BELAY_ERR_MISMATCH, which is not logged: the
 * caller knows the nodes. */
int settings_compare_node(const struct node_settings *left, const struct node_settings *right,
                          struct settings_difference *difference);
int settings_compare_cache(const struct cache_settings *left, const struct cache_settings *right,
                           struct settings_difference *difference);

/* ---- Showing them -------------------------------------------------------------------------------------------- */

/* One setting as text; the strings are valid during the visit only. */
struct settings_entry {
    const char *name;     /* in the struct of belay.h */
    const char *property; /* in the XML file; "" if it cannot be there */
    const char *variable; /* in the environment; "" if it cannot be there */
    const char *value;    /* resolved, as it would be written in the file */
    const char
        *origin; /* "default", "job.xml:12:9", "belay_config.role", "environment variable BELAY_ROLE" */
    const char *initial; /* the default, as text */
    const char *allowed; /* "server, client"; "a number from 0 to 15" */
    const char *meaning; /* one line */
    bool equal;          /* must be equal on all nodes */
};

typedef void (*settings_visitor)(const struct settings_entry *entry, void *context);

/* Visit every setting in the order of the table. @p settings NULL: the defaults. @p file names the file of values
 * that came from one; may be NULL. */
void settings_each_node(const struct node_settings *settings, settings_visitor visit, void *context);
void settings_each_cache(const struct cache_settings *settings, const char *file, settings_visitor visit,
                         void *context);

/* A table for people, one line per setting: name, value, origin. */
void settings_print_node(FILE *stream, const struct node_settings *settings);
void settings_print_cache(FILE *stream, const struct cache_settings *settings, const char *file);

#endif
