/* SPDX-License-Identifier: BSD-3-Clause */
#include "linearizability.h"

#include "random.h"

#include <belay.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_MAX = 64, CONFIGURATIONS_MAX = 4 * 1024 * 1024 };

/* ---- The specification of one key ---- */

/* What an operation on a key that has `value` must give, and leave. */
struct outcome {
    int result;
    uint64_t answer, next;
};

static struct outcome outcome_of(const struct history_operation *operation, uint64_t value)
{
    bool there = value != 0;
    struct outcome unchanged = {there ? BELAY_OK : BELAY_ERR_NOT_FOUND, value, value};
    struct outcome set = {BELAY_OK, value, operation->argument};
    switch ((enum history_kind)operation->kind) {
    case HISTORY_GET:
    case HISTORY_CONTAINS: return unchanged;
    case HISTORY_PUT:
    case HISTORY_GET_AND_PUT: return set;
    case HISTORY_REPLACE: return there ? set : unchanged;
    case HISTORY_REMOVE: return (struct outcome){unchanged.result, value, 0};
    case HISTORY_PUT_IF_ABSENT: return there ? (struct outcome){BELAY_ERR_EXISTS, value, value} : set;
    case HISTORY_COMPARE_AND_SET:
        return value == operation->expected ? set : (struct outcome){BELAY_ERR_CONFLICT, value, value};
    case HISTORY_FETCH_ADD: return (struct outcome){BELAY_OK, value, value + operation->argument};
    case HISTORY_KINDS: break;
    }
    return (struct outcome){BELAY_ERR_INVALID, value, value};
}

static bool tells_answer(const struct history_operation *operation)
{
    return operation->kind == HISTORY_GET || operation->kind == HISTORY_GET_AND_PUT ||
           operation->kind == HISTORY_FETCH_ADD;
}

int linearizability_step(const struct history_operation *operation, uint64_t value, uint64_t *next)
{
    struct outcome outcome = outcome_of(operation, value);
    *next = outcome.next;
    if (operation->returned == HISTORY_NEVER)
        return 1;
    if (operation->result != outcome.result)
        return 0;
    return !tells_answer(operation) || operation->answer == outcome.answer;
}

/* ---- Sets of configurations: hashed, open addressing, in insertion order ---- */

struct configuration {
    uint64_t value;
    uint64_t applied; /* a bit per place in `open`: this operation has taken effect */
};

struct configuration_set {
    struct configuration *members;
    uint32_t *table; /* index + 1 into members, 0: free */
    size_t count, table_size;
};

static void set_create(struct configuration_set *set)
{
    set->count = 0;
    set->table_size = 1024;
    set->members = malloc(set->table_size / 2 * sizeof *set->members);
    set->table = calloc(set->table_size, sizeof *set->table);
    if (!set->members || !set->table)
        abort();
}

static void set_destroy(struct configuration_set *set)
{
    free(set->members);
    free(set->table);
}

static void set_empty(struct configuration_set *set)
{
    set->count = 0;
    memset(set->table, 0, set->table_size * sizeof *set->table);
}

static size_t set_place(const struct configuration_set *set, struct configuration member)
{
    size_t place = random_mix(member.value ^ random_mix(member.applied + 1)) & (set->table_size - 1);
    for (; set->table[place] != 0; place = (place + 1) & (set->table_size - 1)) {
        struct configuration other = set->members[set->table[place] - 1];
        if (other.value == member.value && other.applied == member.applied)
            break;
    }
    return place;
}

static void set_grow(struct configuration_set *set)
{
    set->table_size *= 2;
    free(set->table);
    set->members = realloc(set->members, set->table_size / 2 * sizeof *set->members);
    set->table = calloc(set->table_size, sizeof *set->table);
    if (!set->members || !set->table)
        abort();
    for (size_t i = 0; i < set->count; ++i)
        set->table[set_place(set, set->members[i])] = (uint32_t)i + 1;
}

static void set_add(struct configuration_set *set, struct configuration member)
{
    size_t place = set_place(set, member);
    if (set->table[place] != 0)
        return;
    if (set->count == set->table_size / 2) {
        set_grow(set);
        place = set_place(set, member);
    }
    set->members[set->count] = member;
    set->table[place] = (uint32_t)++set->count;
}

/* ---- The search ---- */

struct search {
    const struct history_operation *open[OPEN_MAX];
    uint64_t open_places; /* a bit per place in use */
    struct configuration_set now, next, seen;
};

/* Take up an operation. Every configuration goes on with it open and without effect so far. */
static bool search_invoke(struct search *search, const struct history_operation *operation)
{
    if (search->open_places == UINT64_MAX)
        return false;
    int place = __builtin_ctzll(~search->open_places);
    search->open[place] = operation;
    search->open_places |= 1ull << place;
    return true;
}

/* From one configuration, every way in which open operations take effect, ending with `place`. */
static void search_explain(struct search *search, struct configuration from, int place)
{
    uint64_t bit = 1ull << place, value;
    size_t begin = search->seen.count;
    set_add(&search->seen, from);
    for (size_t i = begin; i < search->seen.count && i < CONFIGURATIONS_MAX; ++i) {
        struct configuration at_hand = search->seen.members[i];
        if (linearizability_step(search->open[place], at_hand.value, &value))
            set_add(&search->next, (struct configuration){value, at_hand.applied});
        for (uint64_t rest = search->open_places & ~at_hand.applied & ~bit; rest != 0; rest &= rest - 1) {
            int other = __builtin_ctzll(rest);
            if (linearizability_step(search->open[other], at_hand.value, &value))
                set_add(&search->seen, (struct configuration){value, at_hand.applied | 1ull << other});
        }
    }
}

/* An operation returned: keep the configurations in which it has taken effect, and forget it. */
static void search_return(struct search *search, const struct history_operation *operation)
{
    int place = 0;
    while (!(search->open_places >> place & 1) || search->open[place] != operation)
        ++place;
    uint64_t bit = 1ull << place;
    set_empty(&search->next);
    set_empty(&search->seen);
    for (size_t i = 0; i < search->now.count; ++i) {
        struct configuration from = search->now.members[i];
        if (from.applied & bit)
            set_add(&search->next, (struct configuration){from.value, from.applied & ~bit});
        else
            search_explain(search, from, place);
    }
    search->open_places &= ~bit;
    struct configuration_set swap = search->now;
    search->now = search->next;
    search->next = swap;
}

/* ---- The events in time order ---- */

static int by_return(const void *left, const void *right)
{
    const struct history_operation *const *a = left, *const *b = right;
    return ((*a)->returned > (*b)->returned) - ((*a)->returned < (*b)->returned);
}

static const struct history_operation **sort_by_return(const struct history_operation *operations,
                                                       size_t count)
{
    const struct history_operation **sorted = malloc((count ? count : 1) * sizeof *sorted);
    if (!sorted)
        abort();
    for (size_t i = 0; i < count; ++i)
        sorted[i] = &operations[i];
    qsort(sorted, count, sizeof *sorted, by_return);
    return sorted;
}

static struct linearizability_verdict undecided(const char *why)
{
    return (struct linearizability_verdict){.verdict = UNDECIDED, .why = why};
}

static struct linearizability_verdict unexplained(const struct configuration_set *before, size_t failed)
{
    struct linearizability_verdict verdict = {.verdict = NOT_LINEARIZABLE, .failed = failed};
    verdict.possible_values = before->count;
    verdict.some_value = before->count > 0 ? before->members[0].value : 0;
    return verdict;
}

static struct linearizability_verdict follow(struct search *search,
                                             const struct history_operation *operations,
                                             const struct history_operation *const *returns, size_t count)
{
    struct linearizability_verdict verdict = {.verdict = LINEARIZABLE};
    size_t invoked = 0;
    for (size_t i = 0; i < count && returns[i]->returned != HISTORY_NEVER; ++i) {
        /* At the same nanosecond, an invocation counts as the earlier event: that allows more. */
        for (; invoked < count && operations[invoked].invoked <= returns[i]->returned; ++invoked)
            if (!search_invoke(search, &operations[invoked]))
                return undecided("more than 64 operations are open at a time");
        search_return(search, returns[i]);
        if (search->now.count == 0)
            return unexplained(&search->next, (size_t)(returns[i] - operations));
        if (search->seen.count >= CONFIGURATIONS_MAX)
            return undecided("too many explanations");
        if (search->now.count > verdict.configurations)
            verdict.configurations = search->now.count;
    }
    return verdict;
}

struct linearizability_verdict linearizability_check(const struct history_operation *operations, size_t count,
                                                     uint64_t initial)
{
    for (size_t i = 0; i < count; ++i)
        if (operations[i].returned < operations[i].invoked ||
            (i > 0 && operations[i].invoked < operations[i - 1].invoked))
            return undecided("the history is not sorted, or an operation returned before it began");
    struct search search = {.open_places = 0};
    set_create(&search.now);
    set_create(&search.next);
    set_create(&search.seen);
    set_add(&search.now, (struct configuration){initial, 0});
    const struct history_operation **returns = sort_by_return(operations, count);
    struct linearizability_verdict verdict = follow(&search, operations, returns, count);
    free(returns);
    set_destroy(&search.now);
    set_destroy(&search.next);
    set_destroy(&search.seen);
    return verdict;
}
