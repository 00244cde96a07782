/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bad configurations get a named error on every node, with a message that says what is wrong, and a good
 * attempt after it succeeds. That there is no RDMA device is tried where there is none.
 *
 * bad_input [dies]: with `dies`, rank 1 dies while the others are in belay_open(); mpirun then ends the
 * job.
 */
#include "../support/device.h"
#include "../support/job.h"

#include <belay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ALL = -1, WORDS = 3 };

/* The thread's last message holds all of these words. */
static void expect_words(const char *what, const char *const *words)
{
    for (unsigned i = 0; i < WORDS && words[i]; ++i)
        CHECK(strstr(belay_last_error(), words[i]) != NULL, "%s: the message does not say \"%s\": %s", what,
              words[i], belay_last_error());
}

/* Collective: this open fails with the same error on every rank. */
static bool refused(const belay_config *config, int expected, const char *what)
{
    int placeholder;
    belay_node *untouched = (belay_node *)&placeholder, *node = untouched;
    at("%s", what);
    int result = belay_open(MPI_COMM_WORLD, config, &node);
    CHECK(result == expected, "%s: belay_open gave %s instead of %s: %s", what, belay_strerror(result),
          belay_strerror(expected), belay_last_error());
    if (result == BELAY_OK)
        CHECK_OK(belay_close(node));
    else
        CHECK(node == untouched && *belay_last_error() != '\0',
              "%s: an output was set, or there is no message", what);
    return result == expected;
}

static void expect_good_open(void)
{
    belay_node *node = job_open(&(belay_config){.arena_size = 32ull << 20});
    belay_cache *cache = job_cache(node,
                                   &(belay_cache_config){.name = "good", .backups = 1, .partitions = 4});
    CHECK_OK(belay_put(cache, "k", 1, "v", 1, NULL));
    CHECK_OK(belay_contains(cache, "k", 1));
    job_close(node);
}

/* ---- Settings of nodes ---- */

struct node_case {
    int rank; /* who has the bad setting, or ALL */
    const char *variable, *value;
    int expected;
    const char *words[WORDS]; /* in the message of the rank that has it; with MISMATCH, of all */
};

static const struct node_case node_cases[] = {
    {ALL, "BELAY_TRANSPORT", "tcp", BELAY_ERR_CONFIG, {"BELAY_TRANSPORT", "tcp", "verbs"}},
    {1, "BELAY_TRANSPORT", "tcp", BELAY_ERR_CONFIG, {"BELAY_TRANSPORT", "tcp", "verbs"}},
    {ALL, "BELAY_ROLE", "boss", BELAY_ERR_CONFIG, {"BELAY_ROLE", "boss", "client"}},
    {1, "BELAY_PROGRESS", "sometimes", BELAY_ERR_CONFIG, {"BELAY_PROGRESS", "sometimes", "manual"}},
    {ALL, "BELAY_ARENA_SIZE", "lots", BELAY_ERR_CONFIG, {"BELAY_ARENA_SIZE", "lots"}},
    {ALL, "BELAY_ARENA_SIZE", "-1", BELAY_ERR_CONFIG, {"BELAY_ARENA_SIZE", "-1"}},
    {ALL, "BELAY_ARENA_SIZE", "4096", BELAY_ERR_CONFIG, {"BELAY_ARENA_SIZE", "4096"}},
    {ALL, "BELAY_ARENA_SIZE", "99999999999999999999G", BELAY_ERR_CONFIG, {"BELAY_ARENA_SIZE"}},
    {ALL, "BELAY_SEGMENT_SIZE", "50000", BELAY_ERR_CONFIG, {"BELAY_SEGMENT_SIZE", "50000", "power of two"}},
    {1, "BELAY_SEGMENT_SIZE", "8K", BELAY_ERR_CONFIG, {"BELAY_SEGMENT_SIZE", "8K"}},
    {ALL, "BELAY_SEGMENT_SIZE", "64M", BELAY_ERR_CONFIG, {"BELAY_SEGMENT_SIZE", "64M"}},
    {ALL, "BELAY_OPERATION_TIMEOUT_MS", "soon", BELAY_ERR_CONFIG, {"BELAY_OPERATION_TIMEOUT_MS", "soon"}},
    {1, "BELAY_CONFIG_FILE", "/no/such/file.xml", BELAY_ERR_CONFIG, {"/no/such/file.xml"}},
    {1, "BELAY_SEGMENT_SIZE", "32K", BELAY_ERR_MISMATCH, {"segment_size", "64K", "32K"}},
};

static bool has_setting(const struct job *job, int rank)
{
    return rank == ALL || rank == job->rank;
}

static void test_node_settings(const struct job *job)
{
    for (size_t i = 0; i < COUNT(node_cases); ++i) {
        const struct node_case *c = &node_cases[i];
        char what[128];
        if (c->rank >= job->ranks)
            continue;
        snprintf(what, sizeof what, "%s=%s on %s", c->variable, c->value,
                 c->rank == ALL ? "all ranks" : "one rank");
        char *before = getenv(c->variable) ? strdup(getenv(c->variable)) : NULL;
        if (has_setting(job, c->rank))
            setenv(c->variable, c->value, 1);
        if (refused(&(belay_config){.arena_size = 32ull << 20}, c->expected, what) &&
            (has_setting(job, c->rank) || c->expected == BELAY_ERR_MISMATCH))
            expect_words(what, c->words);
        if (before)
            setenv(c->variable, before, 1);
        else
            unsetenv(c->variable);
        free(before);
    }
}

static void test_node_structs(const struct job *job)
{
    bool odd = job->rank == job->ranks - 1; /* the last one alone has it */
    belay_config config = {.arena_size = 32ull << 20};
    belay_config bad = config;
    bad.role = (belay_role)17;
    refused(odd ? &bad : &config, BELAY_ERR_CONFIG, "role 17");
    bad = config;
    bad.progress = (belay_progress_mode)17;
    refused(odd ? &bad : &config, BELAY_ERR_CONFIG, "progress 17");
    bad = config;
    bad.segment_size = 65537;
    refused(odd ? &bad : &config, BELAY_ERR_CONFIG, "segment_size 65537");
    bad = config;
    bad.arena_size = 100;
    refused(odd ? &bad : &config, BELAY_ERR_CONFIG, "arena_size 100");
    if (job->ranks > 1) {
        bad = config;
        bad.segment_size = 128 * 1024;
        if (refused(odd ? &bad : &config, BELAY_ERR_MISMATCH, "segment_size 128 KiB"))
            expect_words("segment_size 128 KiB", (const char *[WORDS]){"segment_size", "128K", "64K"});
    }
    bad = config;
    bad.role = BELAY_ROLE_CLIENT;
    refused(&bad, BELAY_ERR_CONFIG, "nobody is a server");
}

/* ---- Settings of caches ---- */

struct cache_case {
    belay_cache_config config; /* of the last rank; the others have the defaults */
    const char *words[WORDS];
};

static const struct cache_case cache_cases[] = {
    {{.name = "a", .cache_mode = BELAY_CACHE_REPLICATED}, {"cache_mode", "REPLICATED", "PARTITIONED"}},
    {{.name = "b", .backups = 7}, {"backups", "7", "0"}},
    {{.name = "c", .write_synchronization_mode = BELAY_FULL_SYNC},
     {"write_synchronization_mode", "FULL_SYNC", "FULL_ASYNC"}},
    {{.name = "d", .partition_loss_policy = BELAY_LOSS_READ_ONLY_SAFE},
     {"partition_loss_policy", "READ_ONLY_SAFE", "IGNORE"}},
    {{.name = "e", .partitions = 32}, {"partitions", "32", "256"}},
};

static void test_cache_settings(const struct job *job)
{
    belay_node *node = job_open(&(belay_config){.arena_size = 32ull << 20});
    for (size_t i = 0; i < COUNT(cache_cases); ++i) {
        const struct cache_case *c = &cache_cases[i];
        belay_cache_config usual = {.name = c->config.name};
        belay_cache *cache = NULL;
        at("unequal %s", c->words[0]);
        int result = belay_cache_open(node, job->rank == job->ranks - 1 ? &c->config : &usual, &cache);
        if (CHECK(result == BELAY_ERR_MISMATCH, "unequal %s: %s", c->words[0], belay_strerror(result)))
            expect_words(c->words[0], c->words);
        CHECK(cache == NULL, "unequal %s: an output was set", c->words[0]);
        job_barrier();
        cache = job_cache(node, &usual); /* the name is free again */
        CHECK_OK(belay_put(cache, "k", 1, "v", 1, NULL));
        job_barrier();
    }
    job_close(node);
}

/* One more than there can be: those that are open stay as they are. */
static void test_too_many_caches(void)
{
    belay_node *node = job_open(&(belay_config){.arena_size = 64ull << 20});
    belay_cache *cache = NULL, *refused = NULL;
    char name[16];
    for (unsigned i = 0; i < BELAY_CACHES_MAX; ++i) {
        at("cache %u", i);
        snprintf(name, sizeof name, "many-%u", i);
        cache = job_cache(node, &(belay_cache_config){.name = name, .partitions = 1});
    }
    at("a cache too many");
    CHECK_RESULT(belay_cache_open(node, &(belay_cache_config){.name = "one more", .partitions = 1}, &refused),
                 BELAY_ERR_TOO_LARGE);
    expect_words("a cache too many", (const char *[WORDS]){"one more", "64"});
    CHECK_OK(belay_put(cache, "k", 1, "v", 1, NULL));
    job_barrier();
    job_close(node);
}

/* One server does not come to open a cache: the others get an error when the operation timeout is over. */
static void test_missing_server(const struct job *job)
{
    belay_node *node = job_open(&(belay_config){.arena_size = 32ull << 20, .operation_timeout_ms = 1500});
    belay_cache *cache = NULL;
    at("a server does not open the cache");
    if (job->rank != 0) {
        uint64_t start = job_clock();
        CHECK_RESULT(belay_cache_open(node, &(belay_cache_config){.name = "lonely"}, &cache),
                     BELAY_ERR_TIMEOUT);
        CHECK(job_clock() - start < 10000000000ull, "a timeout of 1.5 s took %.1f s",
              (double)(job_clock() - start) / 1e9);
    }
    job_barrier();
    job_close(node);
}

/* ---- What the machine has ---- */

static void test_no_device(void)
{
    belay_config config = {.arena_size = 32ull << 20, .transport = BELAY_TRANSPORT_VERBS};
    if (!device_can_be_used()) {
        refused(&config, BELAY_ERR_NOT_SUPPORTED, "verbs in a build without");
    } else if (device_is_there()) {
        config.device = "nosuch0";
        if (refused(&config, BELAY_ERR_NO_DEVICE, "device nosuch0"))
            expect_words("device nosuch0", (const char *[WORDS]){"nosuch0"});
    } else if (refused(&config, BELAY_ERR_NO_DEVICE, "verbs without a device")) {
        expect_words("verbs without a device", (const char *[WORDS]){"Soft-RoCE", "mpi-launch"});
    }
}

/* Ranks that look like different hosts cannot use shared memory. */
static void test_several_hosts(const struct job *job)
{
    char name[32];
    snprintf(name, sizeof name, "pretended-%d", job->rank);
    setenv("BELAY_TEST_HOST", name, 1);
    char *before = getenv("BELAY_TRANSPORT") ? strdup(getenv("BELAY_TRANSPORT")) : NULL;
    setenv("BELAY_TRANSPORT", "shm", 1);
    if (job->ranks > 1)
        refused(&(belay_config){.arena_size = 32ull << 20}, BELAY_ERR_CONFIG, "shared memory between hosts");
    if (before)
        setenv("BELAY_TRANSPORT", before, 1);
    else
        unsetenv("BELAY_TRANSPORT");
    free(before);
    unsetenv("BELAY_TEST_HOST");
}

static int die(const struct job *job)
{
    belay_node *node;
    if (job->rank == 1)
        _exit(3);
    belay_open(MPI_COMM_WORLD, NULL, &node);
    return JOB_PASSED;
}

int main(int argc, char **argv)
{
    struct job job;
    setenv("BELAY_LOG", "off", 0); /* what is logged is meant: each test looks at the same text */
    job_begin(&argc, &argv, "bad_input", 0, &job);
    if (argc > 1 && strcmp(argv[1], "dies") == 0)
        return die(&job);
    test_node_settings(&job);
    test_node_structs(&job);
    expect_good_open();
    if (job.ranks > 1) {
        test_cache_settings(&job);
        test_missing_server(&job);
    }
    test_too_many_caches();
    test_no_device();
    test_several_hosts(&job);
    expect_good_open();
    return job_end(&job);
}
