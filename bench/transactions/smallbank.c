/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file smallbank.c
 * SmallBank (M. Alomari et al., "The Cost of Serializability on Platforms That Use Snapshot Isolation", ICDE 2008): each
 * customer has a savings and a checking account, in two caches; each process is one client that runs the six kinds of transaction in their
 * usual mix, and repeats what was aborted until it commits. How often they meet depends on how many customers take most of them.
 *
 * The limit is the same gets and puts in caches without transactions, which lose money: the time of one client for one, whatever
 * its kind. With transactions it must add up in the end, or the job fails.
 *
 * Usage: smallbank SUITE MODE CUSTOMERS MILLISECONDS: figures as lines of JSON.
 */
#include "support/check.h"
#include "support/clock.h"
#include "support/figure.h"
#include "support/pair.h"
#include "support/random.h"

#include <belay.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BALANCE = 10000, AMOUNT_MAX = 100, HOT_PERCENT = 90, RUNS = 3 };

enum account { SAVINGS, CHECKING, ACCOUNTS };

/* How often do they meet? */
struct contention {
    const char *name;
    uint64_t hot; /* so many customers take HOT_PERCENT of the transactions; 0: all customers alike */
};

static const struct contention contentions[] = {{"uniform", 0}, {"hot_1000", 1000}, {"hot_20", 20}};

struct kind {
    const char *name;
    bool plain; /* no transactions */
    belay_concurrency concurrency;
};

static const struct kind kinds[] = {
    {"plain", true, 0}, {"optimistic", false, BELAY_OPTIMISTIC}, {"pessimistic", false, BELAY_PESSIMISTIC}};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct client {
    const char *suite;
    int rank, ranks;
    belay_node *node;
    belay_cache *transactional[ACCOUNTS], *atomic[ACCOUNTS];
    uint64_t random, customers, hot;
    const struct kind *kind;
    belay_tx *tx;     /* NULL: plain */
    int64_t brought;  /* by committed transactions, into the bank */
    int64_t bringing; /* by this one */
    uint64_t commits, aborts;
};

/* ---- Accounts ---- */

static int64_t read_balance(struct client *c, enum account account, uint64_t customer, int *result)
{
    int64_t balance = 0;
    size_t length;
    if (*result != BELAY_OK)
        return 0;
    *result = c->tx ? belay_tx_get(c->tx, c->transactional[account], &customer, sizeof customer, &balance,
                                   sizeof balance, &length)
                    : belay_get(c->atomic[account], &customer, sizeof customer, &balance, sizeof balance,
                                &length);
    return balance;
}

static void write_balance(struct client *c, enum account account, uint64_t customer, int64_t balance,
                          int *result)
{
    if (*result != BELAY_OK)
        return;
    *result = c->tx
                  ? belay_tx_put(c->tx, c->transactional[account], &customer, sizeof customer, &balance,
                                 sizeof balance)
                  : belay_put(c->atomic[account], &customer, sizeof customer, &balance, sizeof balance, NULL);
}

/* ---- The six kinds. @return false: the customer has not got the money; all is rolled back. ---- */

struct order {
    uint64_t from, to;
    int64_t amount;
};

static bool ask_balance(struct client *c, const struct order *o, int *result)
{
    read_balance(c, SAVINGS, o->from, result);
    read_balance(c, CHECKING, o->from, result);
    return true;
}

static bool deposit_checking(struct client *c, const struct order *o, int *result)
{
    int64_t balance = read_balance(c, CHECKING, o->from, result);
    write_balance(c, CHECKING, o->from, balance + o->amount, result);
    c->bringing = o->amount;
    return true;
}

static bool transact_savings(struct client *c, const struct order *o, int *result)
{
    int64_t amount = o->amount % 2 ? o->amount : -o->amount;
    int64_t balance = read_balance(c, SAVINGS, o->from, result);
    if (balance + amount < 0)
        return false;
    write_balance(c, SAVINGS, o->from, balance + amount, result);
    c->bringing = amount;
    return true;
}

static bool amalgamate(struct client *c, const struct order *o, int *result)
{
    int64_t all = read_balance(c, SAVINGS, o->from, result);
    all += read_balance(c, CHECKING, o->from, result);
    int64_t balance = read_balance(c, CHECKING, o->to, result);
    write_balance(c, SAVINGS, o->from, 0, result);
    write_balance(c, CHECKING, o->from, 0, result);
    write_balance(c, CHECKING, o->to, balance + all, result);
    return true;
}

static bool write_check(struct client *c, const struct order *o, int *result)
{
    int64_t savings = read_balance(c, SAVINGS, o->from, result);
    int64_t checking = read_balance(c, CHECKING, o->from, result);
    int64_t amount = savings + checking < o->amount ? o->amount + 1 : o->amount; /* with a fine */
    write_balance(c, CHECKING, o->from, checking - amount, result);
    c->bringing = -amount;
    return true;
}

static bool send_payment(struct client *c, const struct order *o, int *result)
{
    int64_t from = read_balance(c, CHECKING, o->from, result);
    int64_t to = read_balance(c, CHECKING, o->to, result);
    if (from < o->amount)
        return false;
    write_balance(c, CHECKING, o->from, from - o->amount, result);
    write_balance(c, CHECKING, o->to, to + o->amount, result);
    return true;
}

static const struct profile {
    bool (*act)(struct client *c, const struct order *o, int *result);
    unsigned percent;
} profiles[] = {{ask_balance, 15}, {deposit_checking, 15}, {transact_savings, 15},
                {amalgamate, 15},  {write_check, 15},      {send_payment, 25}};

/* ---- One order ---- */

static uint64_t choose_customer(struct client *c)
{
    bool hot = c->hot > 0 && random_below(&c->random, 100) < HOT_PERCENT;
    return random_below(&c->random, hot ? c->hot : c->customers);
}

static struct order choose_order(struct client *c)
{
    struct order order = {choose_customer(c), choose_customer(c),
                          1 + (int64_t)random_below(&c->random, AMOUNT_MAX)};
    while (order.to == order.from)
        order.to = choose_customer(c);
    return order;
}

static const struct profile *choose_profile(struct client *c)
{
    const struct profile *profile = profiles;
    for (uint64_t percent = random_below(&c->random, 100); percent >= profile->percent; ++profile)
        percent -= profile->percent;
    return profile;
}

/* @return was it aborted, so that it has to be repeated? */
static bool try_once(struct client *c, const struct profile *profile, const struct order *order)
{
    int result = BELAY_OK;
    c->bringing = 0;
    c->tx = NULL;
    if (!c->kind->plain)
        result = belay_tx_begin(c->node, c->kind->concurrency, BELAY_SERIALIZABLE, 0, &c->tx);
    CHECK(result == BELAY_OK, "begin: %s", belay_last_error());
    bool granted = profile->act(c, order, &result);
    if (c->tx) {
        int ended = granted || result != BELAY_OK ? belay_tx_commit(c->tx) : belay_tx_rollback(c->tx);
        result = result == BELAY_OK ? ended : result;
        belay_tx_close(c->tx);
    }
    CHECK(result == BELAY_OK || result == BELAY_ERR_CONFLICT || result == BELAY_ERR_TIMEOUT, "%s: %s",
          belay_strerror(result), belay_last_error());
    if (c->tx && result == BELAY_OK && granted)
        c->brought += c->bringing;
    return result != BELAY_OK;
}

static void execute(struct client *c)
{
    const struct profile *profile = choose_profile(c);
    struct order order = choose_order(c);
    while (try_once(c, profile, &order))
        c->aborts++;
    c->commits++;
}

/* ---- Measuring ---- */

static double sum_of(double own)
{
    double sum = 0;
    MPI_Reduce(&own, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    return sum;
}

/* For so long, all clients at once. @return how long one takes, in ns; at rank 0. */
static double run(struct client *c, uint64_t nanoseconds, struct latency *latency)
{
    uint64_t done = c->commits;
    MPI_Barrier(MPI_COMM_WORLD);
    uint64_t begun = clock_ns(), now = begun;
    while (now - begun < nanoseconds) {
        execute(c);
        uint64_t ended = clock_ns();
        latency_record(latency, ended - now);
        now = ended;
    }
    double rate = (double)(c->commits - done) / ((double)(now - begun) * 1e-9);
    sleeping_barrier();
    return 1e9 * c->ranks / sum_of(rate);
}

static void add_latencies(const struct client *c, struct latency *latency)
{
    static struct latency all;
    memset(&all, 0, sizeof all);
    MPI_Reduce(&latency->count, &all.count, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(&latency->longest, &all.longest, 1, MPI_UINT64_T, MPI_MAX, 0, MPI_COMM_WORLD);
    MPI_Reduce(latency->buckets, all.buckets, LATENCY_BUCKETS, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (c->rank == 0)
        *latency = all;
}

static void print_more(const struct client *c, const char *name, const struct figure *times)
{
    char rate_name[80], aborted_name[80];
    snprintf(rate_name, sizeof rate_name, "%s_rate", name);
    snprintf(aborted_name, sizeof aborted_name, "%s_aborted", name);
    struct figure rate = {.name = rate_name, .unit = "transactions/s"};
    struct figure aborted = {.name = aborted_name, .unit = "%"};
    double aborts = sum_of((double)c->aborts), commits = sum_of((double)c->commits);
    for (unsigned i = 0; i < times->count; ++i)
        figure_add(&rate, 1e9 * c->ranks / times->samples[i]);
    figure_add(&aborted, 100 * aborts / (aborts + commits));
    if (c->rank != 0)
        return;
    figure_print(c->suite, &rate, NULL);
    if (!c->kind->plain)
        figure_print(c->suite, &aborted, NULL);
}

static void measure(struct client *c, const struct contention *contention, uint64_t nanoseconds)
{
    static struct latency latencies[KINDS];
    struct figure figures[KINDS] = {0};
    char names[KINDS][64];
    memset(latencies, 0, sizeof latencies);
    c->hot = contention->hot;
    for (int i = 0; i < KINDS; ++i) {
        snprintf(names[i], sizeof names[i], "smallbank_%s_%s", contention->name, kinds[i].name);
        figures[i] = (struct figure){.name = names[i], .unit = "ns", .latency = &latencies[i]};
        c->kind = &kinds[i];
        c->commits = c->aborts = 0;
        for (int r = 0; r < RUNS; ++r)
            figure_add(&figures[i], run(c, nanoseconds / RUNS, &latencies[i]));
        add_latencies(c, &latencies[i]);
        if (c->rank == 0)
            figure_print(c->suite, &figures[i], i ? &figures[0] : NULL);
        print_more(c, names[i], &figures[i]);
        fflush(stdout);
    }
}

/* ---- The bank ---- */

static void open_accounts(struct client *c, belay_sync sync)
{
    static const char *const names[] = {"savings", "checking"};
    for (int i = 0; i < ACCOUNTS; ++i) {
        char plain[32];
        snprintf(plain, sizeof plain, "plain_%s", names[i]);
        belay_cache_config config = {.name = names[i],
                                     .backups = 1,
                                     .write_synchronization_mode = sync,
                                     .atomicity_mode = BELAY_TRANSACTIONAL};
        CHECK(belay_cache_open(c->node, &config, &c->transactional[i]) == BELAY_OK, "%s", belay_last_error());
        config.name = plain;
        config.atomicity_mode = BELAY_ATOMIC;
        CHECK(belay_cache_open(c->node, &config, &c->atomic[i]) == BELAY_OK, "%s", belay_last_error());
    }
}

static void fill(struct client *c)
{
    int64_t balance = FIRST_BALANCE;
    for (uint64_t i = (uint64_t)c->rank; i < c->customers; i += (uint64_t)c->ranks)
        for (int account = 0; account < ACCOUNTS; ++account) {
            int result = belay_put(c->transactional[account], &i, sizeof i, &balance, sizeof balance, NULL);
            CHECK(result == BELAY_OK, "put: %s", belay_last_error());
            result = belay_put(c->atomic[account], &i, sizeof i, &balance, sizeof balance, NULL);
            CHECK(result == BELAY_OK, "put: %s", belay_last_error());
        }
    CHECK(belay_flush(c->node) == BELAY_OK, "flush: %s", belay_last_error());
    sleeping_barrier();
}

static void check_total(struct client *c)
{
    int64_t brought = 0, total = 0;
    CHECK(belay_flush(c->node) == BELAY_OK, "flush: %s", belay_last_error());
    MPI_Reduce(&c->brought, &brought, 1, MPI_INT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    for (uint64_t i = 0; i < c->customers && c->rank == 0; ++i)
        for (int account = 0; account < ACCOUNTS; ++account) {
            int64_t balance;
            size_t length;
            int result = belay_get(c->transactional[account], &i, sizeof i, &balance, sizeof balance,
                                   &length);
            CHECK(result == BELAY_OK, "get: %s", belay_last_error());
            total += balance;
        }
    brought += (int64_t)c->customers * ACCOUNTS * FIRST_BALANCE;
    CHECK(c->rank != 0 || total == brought, "there is %lld in the bank, not %lld", (long long)total,
          (long long)brought);
    sleeping_barrier();
}

static belay_sync mode_of(const char *name)
{
    if (strcmp(name, "full_sync") == 0)
        return BELAY_FULL_SYNC;
    return strcmp(name, "primary_sync") == 0 ? BELAY_PRIMARY_SYNC : BELAY_FULL_ASYNC;
}

int main(int argc, char **argv)
{
    static struct client c;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &c.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &c.ranks);
    CHECK(argc == 5, "Usage: smallbank SUITE MODE CUSTOMERS MILLISECONDS");
    pair_pin(c.rank);
    c.suite = argv[1];
    c.customers = strtoull(argv[3], NULL, 10);
    c.random = (uint64_t)c.rank + 1;
    CHECK(belay_open(MPI_COMM_WORLD, NULL, &c.node) == BELAY_OK, "belay_open: %s", belay_last_error());
    open_accounts(&c, mode_of(argv[2]));
    fill(&c);
    for (size_t i = 0; i < sizeof contentions / sizeof contentions[0]; ++i)
        measure(&c, &contentions[i], strtoull(argv[4], NULL, 10) * 1000000);
    check_total(&c);
    for (int i = 0; i < ACCOUNTS; ++i) {
        belay_cache_close(c.transactional[i]);
        belay_cache_close(c.atomic[i]);
    }
    belay_close(c.node);
    MPI_Finalize();
    return 0;
}
