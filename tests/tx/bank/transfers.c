/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bank transfers by all ranks in every write synchronization mode, and snapshots by all. At the end the money is all there, all copies
 * are identical and nothing is locked.
 */
#include "bank.h"

static uint64_t all_committed, all_snapshots; /* at rank 0 */

static void tell(const struct bank *bank, const char *name)
{
    uint64_t committed = job_sum(bank->committed), snapshots = job_sum(bank->snapshots);
    uint64_t conflicts = job_sum(bank->conflicts), timeouts = job_sum(bank->timeouts),
             torn = job_sum(bank->torn);
    if (bank->job->rank != 0)
        return;
    report_note(
        "%s: %llu transfers, %llu conflicts, %llu time-outs, %llu snapshots, and %llu that failed had seen a "
        "torn state",
        name, (unsigned long long)committed, (unsigned long long)conflicts, (unsigned long long)timeouts,
        (unsigned long long)snapshots, (unsigned long long)torn);
    all_committed += committed;
    all_snapshots += snapshots;
}

static void run(struct bank *bank, belay_sync sync, unsigned backups, const char *name, double seconds)
{
    uint64_t entries = 1;
    bank->committed = bank->conflicts = bank->timeouts = bank->snapshots = bank->torn = 0;
    bank_open(bank, sync, backups, name);
    bank_fill(bank);
    bank_work(bank, bank->job->rank == 1 ? 50 : 10, job_clock() + (uint64_t)(seconds * 1e9));
    CHECK_OK(belay_flush(bank->node));
    tell(bank, name);
    int64_t money = bank_money(bank);
    CHECK(money == TOTAL, "at the end there is %lld", (long long)money);
    for (unsigned i = 0; i < CACHES; ++i)
        job_verify(bank->node, bank->caches[i], name);
    if (bank->job->rank == 0)
        bank_check_locks(bank);
    job_barrier();
    CHECK_OK(belay_size(bank->caches[0], &entries));
    CHECK(entries == 0, "%llu entries in an empty cache", (unsigned long long)entries);
    job_barrier();
    if (bank->job->rank == 0) {
        CHECK_OK(belay_put(bank->caches[0], "x", 1, "y", 1, NULL));
        CHECK_OK(belay_clear(bank->caches[0]));
        CHECK_OK(belay_size(bank->caches[0], &entries));
        CHECK(entries == 0, "%llu entries in a cleared cache", (unsigned long long)entries);
    }
    job_barrier();
}

int main(int argc, char **argv)
{
    struct job job;
    struct bank bank = {.job = &job};
    job_begin(&argc, &argv, "bank", 6, &job);
    bank.random = random_stream(job.seed, (uint64_t)job.rank, 0);
    bank.node = job_open(NULL);
    run(&bank, BELAY_FULL_SYNC, 1, "full_sync", job.seconds / 4);
    run(&bank, BELAY_PRIMARY_SYNC, 1, "primary_sync", job.seconds / 4);
    run(&bank, BELAY_FULL_ASYNC, 2, "full_async", job.seconds / 4);
    run(&bank, BELAY_FULL_SYNC, 0, "no_backups", job.seconds / 4);
    CHECK(job.rank != 0 || (all_committed > 0 && all_snapshots > 0), "nothing was tested");
    job_close(bank.node);
    return job_end(&job);
}
