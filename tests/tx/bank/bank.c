/* SPDX-License-Identifier: BSD-3-Clause */
#include "bank.h"

#include <stdio.h>

enum { TOUCHED_MAX = 4 };

struct kind {
    belay_concurrency concurrency;
    belay_isolation isolation;
};

/* All that promise that what was read is still so at the commit, of keys that are written too. */
static const struct kind kinds[] = {{BELAY_OPTIMISTIC, BELAY_REPEATABLE_READ},
                                    {BELAY_OPTIMISTIC, BELAY_SERIALIZABLE},
                                    {BELAY_PESSIMISTIC, BELAY_REPEATABLE_READ},
                                    {BELAY_PESSIMISTIC, BELAY_SERIALIZABLE}};

static belay_cache *cache_of(const struct bank *bank, unsigned account)
{
    return bank->caches[account % CACHES];
}

/* An account that is not there is empty. */
static int read_account(struct bank *bank, belay_tx *tx, unsigned account, int64_t *money)
{
    size_t length = 0;
    *money = 0;
    int result = belay_tx_get(tx, cache_of(bank, account), &account, sizeof account, money, sizeof *money,
                              &length);
    return result == BELAY_ERR_NOT_FOUND ? BELAY_OK : result;
}

static int write_account(struct bank *bank, belay_tx *tx, unsigned account, int64_t money)
{
    if (money == 0)
        return belay_tx_remove(tx, cache_of(bank, account), &account, sizeof account);
    return belay_tx_put(tx, cache_of(bank, account), &account, sizeof account, &money, sizeof money);
}

static void choose(struct bank *bank, unsigned *accounts, unsigned count)
{
    for (unsigned i = 0; i < count; ++i) {
        bool again = true;
        while (again) {
            accounts[i] = (unsigned)random_below(&bank->random, ACCOUNTS);
            again = false;
            for (unsigned j = 0; j < i; ++j)
                again = again || accounts[j] == accounts[i];
        }
    }
}

/* The first pays all others the same. */
static int transfer_within(struct bank *bank, belay_tx *tx)
{
    unsigned accounts[TOUCHED_MAX];
    unsigned count = (unsigned)random_between(&bank->random, 2, TOUCHED_MAX);
    int64_t money[TOUCHED_MAX];
    int result = BELAY_OK;
    choose(bank, accounts, count);
    for (unsigned i = 0; i < count && result == BELAY_OK; ++i)
        result = read_account(bank, tx, accounts[i], &money[i]);
    if (result != BELAY_OK)
        return result;
    int64_t each = random_percent(&bank->random, 30) ? money[0] / (count - 1) : 1;
    for (unsigned i = 1; i < count && result == BELAY_OK; ++i)
        result = write_account(bank, tx, accounts[i], money[i] + each);
    if (result == BELAY_OK)
        result = write_account(bank, tx, accounts[0], money[0] - each * (int64_t)(count - 1));
    return result;
}

static void account_for(struct bank *bank, int result)
{
    bank->committed += result == BELAY_OK;
    bank->conflicts += result == BELAY_ERR_CONFLICT;
    bank->timeouts += result == BELAY_ERR_TIMEOUT;
    bool failed = result == BELAY_ERR_NODE_FAILED || result == BELAY_ERR_PARTITION_LOST;
    bank->failed += failed;
    CHECK(result == BELAY_OK || result == BELAY_ERR_CONFLICT || result == BELAY_ERR_TIMEOUT ||
              (failed && bank->node_dies),
          "%s: %s", belay_strerror(result), belay_last_error());
}

static void transfer(struct bank *bank)
{
    const struct kind *kind = &kinds[random_below(&bank->random, sizeof kinds / sizeof kinds[0])];
    unsigned timeout = random_percent(&bank->random, 20) ? (unsigned)random_between(&bank->random, 1, 6)
                                                         : 2000;
    belay_tx *tx;
    if (!CHECK_OK(belay_tx_begin(bank->node, kind->concurrency, kind->isolation, timeout, &tx)))
        return;
    int result = transfer_within(bank, tx);
    if (result == BELAY_OK && random_percent(&bank->random, 5)) {
        CHECK_OK(belay_tx_rollback(tx));
    } else {
        int committed = belay_tx_commit(tx);
        CHECK(result == BELAY_OK || committed == result, "a failed transaction commits with %s",
              belay_strerror(committed));
        account_for(bank, committed);
    }
    CHECK_OK(belay_tx_close(tx));
}

static int sum_within(struct bank *bank, belay_tx *tx, int64_t *sum)
{
    int result = BELAY_OK;
    unsigned first = (unsigned)random_below(&bank->random, ACCOUNTS);
    *sum = 0;
    for (unsigned i = 0; i < ACCOUNTS && result == BELAY_OK; ++i) {
        int64_t money;
        result = read_account(bank, tx, (first + i) % ACCOUNTS, &money);
        *sum += money;
    }
    return result;
}

static void snapshot(struct bank *bank)
{
    bool optimistic = random_percent(&bank->random, 80);
    belay_tx *tx;
    int64_t sum;
    if (!CHECK_OK(belay_tx_begin(bank->node, optimistic ? BELAY_OPTIMISTIC : BELAY_PESSIMISTIC,
                                 BELAY_SERIALIZABLE, 2000, &tx)))
        return;
    int result = sum_within(bank, tx, &sum);
    int committed = belay_tx_commit(tx);
    if (result == BELAY_OK && committed == BELAY_OK) {
        CHECK(sum == TOTAL, "a snapshot adds up to %lld", (long long)sum);
        bank->snapshots++;
    } else {
        bank->torn += sum != TOTAL;
    }
    CHECK_OK(belay_tx_close(tx));
}

/* ---- The bank ---- */

void bank_open(struct bank *bank, belay_sync sync, unsigned backups, const char *name)
{
    for (unsigned i = 0; i < CACHES; ++i) {
        char cache[40];
        snprintf(cache, sizeof cache, "%s_%u", name, i);
        belay_cache_config config = {.name = cache,
                                     .backups = backups,
                                     .write_synchronization_mode = sync,
                                     .atomicity_mode = BELAY_TRANSACTIONAL,
                                     .partitions = 8};
        bank->caches[i] = job_cache(bank->node, &config);
    }
}

void bank_fill(struct bank *bank)
{
    int64_t money = MONEY;
    for (unsigned account = 0; account < ACCOUNTS && bank->job->rank == 0; ++account)
        CHECK_OK(belay_put(cache_of(bank, account), &account, sizeof account, &money, sizeof money, NULL));
    CHECK_OK(belay_flush(bank->node));
    job_barrier();
}

void bank_work(struct bank *bank, unsigned snapshots, uint64_t until)
{
    while (job_clock() < until) {
        if (random_percent(&bank->random, snapshots))
            snapshot(bank);
        else
            transfer(bank);
    }
}

int64_t bank_money(struct bank *bank)
{
    uint64_t until = job_clock() + 20 * 1000000000ull;
    int64_t sum = 0;
    int result = BELAY_ERR_CONFLICT;
    while (result == BELAY_ERR_CONFLICT && job_clock() < until) {
        belay_tx *tx;
        if (!CHECK_OK(belay_tx_begin(bank->node, BELAY_OPTIMISTIC, BELAY_SERIALIZABLE, 0, &tx)))
            return 0;
        result = sum_within(bank, tx, &sum);
        int committed = belay_tx_commit(tx);
        result = result == BELAY_OK ? committed : result;
        CHECK_OK(belay_tx_close(tx));
    }
    CHECK(result == BELAY_OK, "%s: %s", belay_strerror(result), belay_last_error());
    return sum;
}

void bank_check_locks(struct bank *bank)
{
    for (unsigned account = 0; account < ACCOUNTS; ++account) {
        int result = belay_remove(cache_of(bank, account), &account, sizeof account, NULL);
        CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "account %u: %s", account,
              belay_last_error());
    }
}
