/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A job of three servers loses one; a replacement joins from another job, by the address file, and gets the third copies. Then
 * another server dies, and a client joins, reads everything, writes, and leaves, outlived by the job.
 *
 *   join host          the job: its ranks put, wait for what the others do, and check
 *   join server        the replacement: serves until the job ends
 *   join client        the client
 *
 * BELAY_ADDRESS_FILE names the file. Steps are told through keys of the cache itself. After the first death MPI is of no use, so
 * each process leaves its verdict in $TMPDIR (see tests/failover/join_job).
 */
#include <belay.h>

#include "../support/job.h"
#include "../support/report.h"
#include "../support/watchdog.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VALUE = 3000 };

static const belay_cache_config config = {
    .name = "joined", .backups = 2, .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = 32};
/* With one backup: the two that are left hold everything when the replacement joins, which then takes a share. */
static const belay_cache_config shared_config = {
    .name = "shared", .backups = 1, .write_synchronization_mode = BELAY_FULL_SYNC, .partitions = 32};
static belay_cache *cache, *shared;
static belay_node *node;
static uint32_t keys; /* of each rank; BELAY_TEST_KEYS */

static void make_value(uint32_t key, char *value)
{
    for (size_t i = 0; i < VALUE; ++i)
        value[i] = (char)(key * 31 + i);
}

static void put_keys(uint32_t first, uint32_t end)
{
    char value[VALUE];
    for (uint32_t key = first; key < end; ++key) {
        make_value(key, value);
        CHECK_OK(belay_put(cache, &key, sizeof key, value, VALUE, NULL));
        CHECK_OK(belay_put(shared, &key, sizeof key, value, VALUE, NULL));
    }
}

static void check_keys(uint32_t first, uint32_t end)
{
    char value[VALUE], expected[VALUE];
    for (uint32_t key = first; key < end; ++key) {
        size_t length = 0;
        make_value(key, expected);
        CHECK_OK(belay_get(cache, &key, sizeof key, value, VALUE, &length));
        CHECK(length == VALUE && memcmp(value, expected, VALUE) == 0, "key %u has another value", key);
        CHECK_OK(belay_get(shared, &key, sizeof key, value, VALUE, &length));
        CHECK(length == VALUE && memcmp(value, expected, VALUE) == 0, "key %u has another value", key);
    }
}

static void say(const char *step)
{
    CHECK_OK(belay_put(cache, step, strlen(step), "", 0, NULL));
}

static void await(const char *step)
{
    at("waiting for %s", step);
    while (belay_contains(cache, step, strlen(step)) == BELAY_ERR_NOT_FOUND)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
}

static void await_nodes(int count)
{
    at("waiting for %d nodes", count);
    while (belay_node_count(node) != count)
        nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void check_copies_of(belay_cache *checked)
{
    belay_verify_report report;
    CHECK_OK(belay_await_copies(checked, 20000));
    CHECK_OK(belay_flush(node));
    CHECK_OK(belay_verify(checked, &report));
    CHECK(report.differences == 0 && report.damaged == 0, "copies differ");
}

static void check_copies(void)
{
    at("waiting for copies");
    check_copies_of(cache);
    check_copies_of(shared);
}

static int partitions_here(void)
{
    int here = 0, nodes[16];
    for (int i = 0; i < belay_partition_count(shared); ++i) {
        int count = belay_backups_of(shared, i, nodes, 16);
        for (int backup = 0; backup < count; ++backup)
            here += nodes[backup] == belay_node_id(node);
    }
    return here;
}

static bool all_have_two_copies(void)
{
    belay_partition_state state;
    for (int i = 0; i < belay_partition_count(shared); ++i)
        if (!CHECK_OK(belay_partition_state_of(shared, i, &state)) || state.copies_complete != 2 ||
            state.copies_restoring != 0)
            return false;
    return true;
}

/* What it joined for: about two thirds of the partitions, which have two copies again when others have given theirs up. */
static void await_share(void)
{
    at("waiting for a share");
    while (partitions_here() < 10 || !all_have_two_copies())
        nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void leave(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("TMPDIR"), name);
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(text, file);
        fclose(file);
    }
}

static void host(int rank)
{
    put_keys((uint32_t)rank * keys, (uint32_t)(rank + 1) * keys);
    say((const char *[]){"put 0", "put 1", "put 2"}[rank]);
    await("put 0");
    await("put 1");
    await("put 2");
    if (rank == 2)
        kill(getpid(), SIGKILL);
    await_nodes(2);
    if (rank == 0)
        leave("two-left", "");
    await("the replacement is there");
    check_copies();
    if (rank == 0)
        say("checked");
    await("the replacement has checked");
    if (rank == 1)
        kill(getpid(), SIGKILL);
    await("the client was there");
    check_keys(0, 4 * keys);
    check_copies();
}

static void server(void)
{
    say("the replacement is there");
    await("checked");
    await_share();
    belay_partition_state state;
    for (int i = 0; i < belay_partition_count(cache); ++i) {
        CHECK_OK(belay_partition_state_of(cache, i, &state));
        CHECK(state.copies_complete == 3, "partition %d has %u copies", i, state.copies_complete);
    }
    say("the replacement has checked");
    await_nodes(3);
    check_keys(0, 3 * keys);
    say("one died again");
    await("the client was there");
    check_keys(0, 4 * keys);
}

static void client(void)
{
    await("one died again");
    check_keys(0, 3 * keys);
    put_keys(3 * keys, 4 * keys);
    say("the client was there");
}

static void leave_verdict(const char *role, int rank)
{
    char name[64];
    snprintf(name, sizeof name, "verdict.%s%d", role, rank);
    leave(name, report_failures() == 0 ? "passed\n" : "failed\n");
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "host", *file = getenv("BELAY_ADDRESS_FILE");
    belay_config settings = {.arena_size = 64u << 20};
    int rank = 0, result;
    if (strcmp(role, "host") == 0) {
        MPI_Init(&argc, &argv);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        report_init("join", rank);
        result = belay_open(MPI_COMM_WORLD, &settings, &node);
    } else {
        report_init(role, 0);
        settings.role = strcmp(role, "client") == 0 ? BELAY_ROLE_CLIENT : BELAY_ROLE_SERVER;
        result = belay_join(file, &settings, &node);
    }
    keys = (uint32_t)job_setting("BELAY_TEST_KEYS", 2000);
    watchdog_start(role, rank, (unsigned)job_setting("BELAY_TEST_WATCHDOG", 60));
    if (!CHECK_OK(result) || !CHECK_OK(belay_cache_open(node, &config, &cache)) ||
        !CHECK_OK(belay_cache_open(node, &shared_config, &shared))) {
        leave_verdict(role, rank);
        _exit(1);
    }
    if (strcmp(role, "host") == 0)
        host(rank);
    else if (strcmp(role, "server") == 0)
        server();
    else
        client();
    at("closing");
    CHECK_OK(belay_close(node));
    leave_verdict(role, rank);
    _exit(report_failures() != 0);
}
