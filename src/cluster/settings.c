/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/settings.h"

#include "base/log.h"
#include "cluster/settings_file.h"
#include "cluster/settings_value.h"

#include <stdlib.h>
#include <string.h>

/* ---- Where a value came from --------------------------------------------------------------------------------- */

enum { ORIGIN_SIZE = SETTINGS_PLACE_SIZE };

/* @p path of the file, if known. */
static void format_origin(const struct settings_table *table, const struct setting *setting,
                          const struct settings_origin *origin, const char *path, char text[ORIGIN_SIZE])
{
    switch (origin->source) {
    case SETTINGS_STRUCT: snprintf(text, ORIGIN_SIZE, "%s.%s", table->config_name, setting->name); break;
    case SETTINGS_ENVIRONMENT:
        snprintf(text, ORIGIN_SIZE, "environment variable %s", setting->variable);
        break;
    case SETTINGS_FILE:
        if (path && *path)
            settings_format_place(path, origin->line, origin->column, text);
        else
            snprintf(text, ORIGIN_SIZE, "configuration file, line %u", origin->line);
        break;
    default: snprintf(text, ORIGIN_SIZE, "default"); break;
    }
}

/* ---- Resolving ----------------------------------------------------------------------------------------------- */

/* Where values may come from besides the environment, which wins, and the defaults; the one that wins first. */
struct sources {
    const void *config;    /* struct of belay.h, or NULL */
    const void *from_file; /* settings as the file has them, or NULL */
};

static int refuse(const struct settings_table *table, const struct setting *setting,
                  enum setting_problem problem, const char *value, enum settings_source source)
{
    const struct settings_origin origin = {.source = source};
    char text[ORIGIN_SIZE];
    format_origin(table, setting, &origin, NULL, text);
    return setting_refuse(setting, problem, text, setting->name, value);
}

static int check_config(const struct settings_table *table, const struct setting *setting,
                        const struct setting_value *value)
{
    char text[64];
    enum setting_problem problem = setting_check(setting, value);
    if (!problem)
        return BELAY_OK;
    if (setting->type == SETTING_TEXT)
        setting_quote(value->text, text, sizeof text);
    else if (setting->config_width == sizeof(int32_t) &&
             value->number > INT32_MAX) /* the field may be signed */
        snprintf(text, sizeof text, "%u (or %d)", (unsigned)value->number, (int)(unsigned)value->number);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)value->number);
    return refuse(table, setting, problem, text, SETTINGS_STRUCT);
}

static int settle(const struct settings_table *table, size_t index, const struct sources *sources, void *out)
{
    const struct setting *setting = &table->settings[index];
    const char *variable = setting->variable ? getenv(setting->variable) : NULL;
    const struct settings_origin *file_origins = sources->from_file
                                                     ? settings_origins(table, sources->from_file)
                                                     : NULL;
    struct settings_origin origin = {.source = SETTINGS_DEFAULT};
    struct setting_value value = {setting->initial, ""};
    if (variable && *variable) {
        origin.source = SETTINGS_ENVIRONMENT;
        enum setting_problem problem = setting_parse(setting, variable, &value);
        if (problem)
            return refuse(table, setting, problem, variable, SETTINGS_ENVIRONMENT);
    } else if (sources->config && setting_load_config(setting, sources->config, &value)) {
        origin.source = SETTINGS_STRUCT;
        int result = check_config(table, setting, &value);
        if (result)
            return result;
    } else if (file_origins && file_origins[index].source) {
        origin = file_origins[index];
        value = setting_load(setting, sources->from_file);
    }
    setting_store(setting, &value, out);
    settings_set_origin(table, index, &origin, out);
    return BELAY_OK;
}

static int settle_all(const struct settings_table *table, const struct sources *sources, void *out)
{
    int result = BELAY_OK;
    for (size_t i = 0; i < table->count && !result; ++i)
        result = settle(table, i, sources, out);
    return result;
}

static int load_configured(const struct node_settings *settings, settings_file **file)
{
    char origin[ORIGIN_SIZE];
    if (!settings->config_file[0])
        return BELAY_OK;
    format_origin(&settings_node_table, &settings_node_table.settings[NODE_CONFIG_FILE],
                  &settings->origins[NODE_CONFIG_FILE], NULL, origin);
    return settings_file_load(settings->config_file, origin, file);
}

int settings_resolve_node(const belay_config *config, struct node_settings *out, settings_file **file)
{
    struct sources sources = {.config = config};
    struct node_settings settled = {0};
    settings_file *loaded = NULL;
    int result = settle(&settings_node_table, NODE_CONFIG_FILE, &sources, &settled);
    if (!result)
        result = load_configured(&settled, &loaded);
    if (!result) {
        sources.from_file = loaded ? &loaded->node : NULL;
        result = settle_all(&settings_node_table, &sources, &settled);
    }
    if (result) {
        settings_file_free(loaded);
        return result;
    }
    *out = settled;
    *file = loaded;
    return BELAY_OK;
}

int settings_resolve_cache(const belay_cache_config *config, const settings_file *file,
                           struct cache_settings *out)
{
    if (!config)
        return log_quiet(BELAY_ERR_INVALID, "belay_cache_config is NULL");
    if (!config->name)
        return refuse(&settings_cache_table, &settings_cache_table.settings[CACHE_NAME], SETTING_EMPTY, "",
                      SETTINGS_STRUCT);
    const struct sources sources = {.config = config, .from_file = settings_file_find(file, config->name)};
    struct cache_settings settled = {0};
    int result = settle_all(&settings_cache_table, &sources, &settled);
    if (!result)
        *out = settled;
    return result;
}

/* ---- Settings of other nodes --------------------------------------------------------------------------------- */

static bool is_settled(const struct settings_table *table, size_t index, const void *settings)
{
    const struct setting *setting = &table->settings[index];
    const struct setting_value value = setting_load(setting, settings);
    const struct settings_origin *origin = &settings_origins(table, settings)[index];
    if (origin->source <= SETTINGS_UNSET || origin->source >= SETTINGS_SOURCES)
        return false;
    if (setting->type == SETTING_TEXT) {
        size_t length = strnlen(value.text, setting->width);
        for (size_t i = length; i < setting->width; ++i)
            if (value.text[i])
                return false;
        if (length == setting->width)
            return false;
    }
    return setting_check(setting, &value) == SETTING_GOOD;
}

static int check(const struct settings_table *table, const void *settings)
{
    for (size_t i = 0; i < table->count; ++i)
        if (!is_settled(table, i, settings))
            return log_error(BELAY_ERR_PROTOCOL,
                             "a peer sent settings that cannot be: %s of its %s is malformed",
                             table->settings[i].name, table->config_name);
    return BELAY_OK;
}

int settings_check_node(const struct node_settings *settings)
{
    return check(&settings_node_table, settings);
}

int settings_check_cache(const struct cache_settings *settings)
{
    return check(&settings_cache_table, settings);
}

static bool same_value(const struct setting *setting, const void *left, const void *right)
{
    const struct setting_value a = setting_load(setting, left), b = setting_load(setting, right);
    return setting->type == SETTING_TEXT ? strcmp(a.text, b.text) == 0 : a.number == b.number;
}

static void describe(const struct settings_table *table, size_t index, const void *settings, const char *path,
                     char *text, size_t size)
{
    const struct setting *setting = &table->settings[index];
    const struct setting_value value = setting_load(setting, settings);
    char shown[BELAY_CACHE_NAME_MAX + 1], origin[ORIGIN_SIZE];
    setting_format(setting, &value, shown, sizeof shown);
    format_origin(table, setting, &settings_origins(table, settings)[index], path, origin);
    snprintf(text, size, "%s (%s)", shown, origin);
}

static int compare(const struct settings_table *table, const void *left, const char *left_path,
                   const void *right, const char *right_path, struct settings_difference *difference)
{
    size_t i = 0;
    while (i < table->count && !(table->settings[i].equal && !same_value(&table->settings[i], left, right)))
        ++i;
    if (i == table->count)
        return BELAY_OK;
    if (difference) {
        difference->field = table->settings[i].name;
        describe(table, i, left, left_path, difference->left, sizeof difference->left);
        describe(table, i, right, right_path, difference->right, sizeof difference->right);
    }
    return BELAY_ERR_MISMATCH;
}

int settings_compare_node(const struct node_settings *left, const struct node_settings *right,
                          struct settings_difference *difference)
{
    return compare(&settings_node_table, left, left->config_file, right, right->config_file, difference);
}

int settings_compare_cache(const struct cache_settings *left, const struct cache_settings *right,
                           struct settings_difference *difference)
{
    return compare(&settings_cache_table, left, NULL, right, NULL, difference);
}

/* ---- Showing them -------------------------------------------------------------------------------------------- */

static void visit_one(const struct settings_table *table, size_t index, const void *settings,
                      const char *path, settings_visitor visit, void *context)
{
    const struct setting *setting = &table->settings[index];
    const struct setting_value initial = {setting->initial, ""};
    const struct setting_value value = settings ? setting_load(setting, settings) : initial;
    const struct settings_origin unset = {.source = SETTINGS_DEFAULT};
    char value_text[SETTINGS_PATH_MAX + 1], initial_text[SETTING_TEXT_SIZE], allowed[SETTING_TEXT_SIZE];
    char origin[ORIGIN_SIZE];
    setting_format(setting, &value, value_text, sizeof value_text);
    setting_format(setting, &initial, initial_text, sizeof initial_text);
    setting_format_allowed(setting, allowed, sizeof allowed);
    format_origin(table, setting, settings ? &settings_origins(table, settings)[index] : &unset, path,
                  origin);
    const struct settings_entry entry = {
        .name = setting->name,
        .property = setting->property ? setting->property : "",
        .variable = setting->variable ? setting->variable : "",
        .value = value_text,
        .origin = origin,
        .initial = initial_text,
        .allowed = allowed,
        .meaning = setting->meaning,
        .equal = setting->equal,
    };
    visit(&entry, context);
}

void settings_each_node(const struct node_settings *settings, settings_visitor visit, void *context)
{
    for (size_t i = 0; i < NODE_SETTINGS; ++i)
        visit_one(&settings_node_table, i, settings, settings ? settings->config_file : NULL, visit, context);
}

void settings_each_cache(const struct cache_settings *settings, const char *file, settings_visitor visit,
                         void *context)
{
    for (size_t i = 0; i < CACHE_SETTINGS; ++i)
        visit_one(&settings_cache_table, i, settings, file, visit, context);
}

static void print_entry(const struct settings_entry *entry, void *stream)
{
    fprintf(stream, "%-28s %-16s %s\n", entry->name, entry->value, entry->origin);
}

void settings_print_node(FILE *stream, const struct node_settings *settings)
{
    settings_each_node(settings, print_entry, stream);
}

void settings_print_cache(FILE *stream, const struct cache_settings *settings, const char *file)
{
    settings_each_cache(settings, file, print_entry, stream);
}
