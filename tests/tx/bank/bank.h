/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file bank.h
 * A bank over two caches whose money is moved in transactions: what all banks of these tests have in common.
 *
 * Transfers touch two to four accounts, in transactions of every kind that promises that what was read and is written was not
 * changed in between. An empty account is not there: so absent keys are read and written too. Snapshots of all accounts must add
 * up to what there was at the beginning.
 */
#ifndef TESTS_BANK_H
#define TESTS_BANK_H

#include "../../support/job.h"

enum { ACCOUNTS = 40, CACHES = 2, MONEY = 100, TOTAL = ACCOUNTS * MONEY };

struct bank {
    const struct job *job;
    belay_node *node;
    belay_cache *caches[CACHES];
    struct random_source random;
    bool node_dies; /* results that speak of that are expected */
    uint64_t committed, conflicts, timeouts, failed, snapshots, torn;
};

void bank_open(struct bank *bank, belay_sync sync, unsigned backups, const char *name);

/* All accounts get MONEY, by rank 0; collective. */
void bank_fill(struct bank *bank);

/* Transfers, and @p snapshots percent of snapshots, until job_clock() is @p until. */
void bank_work(struct bank *bank, unsigned snapshots, uint64_t until);

/* What there is in all, in one snapshot; nobody moves money now, but what dead nodes have begun may still be coming to its end. */
int64_t bank_money(struct bank *bank);

/* Nothing is locked any more: a plain write of every key goes through. The accounts are gone then. */
void bank_check_locks(struct bank *bank);

#endif
