/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster/settings_table.h"

#include <string.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)

#define COUNT(array)       (sizeof(array) / sizeof(array)[0])
#define WIDTH(type, field) sizeof(((type *)NULL)->field)
#define PLACE(config, settings, field)                                                                       \
    .config_offset = offsetof(config, field), .config_width = WIDTH(config, field),                          \
    .offset = offsetof(struct settings, field), .width = WIDTH(struct settings, field)
#define IN_NODE(field)  .name = #field, PLACE(belay_config, node_settings, field)
#define IN_CACHE(field) .name = #field, PLACE(belay_cache_config, cache_settings, field), .equal = true

static const struct setting_word roles[] = {
    {"server", BELAY_ROLE_SERVER}, {"client", BELAY_ROLE_CLIENT}, {"spare", BELAY_ROLE_SPARE}, {NULL, 0}};

static const struct setting_word transports[] = {{"auto", BELAY_TRANSPORT_AUTO},
                                                 {"shm", BELAY_TRANSPORT_SHM},
                                                 {"verbs", BELAY_TRANSPORT_VERBS},
                                                 {NULL, 0}};

static const struct setting_word progress_modes[] = {
    {"thread", BELAY_PROGRESS_THREAD}, {"manual", BELAY_PROGRESS_MANUAL}, {NULL, 0}};

static const struct setting_word cache_modes[] = {{"PARTITIONED", BELAY_CACHE_PARTITIONED},
                                                  {"REPLICATED", BELAY_CACHE_REPLICATED},
                                                  {"LOCAL", 0},
                                                  {NULL, 0}};

static const struct setting_word syncs[] = {{"FULL_SYNC", BELAY_FULL_SYNC},
                                            {"PRIMARY_SYNC", BELAY_PRIMARY_SYNC},
                                            {"FULL_ASYNC", BELAY_FULL_ASYNC},
                                            {NULL, 0}};

static const struct setting_word switches[] = {{"false", BELAY_OFF}, {"true", BELAY_ON}, {NULL, 0}};

static const struct setting_word atomicities[] = {{"ATOMIC", BELAY_ATOMIC},
                                                  {"TRANSACTIONAL", BELAY_TRANSACTIONAL},
                                                  {"TRANSACTIONAL_SNAPSHOT", 0},
                                                  {NULL, 0}};

static const struct setting_word loss_policies[] = {{"IGNORE", BELAY_LOSS_IGNORE},
                                                    {"READ_ONLY_SAFE", BELAY_LOSS_READ_ONLY_SAFE},
                                                    {"READ_WRITE_SAFE", BELAY_LOSS_READ_WRITE_SAFE},
                                                    {"READ_ONLY_ALL", 0},
                                                    {"READ_WRITE_ALL", 0},
                                                    {NULL, 0}};

static const struct setting_word expiry_policies[] = {{"MODIFIED", BELAY_EXPIRY_MODIFIED},
                                                      {"CREATED", BELAY_EXPIRY_CREATED},
                                                      {"ACCESSED", 0},
                                                      {"TOUCHED", 0},
                                                      {NULL, 0}};

static const struct setting_word eviction_policies[] = {
    {"NONE", BELAY_EVICTION_NONE}, {"FIFO", BELAY_EVICTION_FIFO}, {"LRU", 0}, {"SORTED", 0}, {NULL, 0}};

static const struct setting node_settings[NODE_SETTINGS] = {
    [NODE_ROLE] = {IN_NODE(role), .property = "role", .variable = "BELAY_ROLE", .type = SETTING_WORD,
                   .words = roles, .initial = BELAY_ROLE_SERVER,
                   .meaning =
                       "servers hold copies; clients only call; spares take the place of dead servers"},
    [NODE_TRANSPORT] = {IN_NODE(transport), .property = "transport", .variable = "BELAY_TRANSPORT",
                        .type = SETTING_WORD, .words = transports, .equal = true,
                        .initial = BELAY_TRANSPORT_AUTO,
                        .meaning = "auto: shared memory within a host, verbs between hosts"},
    [NODE_PROGRESS] = {IN_NODE(progress), .property = "progress", .variable = "BELAY_PROGRESS",
                       .type = SETTING_WORD, .words = progress_modes, .initial = BELAY_PROGRESS_THREAD,
                       .meaning =
                           "thread: peers are answered at once; manual: when this process calls Belay"},
    [NODE_ARENA_SIZE] = {IN_NODE(arena_size), .property = "arenaSize", .variable = "BELAY_ARENA_SIZE",
                         .type = SETTING_SIZE, .minimum = 1 * MIB, .maximum = 64 * TIB, .automatic = "auto",
                         .meaning = "memory of this node for copies and staging; auto: by the host's memory"},
    [NODE_SEGMENT_SIZE] = {IN_NODE(segment_size), .property = "segmentSize", .variable = "BELAY_SEGMENT_SIZE",
                           .type = SETTING_SIZE, .power_of_two = true, .equal = true, .minimum = 16 * KIB,
                           .maximum = 4 * MIB, .initial = 64 * KIB,
                           .meaning = "the step by which a copy grows"},
    [NODE_OPERATION_TIMEOUT_MS] = {IN_NODE(operation_timeout_ms), .property = "operationTimeoutMs",
                                   .variable = "BELAY_OPERATION_TIMEOUT_MS", .type = SETTING_MILLISECONDS,
                                   .minimum = 1, .maximum = UINT64_C(24) * 60 * 60 * 1000,
                                   .initial = 30 * 1000, .meaning = "the longest a call waits for a peer"},
    [NODE_FAILURE_TIMEOUT_MS] = {IN_NODE(failure_timeout_ms), .property = "failureTimeoutMs",
                                 .variable = "BELAY_FAILURE_TIMEOUT_MS", .type = SETTING_MILLISECONDS,
                                 .equal = true, .minimum = 100, .maximum = UINT64_C(60) * 60 * 1000,
                                 .initial = 1500,
                                 .meaning = "a node that is silent for so long is left out of the job"},
    [NODE_PROGRESS_CORE] = {IN_NODE(progress_core), .property = "progressCore",
                            .variable = "BELAY_PROGRESS_CORE", .type = SETTING_NUMBER, .minimum = 1,
                            .maximum = 65536, .automatic = "auto",
                            .meaning =
                                "n: the progress thread is bound to logical core n - 1; auto: by hwloc"},
    [NODE_DEVICE] = {IN_NODE(device), .property = "device", .variable = "BELAY_DEVICE", .type = SETTING_TEXT,
                     .minimum = 1, .maximum = SETTINGS_DEVICE_MAX, .automatic = "auto",
                     .meaning = "RDMA device; auto: the first that passes a test"},
    [NODE_JOIN_ROOM] = {IN_NODE(join_room), .property = "joinRoom", .variable = "BELAY_JOIN_ROOM",
                        .type = SETTING_NUMBER, .minimum = 1, .maximum = 1024, .automatic = "auto",
                        .equal = true,
                        .meaning =
                            "how many processes can join a running job; auto: 16 with an address file, "
                            "else none"},
    [NODE_ADDRESS_FILE] = {IN_NODE(address_file), .property = "addressFile", .variable = "BELAY_ADDRESS_FILE",
                           .type = SETTING_TEXT, .minimum = 1, .maximum = SETTINGS_PATH_MAX,
                           .automatic = "none", .equal = true,
                           .meaning = "file to write, by which processes join the running job"},
    [NODE_CONFIG_FILE] = {IN_NODE(config_file), .variable = "BELAY_CONFIG_FILE", .type = SETTING_TEXT,
                          .minimum = 1, .maximum = SETTINGS_PATH_MAX, .automatic = "none",
                          .meaning = "XML file with settings of nodes and caches"},
};

static const struct setting cache_settings[CACHE_SETTINGS] = {
    [CACHE_NAME] = {IN_CACHE(name), .property = "name", .type = SETTING_TEXT, .minimum = 1,
                    .maximum = BELAY_CACHE_NAME_MAX, .meaning = "has no default"},
    [CACHE_MODE] = {IN_CACHE(cache_mode), .property = "cacheMode", .variable = "BELAY_CACHE_MODE",
                    .type = SETTING_WORD, .words = cache_modes, .initial = BELAY_CACHE_PARTITIONED,
                    .meaning = "PARTITIONED: 1 + backups copies; REPLICATED: a copy on every server"},
    [CACHE_BACKUPS] = {IN_CACHE(backups), .property = "backups", .variable = "BELAY_BACKUPS",
                       .type = SETTING_NUMBER, .maximum = BELAY_BACKUPS_MAX,
                       .meaning = "backup copies of every partition, as far as there are servers"},
    [CACHE_WRITE_SYNCHRONIZATION_MODE] =
        {IN_CACHE(write_synchronization_mode), .property = "writeSynchronizationMode",
         .variable = "BELAY_WRITE_SYNCHRONIZATION_MODE", .type = SETTING_WORD, .words = syncs,
         .initial = BELAY_FULL_ASYNC, .meaning = "what a write waits for: all copies, the primary, nobody"},
    [CACHE_ATOMICITY_MODE] = {IN_CACHE(atomicity_mode), .property = "atomicityMode",
                              .variable = "BELAY_ATOMICITY_MODE", .type = SETTING_WORD, .words = atomicities,
                              .initial = BELAY_ATOMIC,
                              .meaning = "TRANSACTIONAL: the cache may take part in transactions"},
    [CACHE_PARTITION_LOSS_POLICY] = {IN_CACHE(partition_loss_policy), .property = "partitionLossPolicy",
                                     .variable = "BELAY_PARTITION_LOSS_POLICY", .type = SETTING_WORD,
                                     .words = loss_policies, .initial = BELAY_LOSS_IGNORE,
                                     .meaning = "what is allowed once all copies of a partition are gone"},
    [CACHE_PARTITIONS] = {IN_CACHE(partitions), .property = "partitions", .variable = "BELAY_PARTITIONS",
                          .type = SETTING_NUMBER, .power_of_two = true, .minimum = 1,
                          .maximum = BELAY_PARTITIONS_MAX, .initial = 256,
                          .meaning = "slices of the key space"},
    [CACHE_READ_FROM_BACKUP] =
        {IN_CACHE(read_from_backup), .property = "readFromBackup", .variable = "BELAY_READ_FROM_BACKUP",
         .type = SETTING_WORD, .words = switches, .initial = BELAY_OFF,
         .meaning = "true: a get may use a backup on its own host, which may be slightly old"},
    [CACHE_NEAR_CACHE_SIZE] = {IN_CACHE(near_cache_size), .property = "nearCacheSize",
                               .variable = "BELAY_NEAR_CACHE_SIZE", .type = SETTING_SIZE, .minimum = 64 * KIB,
                               .maximum = 1 * TIB, .automatic = "none",
                               .meaning = "memory at every process for values read from other hosts"},
    [CACHE_EXPIRY_POLICY] = {IN_CACHE(expiry_policy), .property = "expiryPolicy",
                             .variable = "BELAY_EXPIRY_POLICY", .type = SETTING_WORD,
                             .words = expiry_policies, .initial = BELAY_EXPIRY_MODIFIED,
                             .meaning =
                                 "when the time of an entry begins: with its last update, or when it is "
                                 "created"},
    [CACHE_TIME_TO_LIVE_MS] = {IN_CACHE(time_to_live_ms), .property = "timeToLiveMs",
                               .variable = "BELAY_TIME_TO_LIVE_MS", .type = SETTING_MILLISECONDS,
                               .minimum = 1, .maximum = BELAY_TIME_TO_LIVE_MAX_MS, .automatic = "never",
                               .meaning = "how long an entry stays; never: until it is removed"},
    [CACHE_EVICTION_POLICY] = {IN_CACHE(eviction_policy), .property = "evictionPolicy",
                               .variable = "BELAY_EVICTION_POLICY", .type = SETTING_WORD,
                               .words = eviction_policies, .initial = BELAY_EVICTION_NONE,
                               .meaning = "FIFO: when an arena is full, what was written first is removed"},
};

const struct settings_table settings_node_table = {"belay_config", node_settings, COUNT(node_settings),
                                                   offsetof(struct node_settings, origins)};
const struct settings_table settings_cache_table = {
    "belay_cache_config", cache_settings, COUNT(cache_settings), offsetof(struct cache_settings, origins)};

const struct setting *settings_table_find(const struct settings_table *table, const char *property)
{
    for (size_t i = 0; i < table->count; ++i) {
        const struct setting *setting = &table->settings[i];
        if (setting->property && strcmp(setting->property, property) == 0)
            return setting;
    }
    return NULL;
}

const char *settings_table_advice(const char *property)
{
    static const struct {
        const char *property, *advice;
    } foreign[] = {
        {"discoverySpi", "nodes find each other by MPI"},
        {"communicationSpi", "how nodes talk is the property transport"},
        {"clientMode", "what a node is for is the property role"},
        {"dataStorageConfiguration", "memory is the property arenaSize, and nothing is kept on disk"},
        {"rebalanceMode", "lost copies are always restored behind the writes"},
        {"nearConfiguration", "a near cache is had by the property nearCacheSize"},
        {"evictionPolicyFactory", "what gives way when memory is full is the property evictionPolicy"},
        {"expiryPolicyFactory", "how long entries stay are the properties timeToLiveMs and expiryPolicy"},
        {"igniteInstanceName", "a job has one instance"},
    };
    for (size_t i = 0; i < COUNT(foreign); ++i)
        if (strcmp(foreign[i].property, property) == 0)
            return foreign[i].advice;
    return NULL;
}
