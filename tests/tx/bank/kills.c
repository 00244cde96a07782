/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bank transfers while nodes die at the fault points that BELAY_TEST_KILL names: coordinator of some transactions, primary and
 * backup of others, at once. The survivors go on. In the end the money is all there, in every write synchronization mode, since what
 * the relaxed ones may lose they lose as a whole; all copies are identical, and nothing is locked. Each survivor leaves its verdict in $TMPDIR: see kills_job.
 */
#include "bank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 20 };

/* All survivors come here; MPI is of no use any more. */
static void meet(struct bank *bank, belay_cache *board, const char *where)
{
    uint64_t until = job_clock() + WAIT_S * 1000000000ull;
    int64_t there = 0;
    CHECK_OK(belay_fetch_add(board, where, strlen(where), 1, NULL, &there));
    while (there < belay_node_count(bank->node) && job_clock() < until) {
        size_t length;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        CHECK_OK(belay_get(board, where, strlen(where), &there, sizeof there, &length));
    }
    CHECK(there >= belay_node_count(bank->node), "at %s only %d came", where, (int)there);
}

static void verify(struct bank *bank)
{
    belay_verify_report report;
    for (unsigned i = 0; i < CACHES; ++i) {
        CHECK_OK(belay_await_copies(bank->caches[i], WAIT_S * 1000));
        CHECK_OK(belay_verify(bank->caches[i], &report));
    }
}

static void leave_verdict(const struct job *job)
{
    char path[512];
    snprintf(path, sizeof path, "%s/verdict.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", job->rank);
    FILE *file = fopen(path, "w");
    if (file) {
        fputs(report_failures() == 0 ? "passed\n" : "failed\n", file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    struct job job;
    struct bank bank = {.job = &job, .node_dies = true};
    belay_cache_config board_config = {
        .name = "board", .backups = 2, .write_synchronization_mode = BELAY_FULL_SYNC};
    setenv("BELAY_LOG", "off", 0);
    job_begin(&argc, &argv, "bank_kills", 1.5, &job);
    bank.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    bank.node = job_open(&(belay_config){.arena_size = 32ull << 20});
    belay_cache *board = job_cache(bank.node, &board_config);
    bank_open(&bank, (belay_sync)job_setting("BELAY_TEST_SYNC", BELAY_FULL_SYNC),
              (unsigned)job_setting("BELAY_TEST_BACKUPS", 1), "bank");
    bank_fill(&bank);                    /* the last use of MPI */
    meet(&bank, board, "all is filled"); /* nobody dies before all have left its barrier */
    bank_work(&bank, 20, job_clock() + (uint64_t)(job.seconds * 1e9));
    CHECK_OK(belay_flush(bank.node));
    meet(&bank, board, "end of work");
    int64_t money = bank_money(&bank);
    CHECK(money == TOTAL, "there is %lld", (long long)money);
    CHECK_OK(belay_flush(bank.node));
    meet(&bank, board, "flushed");
    verify(&bank);
    meet(&bank, board, "verified");
    bank_check_locks(&bank);
    report_note(
        "%llu transfers, %llu conflicts, %llu time-outs, %llu failed, %llu snapshots; %d nodes are left",
        (unsigned long long)bank.committed, (unsigned long long)bank.conflicts,
        (unsigned long long)bank.timeouts, (unsigned long long)bank.failed,
        (unsigned long long)bank.snapshots, belay_node_count(bank.node));
    meet(&bank, board, "done");
    belay_close(bank.node);
    leave_verdict(&job);
    _exit(report_failures() == 0 ? JOB_PASSED : JOB_FAILED);
}
