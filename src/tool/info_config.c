/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings that a program would get here, by the library's own reading of them. */
#include "base/log.h"
#include "cluster/settings.h"
#include "tool/command.h"
#include "tool/info.h"
#include "tool/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_VARIABLE "BELAY_LOG"

static int print_cache(const char *name, const settings_file *file, const char *path)
{
    const belay_cache_config config = {.name = name};
    struct cache_settings settings;
    if (settings_resolve_cache(&config, file, &settings) != BELAY_OK)
        return EXIT_DIFFERS;
    printf("\ncache \"%s\"\n", name);
    settings_print_cache(stdout, &settings, path);
    return EXIT_INTACT;
}

/* What a cache that nobody has configured gets: all but its name. */
static void print_setting(const struct settings_entry *entry, void *context)
{
    (void)context;
    if (strcmp(entry->name, "name") != 0)
        printf("%-28s %-16s %s\n", entry->name, entry->value, entry->origin);
}

static int print_any_cache(void)
{
    const belay_cache_config config = {.name = "any"};
    struct cache_settings settings;
    if (settings_resolve_cache(&config, NULL, &settings) != BELAY_OK)
        return EXIT_DIFFERS;
    printf("\nany cache, unless the program or the file says otherwise\n");
    settings_each_cache(&settings, NULL, print_setting, NULL);
    return EXIT_INTACT;
}

static int print_caches(const settings_file *file, const char *path)
{
    int status = print_any_cache();
    for (size_t i = 0; status == EXIT_INTACT && i < settings_file_cache_count(file); ++i)
        status = print_cache(settings_file_cache_name(file, i), file, path);
    return status;
}

/* ---- Variables ---- */

/* Whether a setting is read from the variable, which is the part of @p text before its '='. */
struct search {
    const char *text;
    bool found;
};

static bool names(const char *text, const char *variable)
{
    size_t length = strlen(variable);
    return length > 0 && strncmp(text, variable, length) == 0 && text[length] == '=';
}

static void look_at(const struct settings_entry *entry, void *context)
{
    struct search *search = context;
    search->found |= names(search->text, entry->variable);
}

/* A misspelt variable would be passed over in silence by every program: it is told here. */
static int check_variables(void)
{
    int status = EXIT_INTACT;
    for (char **variable = environ; *variable; ++variable) {
        struct search search = {*variable, names(*variable, LOG_VARIABLE)};
        settings_each_node(NULL, look_at, &search);
        settings_each_cache(NULL, NULL, look_at, &search);
        if (search.found || strncmp(*variable, "BELAY_", 6) != 0 ||
            strncmp(*variable, "BELAY_TEST_", 11) == 0)
            continue;
        message("%.*s: no setting has this environment variable", (int)strcspn(*variable, "="), *variable);
        status = EXIT_DIFFERS;
    }
    return status;
}

static int print_log_level(void)
{
    static const char *const levels[] = {"off", "error", "warn", "info", "debug"};
    const char *level = getenv(LOG_VARIABLE);
    for (size_t i = 0; level && i < sizeof levels / sizeof levels[0]; ++i)
        if (strcmp(level, levels[i]) == 0) {
            printf("%-28s %-16s environment variable " LOG_VARIABLE "\n", "log", level);
            return EXIT_INTACT;
        }
    printf("%-28s %-16s default\n", "log", "warn");
    if (level)
        message(LOG_VARIABLE "=%s: unknown; allowed: off, error, warn, info, debug", level);
    return level ? EXIT_DIFFERS : EXIT_INTACT;
}

int info_print_config(const char *cache)
{
    struct node_settings settings;
    settings_file *file = NULL;
    log_init(-1);
    int result = settings_resolve_node(NULL, &settings, &file); /* says what is wrong, and where */
    if (result == BELAY_ERR_NO_MEMORY)
        return EXIT_BROKEN;
    if (result != BELAY_OK)
        return EXIT_DIFFERS;
    printf("node\n");
    settings_print_node(stdout, &settings);
    int log_status = print_log_level();
    int status = cache ? print_cache(cache, file, settings.config_file)
                       : print_caches(file, settings.config_file);
    settings_file_free(file);
    int variables_status = check_variables();
    if (status == EXIT_INTACT)
        status = log_status == EXIT_INTACT ? variables_status : log_status;
    return status;
}
