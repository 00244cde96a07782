/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes that do not wait for the backups. They may be lost with their primary, but then the process's next flush must say so: after
 * a flush that gives BELAY_OK, all that was written since the one before is there.
 */
#include "load.h"

#include <string.h>

static struct relaxed_notes *notes_of(const struct worker *w)
{
    return &w->load->board->ranks[w->load->job->rank].relaxed;
}

static void write_one(struct worker *w, enum load_cache cache, struct extent *extents)
{
    unsigned which = (unsigned)random_below(&w->random, OWN_KEYS);
    uint64_t number = own_key(w->load->job->rank, w->thread, OWN_RELAXED + which);
    size_t length = random_between(&w->random, VALUE_DESCRIBED,
                                   random_percent(&w->random, 5) ? VALUE_LONGEST : 300);
    struct key key;
    key_make(number, &key);
    uint64_t sequence = atomic_fetch_add(&extents[which].begun, 1) + 1;
    value_make(number, (struct value_origin){.sequence = sequence}, w->value, length);
    CHECK_OK(belay_put(w->load->caches[cache], key.bytes, key.length, w->value, length, NULL));
}

static void vouch(struct extent *extents)
{
    for (unsigned i = 0; i < OWN_KEYS; ++i)
        atomic_store(&extents[i].done, atomic_load(&extents[i].begun));
}

/* What may have been lost is written once more before the next flush is believed. */
static void write_again(struct worker *w, enum load_cache cache, struct extent *extents)
{
    for (unsigned i = 0; i < OWN_KEYS; ++i) {
        uint64_t number = own_key(w->load->job->rank, w->thread, OWN_RELAXED + i);
        struct key key;
        key_make(number, &key);
        uint64_t sequence = atomic_fetch_add(&extents[i].begun, 1) + 1;
        value_make(number, (struct value_origin){.sequence = sequence}, w->value, VALUE_DESCRIBED);
        CHECK_OK(belay_put(w->load->caches[cache], key.bytes, key.length, w->value, VALUE_DESCRIBED, NULL));
    }
}

static void flush(struct worker *w)
{
    struct relaxed_notes *notes = notes_of(w);
    int result = belay_flush(w->load->node);
    if (result == BELAY_OK) {
        vouch(notes->primary_sync);
        vouch(notes->full_async);
        return;
    }
    CHECK(result == BELAY_ERR_NODE_FAILED, "belay_flush gave %s: %s", belay_strerror(result),
          belay_last_error());
    write_again(w, CACHE_PRIMARY_SYNC, notes->primary_sync);
    write_again(w, CACHE_FULL_ASYNC, notes->full_async);
}

void relaxed_step(struct worker *w)
{
    struct relaxed_notes *notes = notes_of(w);
    switch (random_below(&w->random, 16)) {
    case 0: flush(w); break;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6: write_one(w, CACHE_PRIMARY_SYNC, notes->primary_sync); break;
    default: write_one(w, CACHE_FULL_ASYNC, notes->full_async); break;
    }
}

/* ---- Whole caches ---- */

static int visit(belay_bytes key, belay_bytes value, void *context)
{
    uint64_t *visited = context;
    uint64_t number;
    CHECK(key_number(key.data, key.length, &number), "a key of %zu bytes that nobody wrote", key.length);
    CHECK(value.length > 0, "key %llu has no value", (unsigned long long)number);
    ++*visited;
    return 0;
}

/* CLEARED holds nothing that is looked for: it is there to be cleared in the middle of a failover. */
static void fill_and_clear(struct worker *w)
{
    belay_cache *cache = w->load->caches[CACHE_CLEARED];
    struct key key;
    for (unsigned i = 0; i < 20; ++i) {
        key_make(own_key(w->load->job->rank, w->thread, i), &key);
        value_make(i, (struct value_origin){.sequence = i}, w->value, 100);
        CHECK_OK(belay_put(cache, key.bytes, key.length, w->value, 100, NULL));
    }
    if (random_percent(&w->random, 30))
        CHECK_OK(belay_clear(cache));
}

void whole_step(struct worker *w)
{
    uint64_t count = 0;
    belay_verify_report report;
    belay_partition_state state;
    enum load_cache cache = (enum load_cache)random_below(&w->random, LOAD_CACHES);
    switch (random_below(&w->random, 5)) {
    case 0: CHECK_OK(belay_size(w->load->caches[cache], &count)); break;
    case 1: CHECK_OK(belay_iterate(w->load->caches[cache], 0, visit, &count)); break;
    case 2: fill_and_clear(w); break;
    case 3: {
        int result = belay_verify(w->load->caches[cache], &report); /* copies differ while updates go on */
        CHECK(result == BELAY_OK || result == BELAY_ERR_DIFFERS, "belay_verify gave %s: %s",
              belay_strerror(result), belay_last_error());
        break;
    }
    default:
        CHECK_OK(belay_partition_state_of(w->load->caches[cache], (int)random_below(&w->random, 8), &state));
        CHECK(!state.lost && state.copies_complete >= 1, "a partition is lost");
    }
}

/* ---- Afterwards ---- */

static void check_all(const struct load *load, enum load_cache cache, int rank, const struct extent *extents)
{
    for (unsigned i = 0; i < OWN_KEYS; ++i) {
        uint64_t found = read_sequence(load, cache, own_key(rank, WRITERS, OWN_RELAXED + i));
        uint64_t begun = atomic_load(&extents[i].begun), vouched = atomic_load(&extents[i].done);
        CHECK(found >= vouched && found <= begun,
              "cache %u, rank %d, key %u: value %llu, but a flush vouched for %llu and %llu were written",
              cache, rank, i, (unsigned long long)found, (unsigned long long)vouched,
              (unsigned long long)begun);
    }
}

void check_relaxed(struct load *load)
{
    for (int rank = 0; rank < load->job->ranks; ++rank) {
        if (!board_has(load->board, rank))
            continue;
        const struct relaxed_notes *notes = &load->board->ranks[rank].relaxed;
        check_all(load, CACHE_PRIMARY_SYNC, rank, notes->primary_sync);
        check_all(load, CACHE_FULL_ASYNC, rank, notes->full_async);
    }
}
