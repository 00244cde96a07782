/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "cluster/settings.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Every setting with a good value for each place; all differ from the default and from each other where they can. */
struct sample {
    const char *name, *property, *variable;
    const char *initial;
    const char *in_file, *in_struct, *in_environment; /* as they are shown */
};

static const struct sample node_samples[] = {
    {"role", "role", "BELAY_ROLE", "server", "client", "server", "client"},
    {"transport", "transport", "BELAY_TRANSPORT", "auto", "shm", "verbs", "auto"},
    {"progress", "progress", "BELAY_PROGRESS", "thread", "manual", "thread", "manual"},
    {"arena_size", "arenaSize", "BELAY_ARENA_SIZE", "auto", "512M", "1G", "3T"},
    {"segment_size", "segmentSize", "BELAY_SEGMENT_SIZE", "64K", "128K", "1M", "16K"},
    {"operation_timeout_ms", "operationTimeoutMs", "BELAY_OPERATION_TIMEOUT_MS", "30s", "5s", "1500ms",
     "250ms"},
    {"failure_timeout_ms", "failureTimeoutMs", "BELAY_FAILURE_TIMEOUT_MS", "1500ms", "2s", "3s", "500ms"},
    {"progress_core", "progressCore", "BELAY_PROGRESS_CORE", "auto", "2", "3", "4"},
    {"device", "device", "BELAY_DEVICE", "auto", "rxe0", "mlx5_0", "siw1"},
    {"join_room", "joinRoom", "BELAY_JOIN_ROOM", "auto", "4", "8", "12"},
    {"address_file", "addressFile", "BELAY_ADDRESS_FILE", "none", "a.file", "b.file", "c.file"},
    {"config_file", "", "BELAY_CONFIG_FILE", "none", NULL, NULL, NULL},
};

static const belay_config node_struct = {
    .role = BELAY_ROLE_SERVER,
    .transport = BELAY_TRANSPORT_VERBS,
    .progress = BELAY_PROGRESS_THREAD,
    .arena_size = (size_t)1 << 30,
    .segment_size = (size_t)1 << 20,
    .operation_timeout_ms = 1500,
    .failure_timeout_ms = 3000,
    .progress_core = 3,
    .device = "mlx5_0",
    .join_room = 8,
    .address_file = "b.file",
};

static const struct sample cache_samples[] = {
    {"name", "name", "", "", "fields", "fields", NULL},
    {"cache_mode", "cacheMode", "BELAY_CACHE_MODE", "PARTITIONED", "REPLICATED", "PARTITIONED", "REPLICATED"},
    {"backups", "backups", "BELAY_BACKUPS", "0", "1", "2", "15"},
    {"write_synchronization_mode", "writeSynchronizationMode", "BELAY_WRITE_SYNCHRONIZATION_MODE",
     "FULL_ASYNC", "PRIMARY_SYNC", "FULL_SYNC", "FULL_ASYNC"},
    {"atomicity_mode", "atomicityMode", "BELAY_ATOMICITY_MODE", "ATOMIC", "TRANSACTIONAL", "ATOMIC",
     "TRANSACTIONAL"},
    {"partition_loss_policy", "partitionLossPolicy", "BELAY_PARTITION_LOSS_POLICY", "IGNORE",
     "READ_ONLY_SAFE", "READ_WRITE_SAFE", "IGNORE"},
    {"partitions", "partitions", "BELAY_PARTITIONS", "256", "512", "1024", "1"},
    {"read_from_backup", "readFromBackup", "BELAY_READ_FROM_BACKUP", "false", "true", "false", "true"},
    {"near_cache_size", "nearCacheSize", "BELAY_NEAR_CACHE_SIZE", "none", "64K", "1M", "1G"},
    {"expiry_policy", "expiryPolicy", "BELAY_EXPIRY_POLICY", "MODIFIED", "CREATED", "MODIFIED", "CREATED"},
    {"time_to_live_ms", "timeToLiveMs", "BELAY_TIME_TO_LIVE_MS", "never", "2s", "5s", "250ms"},
    {"eviction_policy", "evictionPolicy", "BELAY_EVICTION_POLICY", "NONE", "FIFO", "NONE", "FIFO"},
};

static const belay_cache_config cache_struct = {
    .name = "fields",
    .cache_mode = BELAY_CACHE_PARTITIONED,
    .backups = 2,
    .write_synchronization_mode = BELAY_FULL_SYNC,
    .atomicity_mode = BELAY_ATOMIC,
    .partition_loss_policy = BELAY_LOSS_READ_WRITE_SAFE,
    .partitions = 1024,
    .read_from_backup = BELAY_OFF,
    .near_cache_size = 1024 * 1024,
    .expiry_policy = BELAY_EXPIRY_MODIFIED,
    .time_to_live_ms = 5000,
    .eviction_policy = BELAY_EVICTION_NONE,
};

/* ---- Help ---------------------------------------------------------------------------------------------------- */

static int clean_environment(void **state)
{
    (void)state;
    setenv("BELAY_LOG", "off", 1);
    log_init(-1);
    for (size_t i = 0; i < NODE_SETTINGS; ++i)
        unsetenv(node_samples[i].variable);
    for (size_t i = 1; i < CACHE_SETTINGS; ++i)
        unsetenv(cache_samples[i].variable);
    return 0;
}

/* A file with the samples' properties, at a place of this test. @return its path. */
static const char *write_file(void)
{
    static char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/test_settings.xml", folder ? folder : ".");
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fprintf(stream, "<bean class=\"org.apache.ignite.configuration.IgniteConfiguration\">\n");
    for (size_t i = 0; i < NODE_SETTINGS; ++i)
        if (node_samples[i].in_file)
            fprintf(stream, "<property name=\"%s\" value=\"%s\"/>\n", node_samples[i].property,
                    node_samples[i].in_file);
    fprintf(stream, "<property name=\"cacheConfiguration\">"
                    "<bean class=\"org.apache.ignite.configuration.CacheConfiguration\">\n");
    for (size_t i = 0; i < CACHE_SETTINGS; ++i)
        fprintf(stream, "<property name=\"%s\" value=\"%s\"/>\n", cache_samples[i].property,
                cache_samples[i].in_file);
    fprintf(stream, "</bean></property></bean>\n");
    assert_int_equal(fclose(stream), 0);
    return path;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

struct seen {
    char value[SETTINGS_PATH_MAX + 1], origin[256], allowed[256], variable[64], property[64];
    const char *name;
    size_t count;
};

static void see(const struct settings_entry *entry, void *context)
{
    struct seen *seen = context;
    ++seen->count;
    if (strcmp(entry->name, seen->name) != 0)
        return;
    snprintf(seen->value, sizeof seen->value, "%s", entry->value);
    snprintf(seen->origin, sizeof seen->origin, "%s", entry->origin);
    snprintf(seen->allowed, sizeof seen->allowed, "%s", entry->allowed);
    snprintf(seen->variable, sizeof seen->variable, "%s", entry->variable);
    snprintf(seen->property, sizeof seen->property, "%s", entry->property);
}

static void assert_node(const struct node_settings *settings, const char *name, const char *value,
                        const char *origin)
{
    struct seen seen = {.name = name};
    settings_each_node(settings, see, &seen);
    assert_int_equal(seen.count, NODE_SETTINGS);
    assert_string_equal(seen.value, value);
    assert_contains(seen.origin, origin);
}

static void assert_cache(const struct cache_settings *settings, const char *path, const char *name,
                         const char *value, const char *origin)
{
    struct seen seen = {.name = name};
    settings_each_cache(settings, path, see, &seen);
    assert_int_equal(seen.count, CACHE_SETTINGS);
    assert_string_equal(seen.value, value);
    assert_contains(seen.origin, origin);
}

static struct node_settings resolve_node(const belay_config *config)
{
    struct node_settings settings;
    settings_file *file;
    assert_int_equal(settings_resolve_node(config, &settings, &file), BELAY_OK);
    settings_file_free(file);
    assert_int_equal(settings_check_node(&settings), BELAY_OK);
    return settings;
}

static struct cache_settings resolve_cache(const belay_cache_config *config, const settings_file *file)
{
    struct cache_settings settings;
    assert_int_equal(settings_resolve_cache(config, file, &settings), BELAY_OK);
    assert_int_equal(settings_check_cache(&settings), BELAY_OK);
    return settings;
}

/* ---- Every setting from every place -------------------------------------------------------------------------- */

static void every_node_setting_has_a_default(void **state)
{
    (void)state;
    const struct node_settings from_null = resolve_node(NULL);
    const struct node_settings from_zero = resolve_node(&(belay_config){0});
    for (size_t i = 0; i < NODE_SETTINGS; ++i) {
        assert_node(&from_null, node_samples[i].name, node_samples[i].initial, "default");
        assert_node(&from_zero, node_samples[i].name, node_samples[i].initial, "default");
        assert_node(NULL, node_samples[i].name, node_samples[i].initial, "default");
    }
    assert_int_equal(from_null.role, BELAY_ROLE_SERVER);
    assert_int_equal(from_null.transport, BELAY_TRANSPORT_AUTO);
    assert_int_equal(from_null.progress, BELAY_PROGRESS_THREAD);
    assert_int_equal(from_null.arena_size, 0);
    assert_int_equal(from_null.segment_size, 65536);
    assert_int_equal(from_null.operation_timeout_ms, 30000);
    assert_int_equal(from_null.progress_core, 0);
    assert_string_equal(from_null.device, "");
    assert_string_equal(from_null.config_file, "");
}

static void every_node_setting_comes_from_every_place(void **state)
{
    (void)state;
    belay_config config = {.config_file = write_file()};
    const size_t count = NODE_CONFIG_FILE;
    char origin[PATH_MAX + 64];

    struct node_settings settings = resolve_node(&config);
    assert_node(&settings, "config_file", config.config_file, "belay_config.config_file");
    for (size_t i = 0; i < count; ++i) {
        snprintf(origin, sizeof origin, "test_settings.xml:%zu:1", i + 2);
        assert_node(&settings, node_samples[i].name, node_samples[i].in_file, origin);
    }
    assert_int_equal(settings.arena_size, 512 << 20);
    assert_int_equal(settings.operation_timeout_ms, 5000);

    const char *path = config.config_file;
    config = node_struct;
    config.config_file = path;
    settings = resolve_node(&config);
    for (size_t i = 0; i < count; ++i) {
        snprintf(origin, sizeof origin, "belay_config.%s", node_samples[i].name);
        assert_node(&settings, node_samples[i].name, node_samples[i].in_struct, origin);
    }

    /* One variable at a time: it changes its own setting and no other. */
    for (size_t i = 0; i < count; ++i) {
        setenv(node_samples[i].variable, node_samples[i].in_environment, 1);
        settings = resolve_node(&config);
        for (size_t j = 0; j < count; ++j) {
            const struct sample *sample = &node_samples[j];
            snprintf(origin, sizeof origin, "environment variable %s", sample->variable);
            assert_node(&settings, sample->name, i == j ? sample->in_environment : sample->in_struct,
                        i == j ? origin : "belay_config.");
        }
        setenv(node_samples[i].variable, "", 1); /* as good as unset */
    }

    setenv("BELAY_CONFIG_FILE", path, 1);
    settings = resolve_node(&(belay_config){.config_file = "/no/such/file"});
    assert_node(&settings, "config_file", path, "environment variable BELAY_CONFIG_FILE");
    assert_node(&settings, "device", "rxe0", "test_settings.xml:10:1");
    setenv("BELAY_CONFIG_FILE", "none", 1);
    settings = resolve_node(&(belay_config){.config_file = "/no/such/file"});
    assert_node(&settings, "device", "auto", "default");
}

static void every_cache_setting_has_a_default(void **state)
{
    (void)state;
    const struct cache_settings settings = resolve_cache(&(belay_cache_config){.name = "c"}, NULL);
    for (size_t i = 1; i < CACHE_SETTINGS; ++i)
        assert_cache(&settings, NULL, cache_samples[i].name, cache_samples[i].initial, "default");
    assert_cache(&settings, NULL, "name", "c", "belay_cache_config.name");
    assert_int_equal(settings.cache_mode, BELAY_CACHE_PARTITIONED);
    assert_int_equal(settings.backups, 0);
    assert_int_equal(settings.write_synchronization_mode, BELAY_FULL_ASYNC);
    assert_int_equal(settings.atomicity_mode, BELAY_ATOMIC);
    assert_int_equal(settings.partition_loss_policy, BELAY_LOSS_IGNORE);
    assert_int_equal(settings.partitions, 256);
}

static void every_cache_setting_comes_from_every_place(void **state)
{
    (void)state;
    settings_file *file;
    char origin[256];
    const char *path = write_file();
    assert_int_equal(settings_file_load(path, "test", &file), BELAY_OK);
    assert_int_equal(settings_file_cache_count(file), 1);
    assert_string_equal(settings_file_cache_name(file, 0), "fields");

    struct cache_settings settings = resolve_cache(&(belay_cache_config){.name = "fields"}, file);
    for (size_t i = 1; i < CACHE_SETTINGS; ++i)
        assert_cache(&settings, path, cache_samples[i].name, cache_samples[i].in_file, "test_settings.xml:");
    settings = resolve_cache(&(belay_cache_config){.name = "other"}, file);
    for (size_t i = 1; i < CACHE_SETTINGS; ++i)
        assert_cache(&settings, path, cache_samples[i].name, cache_samples[i].initial, "default");

    settings = resolve_cache(&cache_struct, file);
    for (size_t i = 0; i < CACHE_SETTINGS; ++i) {
        snprintf(origin, sizeof origin, "belay_cache_config.%s", cache_samples[i].name);
        assert_cache(&settings, path, cache_samples[i].name, cache_samples[i].in_struct, origin);
    }
    for (size_t i = 1; i < CACHE_SETTINGS; ++i) {
        setenv(cache_samples[i].variable, cache_samples[i].in_environment, 1);
        settings = resolve_cache(&cache_struct, file);
        for (size_t j = 0; j < CACHE_SETTINGS; ++j) {
            const struct sample *sample = &cache_samples[j];
            snprintf(origin, sizeof origin, "environment variable %s", sample->variable);
            assert_cache(&settings, path, sample->name, i == j ? sample->in_environment : sample->in_struct,
                         i == j ? origin : "belay_cache_config.");
        }
        unsetenv(cache_samples[i].variable);
    }
    settings_file_free(file);
}

static void all_names_follow_one_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODE_SETTINGS + CACHE_SETTINGS; ++i) {
        bool of_node = i < NODE_SETTINGS;
        const struct sample *sample = of_node ? &node_samples[i] : &cache_samples[i - NODE_SETTINGS];
        struct seen seen = {.name = sample->name};
        if (of_node)
            settings_each_node(NULL, see, &seen);
        else
            settings_each_cache(NULL, NULL, see, &seen);
        char property[64] = "", variable[64] = "BELAY_";
        for (const char *c = sample->name; *c; ++c) {
            char upper = (char)(*c == '_' ? '_' : *c - 'a' + 'A');
            bool hump = c > sample->name && c[-1] == '_';
            if (*c != '_')
                strncat(property, hump ? &upper : c, 1);
            strncat(variable, &upper, 1);
        }
        assert_string_equal(seen.property, *sample->property ? property : "");
        assert_string_equal(seen.variable, *sample->variable ? variable : "");
    }
}

/* ---- Forms of values ----------------------------------------------------------------------------------------- */

static void values_have_many_forms(void **state)
{
    static const struct {
        const char *variable, *text, *name, *value;
    } forms[] = {
        {"BELAY_ARENA_SIZE", "1048576", "arena_size", "1M"},
        {"BELAY_ARENA_SIZE", "1025K", "arena_size", "1025K"},
        {"BELAY_ARENA_SIZE", "1048577", "arena_size", "1048577"},
        {"BELAY_ARENA_SIZE", "2g", "arena_size", "2G"},
        {"BELAY_ARENA_SIZE", "64T", "arena_size", "64T"},
        {"BELAY_ARENA_SIZE", "Auto", "arena_size", "auto"},
        {"BELAY_ARENA_SIZE", "0", "arena_size", "auto"},
        {"BELAY_SEGMENT_SIZE", "00065536", "segment_size", "64K"},
        {"BELAY_OPERATION_TIMEOUT_MS", "1", "operation_timeout_ms", "1ms"},
        {"BELAY_OPERATION_TIMEOUT_MS", "2000ms", "operation_timeout_ms", "2s"},
        {"BELAY_OPERATION_TIMEOUT_MS", "86400s", "operation_timeout_ms", "86400s"},
        {"BELAY_PROGRESS_CORE", "65536", "progress_core", "65536"},
        {"BELAY_ROLE", "CLIENT", "role", "client"},
        {"BELAY_TRANSPORT", "Shm", "transport", "shm"},
        {"BELAY_DEVICE", "auto", "device", "auto"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; ++i) {
        setenv(forms[i].variable, forms[i].text, 1);
        const struct node_settings settings = resolve_node(&node_struct);
        assert_node(&settings, forms[i].name, forms[i].value, forms[i].variable);
        unsetenv(forms[i].variable);
    }
    static const char *const same[] = {"FULL_SYNC", "full_sync", "full-sync", "Full-Sync"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; ++i) {
        setenv("BELAY_WRITE_SYNCHRONIZATION_MODE", same[i], 1);
        assert_int_equal(resolve_cache(&(belay_cache_config){.name = "c"}, NULL).write_synchronization_mode,
                         BELAY_FULL_SYNC);
    }
}

static void assert_refused_node(int code, const belay_config *config, const char *const parts[])
{
    struct node_settings settings;
    settings_file *file;
    memset(&settings, 0x5a, sizeof settings);
    const struct node_settings before = settings;
    log_clear_error();
    assert_int_equal(settings_resolve_node(config, &settings, &file), code);
    assert_memory_equal(&settings, &before, sizeof settings);
    for (; *parts; ++parts)
        assert_contains(log_last_error(), *parts);
}

static void assert_refused_cache(int code, const belay_cache_config *config, const char *const parts[])
{
    struct cache_settings settings;
    memset(&settings, 0x5a, sizeof settings);
    const struct cache_settings before = settings;
    log_clear_error();
    assert_int_equal(settings_resolve_cache(config, NULL, &settings), code);
    assert_memory_equal(&settings, &before, sizeof settings);
    for (; *parts; ++parts)
        assert_contains(log_last_error(), *parts);
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void bad_variables_are_refused(void **state)
{
    static const struct {
        const char *variable, *text, *name, *why, *allowed;
    } bad[] = {
        {"BELAY_ROLE", "boss", "role", "is unknown", "server, client"},
        {"BELAY_ROLE", "server ", "role", "is unknown", "server, client"},
        {"BELAY_TRANSPORT", "tcp", "transport", "is unknown", "auto, shm, verbs"},
        {"BELAY_PROGRESS", "1", "progress", "is unknown", "thread, manual"},
        {"BELAY_ARENA_SIZE", "12Q", "arena_size", "is not a number", "auto (0), or a size from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "-1", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "+1G", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", " 1G", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "1G ", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "1GG", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "1.5G", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "0x100000", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "K", "arena_size", "is not a number", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "1023K", "arena_size", "is too small", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "65T", "arena_size", "is too large", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "18446744073709551616", "arena_size", "is too large", "from 1M to 64T"},
        {"BELAY_ARENA_SIZE", "99999999999999999999999999999999999999", "arena_size", "is too large", "64T"},
        {"BELAY_ARENA_SIZE", "16777216T", "arena_size", "is too large", "from 1M to 64T"},
        {"BELAY_SEGMENT_SIZE", "8K", "segment_size", "is too small", "a power of two from 16K to 4M"},
        {"BELAY_SEGMENT_SIZE", "8M", "segment_size", "is too large", "a power of two from 16K to 4M"},
        {"BELAY_SEGMENT_SIZE", "48K", "segment_size", "is not a power of two", "from 16K to 4M"},
        {"BELAY_SEGMENT_SIZE", "auto", "segment_size", "is not a number", "from 16K to 4M"},
        {"BELAY_OPERATION_TIMEOUT_MS", "0", "operation_timeout_ms", "is too small", "from 1ms to 86400s"},
        {"BELAY_OPERATION_TIMEOUT_MS", "86401s", "operation_timeout_ms", "is too large",
         "from 1ms to 86400s"},
        {"BELAY_OPERATION_TIMEOUT_MS", "5m", "operation_timeout_ms", "is not a number",
         "(ms, or with ms, s)"},
        {"BELAY_PROGRESS_CORE", "65537", "progress_core", "is too large", "from 1 to 65536"},
        {"BELAY_PROGRESS_CORE", "1K", "progress_core", "is not a number", "from 1 to 65536"},
        {"BELAY_DEVICE", "a\nb", "device", "has unprintable", "auto, or 1 to 63 printable characters"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        char value[128], variable[128];
        snprintf(value, sizeof value, "%s = \"%s\"", bad[i].name, bad[i].text);
        for (char *c = value; *c; ++c)
            *c = *c == '\n' ? '?' : *c;
        snprintf(variable, sizeof variable, "environment variable %s", bad[i].variable);
        setenv(bad[i].variable, bad[i].text, 1);
        assert_refused_node(BELAY_ERR_CONFIG, &node_struct,
                            PARTS(value, variable, bad[i].why, "allowed: ", bad[i].allowed));
        unsetenv(bad[i].variable);
    }
}

static void bad_cache_variables_are_refused(void **state)
{
    static const struct {
        int code;
        const char *variable, *text, *name, *why, *allowed;
    } bad[] = {
        {BELAY_ERR_CONFIG, "BELAY_CACHE_MODE", "NEAR", "cache_mode", "is unknown", "PARTITIONED, REPLICATED"},
        {BELAY_ERR_NOT_SUPPORTED, "BELAY_CACHE_MODE", "local", "cache_mode", "not supported",
         "PARTITIONED, REPLICATED"},
        {BELAY_ERR_CONFIG, "BELAY_BACKUPS", "16", "backups", "is too large", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "BELAY_BACKUPS", "one", "backups", "is not a number", "a number from 0 to 15"},
        {BELAY_ERR_CONFIG, "BELAY_WRITE_SYNCHRONIZATION_MODE", "SYNC", "write_synchronization_mode",
         "is unknown", "FULL_SYNC, PRIMARY_SYNC, FULL_ASYNC"},
        {BELAY_ERR_CONFIG, "BELAY_ATOMICITY_MODE", "NONE", "atomicity_mode", "is unknown",
         "ATOMIC, TRANSACTIONAL"},
        {BELAY_ERR_NOT_SUPPORTED, "BELAY_ATOMICITY_MODE", "TRANSACTIONAL_SNAPSHOT", "atomicity_mode",
         "not supported", "ATOMIC, TRANSACTIONAL"},
        {BELAY_ERR_NOT_SUPPORTED, "BELAY_PARTITION_LOSS_POLICY", "READ_ONLY_ALL", "partition_loss_policy",
         "exists in Apache Ignite", "IGNORE, READ_ONLY_SAFE, READ_WRITE_SAFE"},
        {BELAY_ERR_NOT_SUPPORTED, "BELAY_PARTITION_LOSS_POLICY", "read-write-all", "partition_loss_policy",
         "exists in Apache Ignite", "IGNORE, READ_ONLY_SAFE, READ_WRITE_SAFE"},
        {BELAY_ERR_CONFIG, "BELAY_PARTITIONS", "100", "partitions", "is not a power of two",
         "a power of two from 1 to 65536"},
        {BELAY_ERR_CONFIG, "BELAY_PARTITIONS", "0", "partitions", "is too small", "from 1 to 65536"},
        {BELAY_ERR_CONFIG, "BELAY_PARTITIONS", "131072", "partitions", "is too large", "from 1 to 65536"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        char value[128], variable[128];
        snprintf(value, sizeof value, "%s = \"%s\"", bad[i].name, bad[i].text);
        snprintf(variable, sizeof variable, "environment variable %s", bad[i].variable);
        setenv(bad[i].variable, bad[i].text, 1);
        assert_refused_cache(bad[i].code, &cache_struct,
                             PARTS(value, variable, bad[i].why, "allowed: ", bad[i].allowed));
        unsetenv(bad[i].variable);
    }
}

static char *long_text(size_t length)
{
    static char text[8192];
    memset(text, 'x', length);
    text[length] = '\0';
    return text;
}

static void bad_struct_fields_are_refused(void **state)
{
    (void)state;
#define REFUSED(field, bad, ...)                                                                             \
    assert_refused_node(BELAY_ERR_CONFIG, &(belay_config){.field = bad},                                     \
                        PARTS("belay_config." #field ": " #field " = \"", "allowed: ", __VA_ARGS__))
    REFUSED(role, (belay_role)4, "\"4\" is unknown", "server, client, spare");
    REFUSED(role, (belay_role)-1, "\"4294967295 (or -1)\" is unknown", "server, client");
    REFUSED(transport, (belay_transport)99, "\"99\" is unknown", "auto, shm, verbs");
    REFUSED(progress, (belay_progress_mode)3, "\"3\" is unknown", "thread, manual");
    REFUSED(arena_size, 4096, "\"4096\" is too small", "1M");
    REFUSED(arena_size, SIZE_MAX, "is too large", "64T");
    REFUSED(segment_size, 65537, "\"65537\" is not a power of two", "16K");
    REFUSED(operation_timeout_ms, UINT_MAX, "is too large", "1ms to 86400s");
    REFUSED(progress_core, -1, "\"4294967295 (or -1)\" is too large", "1 to 65536");
    REFUSED(device, long_text(64), "xxx...\" is too long", "1 to 63");
    REFUSED(device, "a\x1b[2J", "\"a?[2J\" has unprintable", "1 to 63");
    REFUSED(config_file, long_text(1024), "xxx...\" is too long", "1 to 1023");
    REFUSED(config_file, long_text(8000), "xxx...\" is too long", "1 to 1023");
#undef REFUSED
#define REFUSED(field, bad, ...)                                                                             \
    assert_refused_cache(BELAY_ERR_CONFIG, &(belay_cache_config){.name = "c", .field = bad},                 \
                         PARTS("belay_cache_config." #field ": " #field " = \"", "allowed: ", __VA_ARGS__))
    REFUSED(cache_mode, (belay_cache_mode)3, "\"3\" is unknown", "PARTITIONED, REPLICATED");
    REFUSED(backups, 16, "\"16\" is too large", "a number from 0 to 15");
    REFUSED(backups, UINT_MAX, "\"4294967295 (or -1)\" is too large", "a number from 0 to 15");
    REFUSED(write_synchronization_mode, (belay_sync)4, "\"4\" is unknown",
            "FULL_SYNC, PRIMARY_SYNC, FULL_ASYNC");
    REFUSED(atomicity_mode, (belay_atomicity)3, "\"3\" is unknown", "ATOMIC, TRANSACTIONAL");
    REFUSED(partition_loss_policy, (belay_loss_policy)4, "\"4\" is unknown", "READ_ONLY_SAFE");
    REFUSED(partitions, 3, "\"3\" is not a power of two", "1 to 65536");
#undef REFUSED
#define REFUSED(text, ...)                                                                                   \
    assert_refused_cache(BELAY_ERR_CONFIG, &(belay_cache_config){.name = text},                              \
                         PARTS("belay_cache_config.name: name = \"", "allowed: 1 to 63", __VA_ARGS__))
    REFUSED(NULL, "is empty");
    REFUSED("", "is empty");
    REFUSED(long_text(64), "is too long");
    REFUSED("tab\there", "\"tab?here\" has unprintable");
#undef REFUSED
    assert_refused_cache(BELAY_ERR_INVALID, NULL, PARTS("belay_cache_config"));
}

/* ---- Other nodes --------------------------------------------------------------------------------------------- */

static void assert_malformed_cache(const struct cache_settings *settings, const char *field)
{
    log_clear_error();
    assert_int_equal(settings_check_cache(settings), BELAY_ERR_PROTOCOL);
    assert_contains(log_last_error(), field);
}

static void malformed_settings_of_a_peer_are_found(void **state)
{
    (void)state;
    const struct cache_settings good = resolve_cache(&cache_struct, NULL);
    struct cache_settings bad;
#define MALFORMED(field, change)                                                                             \
    do {                                                                                                     \
        bad = good;                                                                                          \
        change;                                                                                              \
        assert_malformed_cache(&bad, #field " of its belay_cache_config");                                   \
    } while (0)
    MALFORMED(name, bad.name[0] = '\0');
    MALFORMED(name, memset(bad.name, 'x', sizeof bad.name));
    MALFORMED(name, bad.name[sizeof bad.name - 1] = 'x');
    MALFORMED(name, bad.name[0] = '\n');
    MALFORMED(cache_mode, bad.cache_mode = 0);
    MALFORMED(cache_mode, bad.cache_mode = 3);
    MALFORMED(backups, bad.backups = 16);
    MALFORMED(backups, bad.backups = UINT32_MAX);
    MALFORMED(write_synchronization_mode, bad.write_synchronization_mode = 0);
    MALFORMED(write_synchronization_mode, bad.write_synchronization_mode = 4);
    MALFORMED(atomicity_mode, bad.atomicity_mode = 3);
    MALFORMED(partition_loss_policy, bad.partition_loss_policy = 4);
    MALFORMED(expiry_policy, bad.expiry_policy = 3);
    MALFORMED(eviction_policy, bad.eviction_policy = 3);
    MALFORMED(time_to_live_ms, bad.time_to_live_ms = BELAY_TIME_TO_LIVE_MAX_MS + 1);
    MALFORMED(partitions, bad.partitions = 0);
    MALFORMED(partitions, bad.partitions = 3);
    MALFORMED(partitions, bad.partitions = 131072);
    MALFORMED(partitions, bad.origins[CACHE_PARTITIONS].source = SETTINGS_UNSET);
    MALFORMED(backups, bad.origins[CACHE_BACKUPS].source = SETTINGS_SOURCES);
#undef MALFORMED
    struct node_settings node = resolve_node(&node_struct);
    node.segment_size = 3;
    assert_int_equal(settings_check_node(&node), BELAY_ERR_PROTOCOL);
    assert_contains(log_last_error(), "segment_size of its belay_config");
    node = resolve_node(&node_struct);
    memset(node.config_file, 'x', sizeof node.config_file);
    assert_int_equal(settings_check_node(&node), BELAY_ERR_PROTOCOL);
    assert_contains(log_last_error(), "config_file of its belay_config");
}

static void random_settings_of_a_peer_are_harmless(void **state)
{
    (void)state;
    const struct cache_settings good = resolve_cache(&cache_struct, NULL);
    unsigned accepted = 0;
    srand(1);
    for (int round = 0; round < 20000; ++round) {
        struct cache_settings bad = good;
        for (int changes = 1 + rand() % 4; changes > 0; --changes)
            ((unsigned char *)&bad)[(size_t)rand() % sizeof bad] ^= (unsigned char)(1u << rand() % 8);
        if (settings_check_cache(&bad))
            continue;
        ++accepted;
        struct settings_difference difference;
        struct seen seen = {.name = "name"};
        settings_compare_cache(&good, &bad, &difference);
        settings_each_cache(&bad, NULL, see, &seen);
        assert_true(strlen(bad.name) >= 1 && bad.partitions >= 1 && bad.backups <= BELAY_BACKUPS_MAX);
    }
    assert_in_range(accepted, 1, 19999);
}

static void differences_of_caches_name_the_field_and_both_values(void **state)
{
    (void)state;
    struct settings_difference difference;
    const struct cache_settings left = resolve_cache(&cache_struct, NULL);
    for (size_t i = 1; i < CACHE_SETTINGS; ++i) {
        const struct sample *sample = &cache_samples[i];
        setenv(sample->variable, sample->in_environment, 1);
        const struct cache_settings right = resolve_cache(&cache_struct, NULL);
        unsetenv(sample->variable);
        assert_int_equal(settings_compare_cache(&left, &right, &difference), BELAY_ERR_MISMATCH);
        assert_int_equal(settings_compare_cache(&left, &right, NULL), BELAY_ERR_MISMATCH);
        assert_string_equal(difference.field, sample->name);
        char text[300];
        snprintf(text, sizeof text, "%s (belay_cache_config.%s)", sample->in_struct, sample->name);
        assert_string_equal(difference.left, text);
        snprintf(text, sizeof text, "%s (environment variable %s)", sample->in_environment, sample->variable);
        assert_string_equal(difference.right, text);
    }
    belay_cache_config renamed = cache_struct;
    renamed.name = "Fields";
    struct cache_settings right = resolve_cache(&renamed, NULL);
    assert_int_equal(settings_compare_cache(&left, &right, &difference), BELAY_ERR_MISMATCH);
    assert_string_equal(difference.field, "name");

    /* The same value from elsewhere is no difference. */
    setenv("BELAY_BACKUPS", "2", 1);
    right = resolve_cache(&cache_struct, NULL);
    assert_int_equal(right.origins[CACHE_BACKUPS].source, SETTINGS_ENVIRONMENT);
    assert_int_equal(settings_compare_cache(&left, &right, &difference), BELAY_OK);
}

static void nodes_must_agree_on_some_settings_only(void **state)
{
    (void)state;
    struct settings_difference difference;
    const struct node_settings left = resolve_node(&node_struct);
    for (size_t i = 0; i < NODE_CONFIG_FILE; ++i) {
        const struct sample *sample = &node_samples[i];
        const bool equal = i == NODE_SEGMENT_SIZE || i == NODE_TRANSPORT || i == NODE_FAILURE_TIMEOUT_MS ||
                           i == NODE_JOIN_ROOM || i == NODE_ADDRESS_FILE;
        setenv(sample->variable, sample->in_environment, 1);
        const struct node_settings right = resolve_node(&node_struct);
        unsetenv(sample->variable);
        assert_int_equal(settings_compare_node(&left, &right, &difference),
                         equal ? BELAY_ERR_MISMATCH : BELAY_OK);
        if (equal)
            assert_string_equal(difference.field, sample->name);
    }
    const struct node_settings right = resolve_node(&(belay_config){.config_file = write_file()});
    assert_int_equal(settings_compare_node(&left, &right, &difference), BELAY_ERR_MISMATCH);
    assert_string_equal(difference.field, "transport");
    assert_string_equal(difference.left, "verbs (belay_config.transport)");
    assert_contains(difference.right, "shm (");
    assert_contains(difference.right, "test_settings.xml:3:1)");
}

/* ---- Showing ------------------------------------------------------------------------------------------------- */

static void settings_are_printed_with_value_and_origin(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    setenv("BELAY_BACKUPS", "3", 1);
    const struct node_settings node = resolve_node(&node_struct);
    const struct cache_settings cache = resolve_cache(&(belay_cache_config){.name = "c"}, NULL);
    settings_print_node(stream, &node);
    settings_print_cache(stream, &cache, NULL);
    fclose(stream);
    assert_contains(text, "arena_size                   1G               belay_config.arena_size\n");
    assert_contains(text, "config_file                  none             default\n");
    assert_contains(text,
                    "backups                      3                environment variable BELAY_BACKUPS\n");
    size_t lines = 0;
    for (const char *c = text; *c; ++c)
        lines += *c == '\n';
    assert_int_equal(lines, NODE_SETTINGS + CACHE_SETTINGS);
    free(text);
}

/* ---- The manual's tables and examples ------------------------------------------------------------------------ */

static char *read_manual(void)
{
    char path[PATH_MAX];
    const char *source = getenv("SRC");
    snprintf(path, sizeof path, "%s/doc/configuration.md", source ? source : "..");
    FILE *stream = fopen(path, "r");
    if (!stream)
        fail_msg("%s cannot be opened: SRC must name the source tree", path);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_in_range(fread(text, 1, (1 << 16) - 1, stream), 1, (1 << 16) - 2);
    fclose(stream);
    return text;
}

struct manual {
    const char *text;
    char missing[8192];
};

static void find_row(const struct settings_entry *entry, void *context)
{
    struct manual *manual = context;
    char row[1024];
    snprintf(row, sizeof row, "\n| `%s` | %s%s%s | %s%s%s | %s | %s | %s%s |\n", entry->name,
             *entry->property ? "`" : "", *entry->property ? entry->property : "-",
             *entry->property ? "`" : "", *entry->variable ? "`" : "",
             *entry->variable ? entry->variable : "-", *entry->variable ? "`" : "", entry->allowed,
             *entry->initial ? entry->initial : "-", entry->meaning,
             entry->equal ? "; equal on all nodes" : "");
    if (!strstr(manual->text, row))
        strncat(manual->missing, row + 1, sizeof manual->missing - strlen(manual->missing) - 1);
}

static void the_manual_has_every_setting(void **state)
{
    (void)state;
    char *text = read_manual();
    struct manual manual = {.text = text};
    settings_each_node(NULL, find_row, &manual);
    settings_each_cache(NULL, NULL, find_row, &manual);
    if (*manual.missing)
        fail_msg("doc/configuration.md lacks these rows:\n%s", manual.missing);
    size_t rows = 0;
    for (const char *row = text; (row = strstr(row, "\n| `")); ++row)
        ++rows;
    assert_int_equal(rows, NODE_SETTINGS + CACHE_SETTINGS);
    free(text);
}

static void the_examples_in_the_manual_are_good(void **state)
{
    (void)state;
    static const char begin[] = "```xml\n";
    char *text = read_manual();
    size_t examples = 0;
    for (char *xml = text; (xml = strstr(xml, begin));) {
        xml += strlen(begin);
        char *end = strstr(xml, "```");
        assert_non_null(end);
        settings_file *file;
        if (settings_file_parse("doc/configuration.md", xml, (size_t)(end - xml), &file))
            fail_msg("example %zu: %s", examples + 1, log_last_error());
        settings_file_free(file);
        ++examples;
        xml = end + 3;
    }
    assert_in_range(examples, 2, 100);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup(function, clean_environment)
        TEST(every_node_setting_has_a_default),
        TEST(every_node_setting_comes_from_every_place),
        TEST(every_cache_setting_has_a_default),
        TEST(every_cache_setting_comes_from_every_place),
        TEST(all_names_follow_one_rule),
        TEST(values_have_many_forms),
        TEST(bad_variables_are_refused),
        TEST(bad_cache_variables_are_refused),
        TEST(bad_struct_fields_are_refused),
        TEST(malformed_settings_of_a_peer_are_found),
        TEST(random_settings_of_a_peer_are_harmless),
        TEST(differences_of_caches_name_the_field_and_both_values),
        TEST(nodes_must_agree_on_some_settings_only),
        TEST(settings_are_printed_with_value_and_origin),
        TEST(the_manual_has_every_setting),
        TEST(the_examples_in_the_manual_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
