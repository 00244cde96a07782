/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An update whose caller is in no hurry to repeat it. Rank 0 applies it and dies before its answer (BELAY_TEST_KILL). The next primary
 * writes so much that it would reuse the log many times over, and dies as well; only now the caller looks after its update, at a
 * third primary: it must not be applied twice. What was kept for that is given free when it is not needed any more.
 *
 * Ranks 0 to 2 are servers with a copy each, 3 is the caller, a client.
 */
#include "../support/random.h"
#include "board.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SERVERS = 3, CALLER = 3, VALUES = 500, VALUE_BYTES = 6000, ROUNDS = 12, WITHIN_MS = 10000 };

static const belay_write_options full_sync = {.sync = BELAY_FULL_SYNC};

struct scene {
    struct job job;
    struct board *board;
    belay_node *node;
    belay_cache *cache;
    uint32_t counter; /* a key whose primary is rank 0 */
    int next;         /* its next primary */
    struct random_source random;
};

static void await_nodes(const struct scene *s, int count)
{
    uint64_t ends = job_clock() + WITHIN_MS * 1000000ull;
    at("waiting for %d nodes", count);
    while (belay_node_count(s->node) != count && job_clock() < ends)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    CHECK(belay_node_count(s->node) == count, "%d nodes are in the view", belay_node_count(s->node));
    board_barrier(s->board, &s->job);
}

static void choose_counter(struct scene *s)
{
    int backups[SERVERS];
    int partition = -1;
    for (; partition < 0 || belay_primary_of(s->cache, partition) != 0; ++s->counter)
        partition = belay_partition_of(s->cache, &s->counter, sizeof s->counter);
    --s->counter;
    CHECK(belay_backups_of(s->cache, partition, backups, SERVERS) == SERVERS - 1, "not two backups");
    s->next = backups[0];
}

/* Values in the counter's partition, of any length: no byte of a segment that is used again stays what it was. @return the first
 * failure. */
static int write_values(struct scene *s)
{
    static unsigned char value[VALUE_BYTES];
    int counters = belay_partition_of(s->cache, &s->counter, sizeof s->counter);
    uint32_t key = 1u << 20;
    for (int written = 0; written < VALUES; ++key) {
        if (belay_partition_of(s->cache, &key, sizeof key) != counters)
            continue;
        int result = belay_put(s->cache, &key, sizeof key, value, random_below(&s->random, sizeof value),
                               &full_sync);
        if (result != BELAY_OK)
            return result;
        ++written;
    }
    return BELAY_OK;
}

/* Everything is superseded, and what can be reused is, for as long as the arena has room for what is kept. */
static void use_log(struct scene *s)
{
    int64_t old = -1;
    at("using the log");
    CHECK_OK(belay_fetch_add(s->cache, &s->counter, sizeof s->counter, 10, &full_sync, &old));
    CHECK(old == 1, "the counter was %lld", (long long)old);
    for (int i = 0; i < ROUNDS; ++i) {
        int result = write_values(s);
        CHECK(result == BELAY_OK || result == BELAY_ERR_NO_SPACE, "put gave %s", belay_strerror(result));
    }
}

static void check_repeated(const struct scene *s, belay_request *update, const int64_t *old)
{
    int64_t value = 0;
    size_t length;
    at("repeating the update");
    CHECK_OK(belay_wait(&update));
    CHECK(*old == 0, "the update found %lld", (long long)*old);
    CHECK_OK(belay_get(s->cache, &s->counter, sizeof s->counter, &value, sizeof value, &length));
    CHECK(value == 11, "the counter is %lld", (long long)value);
}

static void check_afterwards(struct scene *s)
{
    belay_verify_report report;
    at("using the log afterwards");
    for (int i = 0; i < ROUNDS; ++i)
        CHECK_OK(write_values(s));
    CHECK_OK(belay_await_copies(s->cache, WITHIN_MS));
    CHECK_OK(belay_verify(s->cache, &report));
}

int main(int argc, char **argv)
{
    static struct scene s;
    belay_request *update = NULL;
    int64_t old = -1;
    job_begin(&argc, &argv, "repeated", 1, &s.job);
    s.board = board_open(&s.job);
    s.node = job_open(&(belay_config){.role = s.job.rank == CALLER ? BELAY_ROLE_CLIENT : BELAY_ROLE_SERVER,
                                      .arena_size = 3ull << 20,
                                      .segment_size = 16 << 10});
    s.cache = job_cache(s.node, &(belay_cache_config){.name = "kept", .backups = 2, .partitions = 16});
    s.random = random_stream(s.job.seed, (uint64_t)s.job.rank, 0);
    choose_counter(&s);
    if (s.job.rank == CALLER)
        CHECK_OK(write_values(&s));
    job_barrier(); /* the last use of MPI */
    if (s.job.rank == CALLER)
        CHECK_OK(belay_fetch_add_nb(s.cache, &s.counter, sizeof s.counter, 1, &full_sync, &old, &update));
    await_nodes(&s, SERVERS);
    if (s.job.rank == s.next) {
        use_log(&s);
        kill(getpid(), SIGKILL);
    }
    await_nodes(&s, SERVERS - 1);
    if (s.job.rank == CALLER)
        check_repeated(&s, update, &old);
    board_barrier(s.board, &s.job);
    if (s.job.rank != CALLER)
        check_afterwards(&s);
    board_barrier(s.board, &s.job);
    at("belay_close");
    CHECK_OK(belay_close(s.node));
    board_verdict(&s.job);
}
