/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys that one thread alone writes: it knows what each must be, so that an update that is lost or applied twice shows at once,
 * and again when a survivor reads the last state. */
#include "load.h"

#include <string.h>

static void begin(struct extent *extent)
{
    atomic_fetch_add_explicit(&extent->begun, 1, memory_order_release);
}

static void end(struct extent *extent)
{
    atomic_store_explicit(&extent->done, atomic_load_explicit(&extent->begun, memory_order_relaxed),
                          memory_order_release);
}

static struct writer_notes *notes_of(const struct worker *w)
{
    return &w->load->board->ranks[w->load->job->rank].writers[w->thread];
}

static void add(struct worker *w, struct extent *extent)
{
    struct key key;
    int64_t old = 0, expected = (int64_t)atomic_load(&extent->done);
    key_make(own_key(w->load->job->rank, w->thread, OWN_ADDS), &key);
    begin(extent);
    if (!CHECK_OK(belay_fetch_add(w->load->caches[CACHE_FULL_SYNC], key.bytes, key.length, 1, NULL, &old)))
        return;
    CHECK(old == expected, "own counter %d.%u was %lld, not %lld", w->load->job->rank, w->thread,
          (long long)old, (long long)expected);
    end(extent);
}

static void set(struct worker *w, struct extent *extent)
{
    struct key key;
    belay_cache *cache = w->load->caches[CACHE_FULL_SYNC];
    uint64_t number = 0, expected = atomic_load(&extent->done), version = 0;
    size_t length = 0;
    key_make(own_key(w->load->job->rank, w->thread, OWN_SETS), &key);
    int result = belay_get_versioned(cache, key.bytes, key.length, &number, sizeof number, &length, &version);
    CHECK(result == BELAY_OK || (result == BELAY_ERR_NOT_FOUND && expected == 0), "get gave %s: %s",
          belay_strerror(result), belay_last_error());
    CHECK(number == expected, "own number %d.%u is %llu, not %llu", w->load->job->rank, w->thread,
          (unsigned long long)number, (unsigned long long)expected);
    begin(extent);
    number = atomic_load(&extent->begun);
    if (CHECK_OK(belay_compare_and_set(cache, key.bytes, key.length, version, &number, sizeof number, NULL,
                                       &version)))
        end(extent);
}

/* Is the counter's key absent when it has this number? The function removes it then. */
static bool is_absent(uint64_t number)
{
    enum { PERIOD = 7 };
    return number % PERIOD == 0;
}

static uint64_t told(uint64_t number, bool absent)
{
    return number | (uint64_t)absent << 63;
}

/* Count up. The result is the old number and whether the key was absent, many times: an application too many gives another one. */
static int count(belay_invocation *in, void *context)
{
    uint64_t *number = in->value;
    bool absent = in->value_length == BELAY_NO_VALUE;
    (void)context;
    if (absent)
        memcpy(number, in->argument.data, sizeof *number);
    uint64_t result = told(*number, absent);
    for (size_t at = 0; at + sizeof result <= in->result_capacity; at += sizeof result)
        memcpy((unsigned char *)in->result + at, &result, sizeof result);
    in->result_length = in->result_capacity;
    in->value_length = sizeof *number;
    return is_absent(++*number) ? BELAY_ACTION_REMOVE : BELAY_ACTION_SET;
}

void own_register(belay_node *node)
{
    CHECK_OK(belay_function_register(node, "count", count, NULL));
}

static void apply(struct worker *w, struct extent *extent)
{
    struct key key;
    uint64_t numbers[64], number = atomic_load(&extent->done), expected = told(number, is_absent(number));
    size_t length = 0, room = 1 + number % (sizeof numbers / sizeof *numbers);
    key_make(own_key(w->load->job->rank, w->thread, OWN_APPLIED), &key);
    begin(extent);
    if (!CHECK_OK(belay_invoke(w->load->caches[CACHE_FULL_SYNC], key.bytes, key.length, "count", &number,
                               sizeof number, NULL, numbers, room * sizeof *numbers, &length)))
        return;
    CHECK(length == room * sizeof *numbers && numbers[0] == expected && numbers[room - 1] == expected,
          "own function %d.%u gave %zu bytes, %llx, not %llx", w->load->job->rank, w->thread, length,
          (unsigned long long)numbers[0], (unsigned long long)expected);
    end(extent);
}

static void put(struct worker *w, struct writer_notes *notes)
{
    unsigned which = (unsigned)random_below(&w->random, OWN_KEYS);
    uint64_t number = own_key(w->load->job->rank, w->thread, OWN_VALUES + which);
    size_t length = random_between(&w->random, VALUE_DESCRIBED,
                                   random_percent(&w->random, 10) ? VALUE_LONGEST : 300);
    struct key key;
    key_make(number, &key);
    begin(&notes->values[which]);
    value_make(number, (struct value_origin){.sequence = atomic_load(&notes->values[which].begun)}, w->value,
               length);
    if (CHECK_OK(belay_put(w->load->caches[CACHE_FULL_SYNC], key.bytes, key.length, w->value, length, NULL)))
        end(&notes->values[which]);
}

void own_step(struct worker *w)
{
    struct writer_notes *notes = notes_of(w);
    switch (random_below(&w->random, 4)) {
    case 0: add(w, &notes->adds); break;
    case 1: set(w, &notes->sets); break;
    case 2: apply(w, &notes->applied); break;
    default: put(w, notes); break;
    }
}

/* ---- Afterwards ---- */

static void check_extent(const char *what, int rank, unsigned thread, const struct extent *extent,
                         uint64_t found)
{
    uint64_t begun = atomic_load(&extent->begun), done = atomic_load(&extent->done);
    CHECK(found >= done && found <= begun, "%s %d.%u: %llu, but %llu were acknowledged and %llu begun", what,
          rank, thread, (unsigned long long)found, (unsigned long long)done, (unsigned long long)begun);
}

static uint64_t read_number(const struct load *load, uint64_t which)
{
    struct key key;
    uint64_t number = 0;
    size_t length = 0;
    key_make(which, &key);
    int result = belay_get(load->caches[CACHE_FULL_SYNC], key.bytes, key.length, &number, sizeof number,
                           &length);
    CHECK(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND, "get gave %s: %s", belay_strerror(result),
          belay_last_error());
    return number;
}

uint64_t read_sequence(const struct load *load, enum load_cache cache, uint64_t number)
{
    static unsigned char buffer[VALUE_LONGEST];
    struct key key;
    struct value_origin origin = {0};
    size_t length = 0;
    key_make(number, &key);
    int result = belay_get(load->caches[cache], key.bytes, key.length, buffer, sizeof buffer, &length);
    if (result == BELAY_ERR_NOT_FOUND)
        return 0;
    if (CHECK(result == BELAY_OK, "get gave %s: %s", belay_strerror(result), belay_last_error())) {
        const char *fault = value_fault(number, buffer, length, &origin);
        CHECK(!fault, "key %llu: %s", (unsigned long long)number, fault);
    }
    return origin.sequence;
}

static void check_applied(const struct load *load, int rank, unsigned thread, const struct extent *extent)
{
    uint64_t done = atomic_load(&extent->done), begun = atomic_load(&extent->begun);
    uint64_t found = read_number(load, own_key(rank, thread, OWN_APPLIED));
    if (found == 0 && (is_absent(done) || is_absent(begun)))
        return;
    check_extent("applied", rank, thread, extent, found);
}

void check_own(struct load *load)
{
    uint64_t acknowledged = 0;
    for (int rank = 0; rank < load->job->ranks; ++rank)
        for (unsigned thread = 0; board_has(load->board, rank) && thread < WRITERS; ++thread) {
            const struct writer_notes *notes = &load->board->ranks[rank].writers[thread];
            check_extent("counter", rank, thread, &notes->adds,
                         read_number(load, own_key(rank, thread, OWN_ADDS)));
            check_extent("number", rank, thread, &notes->sets,
                         read_number(load, own_key(rank, thread, OWN_SETS)));
            check_applied(load, rank, thread, &notes->applied);
            acknowledged += notes->adds.done + notes->sets.done + notes->applied.done;
            for (unsigned i = 0; i < OWN_KEYS; ++i) {
                uint64_t key = own_key(rank, thread, OWN_VALUES + i);
                check_extent("value", rank, thread, &notes->values[i],
                             read_sequence(load, CACHE_FULL_SYNC, key));
                acknowledged += notes->values[i].done;
            }
        }
    report_note("%llu acknowledged updates of own keys", (unsigned long long)acknowledged);
    CHECK(acknowledged > 0, "nothing was acknowledged");
}
