/* SPDX-License-Identifier: BSD-3-Clause */
/* The border of the library: what it does not accept it says so, and nothing is changed. */
#include "operations.h"

#include <stdio.h>
#include <string.h>

static void test_keys_and_values(belay_cache *c)
{
    static const unsigned char key[BELAY_KEY_MAX + 1] = {0};
    const belay_write_options bad = {.sync = (belay_sync)7}, negative = {.sync = (belay_sync)-1};
    char value[8] = "";
    size_t length = 4711, too_long = (size_t)BELAY_VALUE_MAX + 1;
    uint64_t version = 4711;
    int64_t old = 4711;
    struct {
        const void *key;
        size_t length;
        int expected;
    } keys[] = {{NULL, 4, BELAY_ERR_INVALID},
                {key, 0, BELAY_ERR_INVALID},
                {NULL, 0, BELAY_ERR_INVALID},
                {key, BELAY_KEY_MAX + 1, BELAY_ERR_TOO_LARGE},
                {key, SIZE_MAX, BELAY_ERR_TOO_LARGE}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; ++i) {
        const void *k = keys[i].key;
        size_t l = keys[i].length;
        int e = keys[i].expected;
        belay_request *request = NULL;
        CHECK_RESULT(belay_put(c, k, l, value, 1, NULL), e);
        CHECK_RESULT(belay_get(c, k, l, value, 8, &length), e);
        CHECK_RESULT(belay_get_versioned(c, k, l, value, 8, &length, &version), e);
        CHECK_RESULT(belay_remove(c, k, l, NULL), e);
        CHECK_RESULT(belay_contains(c, k, l), e);
        CHECK_RESULT(belay_put_if_absent(c, k, l, value, 1, NULL), e);
        CHECK_RESULT(belay_replace(c, k, l, value, 1, NULL), e);
        CHECK_RESULT(belay_get_and_put(c, k, l, value, 1, NULL, value, 8, &length), e);
        CHECK_RESULT(belay_compare_and_set(c, k, l, 0, value, 1, NULL, &version), e);
        CHECK_RESULT(belay_fetch_add(c, k, l, 1, NULL, &old), e);
        CHECK_RESULT(belay_put_nb(c, k, l, value, 1, NULL, &request), e);
        CHECK_RESULT(belay_get_nb(c, k, l, value, 8, &length, &request), e);
        CHECK_RESULT(belay_remove_nb(c, k, l, NULL, &request), e);
        CHECK_RESULT(belay_fetch_add_nb(c, k, l, 1, NULL, &old, &request), e);
        CHECK(request == NULL, "a request for a key that was refused");
        CHECK(belay_partition_of(c, k, l) < 0 && belay_is_primary(c, k, l) < 0, "a partition for a bad key");
    }
    CHECK(length == 4711 && version == 4711 && old == 4711, "a refused call set an output");

    CHECK_RESULT(belay_put(c, "k", 1, NULL, 1, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put(c, "k", 1, value, too_long, NULL), BELAY_ERR_TOO_LARGE);
    CHECK_RESULT(belay_put_if_absent(c, "k", 1, NULL, 1, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put_if_absent(c, "k", 1, value, too_long, NULL), BELAY_ERR_TOO_LARGE);
    CHECK_RESULT(belay_replace(c, "k", 1, NULL, 1, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_replace(c, "k", 1, value, too_long, NULL), BELAY_ERR_TOO_LARGE);
    CHECK_RESULT(belay_get_and_put(c, "k", 1, NULL, 1, NULL, value, 8, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get_and_put(c, "k", 1, value, too_long, NULL, value, 8, &length), BELAY_ERR_TOO_LARGE);
    CHECK_RESULT(belay_get_and_put(c, "k", 1, value, 1, NULL, NULL, 8, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get_and_put(c, "k", 1, value, 1, NULL, value, 8, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_compare_and_set(c, "k", 1, 0, NULL, 1, NULL, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_compare_and_set(c, "k", 1, 0, value, too_long, NULL, NULL), BELAY_ERR_TOO_LARGE);
    CHECK_RESULT(belay_get(c, "k", 1, NULL, 8, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get(c, "k", 1, value, 8, NULL), BELAY_ERR_INVALID);

    CHECK_RESULT(belay_put(c, "k", 1, value, 1, &bad), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put(c, "k", 1, value, 1, &negative), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_remove(c, "k", 1, &bad), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put_if_absent(c, "k", 1, value, 1, &bad), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_replace(c, "k", 1, value, 1, &bad), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get_and_put(c, "k", 1, value, 1, &bad, value, 8, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_compare_and_set(c, "k", 1, 0, value, 1, &bad, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_fetch_add(c, "k", 1, 1, &bad, NULL), BELAY_ERR_INVALID);
    belay_put_item item = {.key = {"k", 1}, .value = {value, 1}};
    CHECK_RESULT(belay_put_all(c, &item, 1, &bad), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_contains(c, "k", 1), BELAY_ERR_NOT_FOUND);
}

static void test_null_handles(belay_cache *c)
{
    char value[8] = "";
    size_t length = 4711;
    uint64_t number = 4711;
    belay_request *request = NULL;
    belay_cache_stats stats;
    belay_verify_report report;
    CHECK_RESULT(belay_put(NULL, "k", 1, value, 1, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get(NULL, "k", 1, value, 8, &length), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_remove(NULL, "k", 1, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_contains(NULL, "k", 1), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_fetch_add(NULL, "k", 1, 1, NULL, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put_all(NULL, NULL, 0, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get_all(NULL, NULL, 0), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put_all(c, NULL, 1, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get_all(c, NULL, 1), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_size(NULL, &number), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_size(c, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_clear(NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_stats(NULL, &stats), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_stats(c, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_verify(NULL, &report), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_verify(c, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_iterate(c, 0, NULL, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_flush(NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_put_nb(c, "k", 1, value, 1, NULL, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_get_nb(c, "k", 1, value, 8, &length, NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_wait(NULL), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_wait(&request), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_wait_all(NULL, 1, NULL), BELAY_ERR_INVALID);
    CHECK_OK(belay_wait_all(NULL, 0, NULL));
    CHECK_RESULT(belay_test(NULL, &(int){0}), BELAY_ERR_INVALID);
    CHECK_OK(belay_cache_close(NULL));
    CHECK_OK(belay_close(NULL));
    CHECK(belay_partition_of(NULL, "k", 1) < 0 && belay_primary_of(NULL, 0) < 0 &&
              belay_is_primary(NULL, "k", 1) < 0 && belay_partition_count(NULL) < 0 &&
              belay_backups_of(NULL, 0, NULL, 0) < 0,
          "placement of no cache");
    CHECK_RESULT(belay_open(MPI_COMM_WORLD, NULL, NULL), BELAY_ERR_INVALID);
}

void test_arguments(const struct subject *s)
{
    at("arguments: %s", s->config.name);
    test_keys_and_values(s->cache);
    test_null_handles(s->cache);
    job_barrier();
}

/* ---- Configurations of caches ---- */

static void refuse(belay_node *node, const belay_cache_config *config, const char *what)
{
    int placeholder;
    belay_cache *untouched = (belay_cache *)&placeholder, *cache = untouched;
    int result = belay_cache_open(node, config, &cache);
    CHECK(result == BELAY_ERR_INVALID || result == BELAY_ERR_CONFIG, "%s: %s", what, belay_strerror(result));
    CHECK(cache == untouched, "%s: an output was set", what);
    CHECK(*belay_last_error() != '\0', "%s: no message", what);
}

void test_cache_configurations(belay_node *node)
{
    char long_name[BELAY_CACHE_NAME_MAX + 2];
    memset(long_name, 'n', sizeof long_name);
    long_name[BELAY_CACHE_NAME_MAX + 1] = '\0';
    at("cache configurations");
    refuse(node, NULL, "no configuration");
    refuse(node, &(belay_cache_config){.name = NULL}, "no name");
    refuse(node, &(belay_cache_config){.name = ""}, "an empty name");
    refuse(node, &(belay_cache_config){.name = long_name}, "a long name");
    refuse(node, &(belay_cache_config){.name = "bad", .cache_mode = (belay_cache_mode)9}, "cache mode 9");
    refuse(node, &(belay_cache_config){.name = "bad", .backups = BELAY_BACKUPS_MAX + 1}, "too many backups");
    refuse(node, &(belay_cache_config){.name = "bad", .write_synchronization_mode = (belay_sync)9},
           "sync mode 9");
    refuse(node, &(belay_cache_config){.name = "bad", .atomicity_mode = (belay_atomicity)9}, "atomicity 9");
    refuse(node, &(belay_cache_config){.name = "bad", .partition_loss_policy = (belay_loss_policy)9},
           "loss policy 9");
    refuse(node, &(belay_cache_config){.name = "bad", .partitions = 3}, "3 partitions");
    refuse(node, &(belay_cache_config){.name = "bad", .partitions = BELAY_PARTITIONS_MAX * 2},
           "too many partitions");
    belay_cache *cache = NULL;
    CHECK_RESULT(belay_cache_open(NULL, &(belay_cache_config){.name = "x"}, &cache), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_cache_open(node, &(belay_cache_config){.name = "x"}, NULL), BELAY_ERR_INVALID);

    long_name[BELAY_CACHE_NAME_MAX] = '\0'; /* just short enough */
    cache = job_cache(node, &(belay_cache_config){.name = long_name, .partitions = 1});
    CHECK_OK(belay_put(cache, "k", 1, "v", 1, NULL));
    job_barrier();
    CHECK_OK(belay_cache_close(cache)); /* the data stays */
    job_barrier();
    cache = job_cache(node, &(belay_cache_config){.name = long_name, .partitions = 1});
    CHECK_OK(belay_flush(node));
    CHECK_OK(belay_contains(cache, "k", 1));
    job_barrier();
    CHECK_OK(belay_cache_close(cache));
}

void test_texts(void)
{
    for (int code = BELAY_ERR_DIFFERS; code <= BELAY_OK; ++code) {
        const char *text = belay_strerror(code);
        if (!CHECK(text && strncmp(text, code == BELAY_OK ? "BELAY_OK" : "BELAY_ERR_", 8) == 0,
                   "text of %d: %s", code, text ? text : "NULL"))
            continue;
        for (int other = code + 1; other <= BELAY_OK; ++other)
            CHECK(strcmp(text, belay_strerror(other)) != 0, "%d and %d have the same text", code, other);
    }
    CHECK(belay_strerror(-1000) && belay_strerror(1000), "no text for an unknown code");
    char version[16];
    snprintf(version, sizeof version, "%d.%d.", BELAY_VERSION_MAJOR, BELAY_VERSION_MINOR);
    CHECK(strstr(belay_version(), version) != NULL, "belay_version() is %s", belay_version());
    CHECK(strstr(belay_version(), "shm") != NULL, "belay_version() names no transport: %s", belay_version());
}
