/* SPDX-License-Identifier: BSD-3-Clause */
/* Which node has which copy: all nodes say the same, every server has its share, copies are on different
 * nodes, and on different hosts as long as there are enough. */
#include "operations.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 64 };

static void check_partition(const struct subject *s, int partition, unsigned *primaries, unsigned *copies)
{
    int backups[NODES + 1];
    int primary = belay_primary_of(s->cache, partition);
    if (!CHECK(primary >= 0 && primary < s->servers, "partition %d has its primary at node %d", partition,
               primary))
        return;
    ++primaries[primary];
    ++copies[primary];
    backups[s->backups] = 4711;
    int count = belay_backups_of(s->cache, partition, backups, NODES);
    if (!CHECK(count == (int)s->backups, "partition %d has %d backups instead of %u", partition, count,
               s->backups))
        return;
    for (int i = 0; i < count; ++i) {
        CHECK(backups[i] >= 0 && backups[i] < s->servers && backups[i] != primary,
              "a backup of partition %d at node %d", partition, backups[i]);
        for (int j = 0; j < i; ++j)
            CHECK(backups[i] != backups[j], "partition %d has two backups at node %d", partition, backups[i]);
        if (backups[i] >= 0 && backups[i] < s->servers)
            ++copies[backups[i]];
    }
    CHECK(backups[s->backups] == 4711, "more backups listed than told");
    if (count > 0) {
        int first = backups[0], listed[2] = {-5, -5};
        CHECK(belay_backups_of(s->cache, partition, listed, 1) == count, "a short list tells another count");
        CHECK(listed[0] == first && listed[1] == -5, "a list of one: %d, %d", listed[0], listed[1]);
        CHECK(belay_backups_of(s->cache, partition, NULL, 0) == count, "no list tells another count");
    }
}

/* Every server has between half and twice its fair share, when the partitions are many. */
static void check_share(const struct subject *s, const unsigned *counts, unsigned total, const char *what)
{
    unsigned fair = total / (unsigned)s->servers;
    for (int node = 0; fair >= 30 && node < s->servers; ++node)
        CHECK(counts[node] >= fair / 2 && counts[node] <= fair * 2, "node %d has %u %s of %u", node,
              counts[node], what, total);
}

static uint64_t digest_of_map(const struct subject *s, int partitions)
{
    uint64_t digest = 1;
    for (int partition = 0; partition < partitions; ++partition) {
        int backups[NODES] = {0};
        int count = belay_backups_of(s->cache, partition, backups, NODES);
        digest = random_mix(digest + (uint64_t)belay_primary_of(s->cache, partition));
        for (int i = 0; i < count; ++i)
            digest = random_mix(digest + (uint64_t)backups[i] + 1000);
    }
    return digest;
}

static void check_keys(const struct subject *s, int partitions)
{
    struct key key;
    uint64_t digest = 1;
    for (unsigned n = 0; n < 200; ++n) {
        key_make(50000 + n, &key);
        int partition = belay_partition_of(s->cache, key.bytes, key.length);
        if (!CHECK(partition >= 0 && partition < partitions, "key %u in partition %d", n, partition))
            continue;
        int is_primary = belay_is_primary(s->cache, key.bytes, key.length);
        CHECK(is_primary == (belay_primary_of(s->cache, partition) == s->job->rank), "is_primary: %d",
              is_primary);
        digest = random_mix(digest + (uint64_t)partition);
    }
    CHECK(job_min(digest) == job_max(digest), "nodes put keys into different partitions");
}

void test_placement(const struct subject *s)
{
    unsigned primaries[NODES] = {0}, copies[NODES] = {0};
    int partitions = belay_partition_count(s->cache),
        expected = s->config.partitions ? (int)s->config.partitions : 256;
    at("placement: %s", s->config.name);
    CHECK(belay_node_id(s->node) == s->job->rank, "node id %d", belay_node_id(s->node));
    CHECK(belay_node_count(s->node) == s->job->ranks, "%d nodes", belay_node_count(s->node));
    CHECK(partitions == expected, "%d partitions of %d", partitions, expected);
    for (int partition = 0; partition < partitions; ++partition)
        check_partition(s, partition, primaries, copies);
    check_share(s, primaries, (unsigned)partitions, "primaries");
    check_share(s, copies, (unsigned)partitions * (1 + s->backups), "copies");
    uint64_t digest = digest_of_map(s, partitions);
    CHECK(job_min(digest) == job_max(digest), "nodes disagree about the placement");
    check_keys(s, partitions);
    CHECK_RESULT(belay_primary_of(s->cache, -1), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_primary_of(s->cache, partitions), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_backups_of(s->cache, -1, NULL, 0), BELAY_ERR_INVALID);
    CHECK_RESULT(belay_backups_of(s->cache, partitions, NULL, 0), BELAY_ERR_INVALID);
}

/* With b backups and at least b + 1 hosts, no two copies are on one host. */
void test_hosts(const struct subject *s, const int *host_of)
{
    bool used[NODES] = {false};
    unsigned hosts = 0;
    for (int node = 0; node < s->servers; ++node)
        if (!used[host_of[node]]) {
            used[host_of[node]] = true;
            ++hosts;
        }
    for (int partition = 0; partition < belay_partition_count(s->cache); ++partition) {
        int nodes[NODES];
        unsigned wanted = 1 + s->backups < hosts ? 1 + s->backups : hosts, found = 0;
        nodes[0] = belay_primary_of(s->cache, partition);
        int count = 1 + belay_backups_of(s->cache, partition, nodes + 1, NODES - 1);
        memset(used, 0, sizeof used);
        for (int i = 0; i < count; ++i) {
            found += !used[host_of[nodes[i]]];
            used[host_of[nodes[i]]] = true;
        }
        CHECK(found == wanted, "the %d copies of partition %d are on %u hosts instead of %u", count,
              partition, found, wanted);
    }
}
