/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers get bytes that a peer wrote. Fetched piece by piece they give what the model holds; damaged in any way they give
 * anything but a crash, a read outside of the region, or a write beyond the caller's buffer.
 */
#include "copy_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- A fetching reader: it has the region's bytes only through fetch() ---- */

struct remote {
    const unsigned char *region;
    size_t size;
    struct arena_view view;
    struct copy_descriptor descriptor;
};

static bool fetch(const struct remote *r, uint64_t offset, size_t length, void *to)
{
    if (offset > r->size || length > r->size - offset)
        return false; /* the device would refuse */
    memcpy(to, r->region + offset, length);
    return true;
}

/* Offset of a logical address, with the bytes that lie behind it in the same segment. @return false: damaged. */
static bool locate(const struct remote *r, uint64_t address, uint64_t *offset, size_t *length)
{
    uint64_t table_at;
    size_t contiguous;
    uint32_t word;
    int known = descriptor_translate(&r->view, &r->descriptor, address, offset, &contiguous, &table_at);
    if (known == 0) {
        if (!fetch(r, table_at, sizeof word, &word))
            return false;
        known = table_translate(&r->view, word, address, offset);
    }
    *length = r->view.segment_size - address % r->view.segment_size;
    assert_true(known != 1 || (*offset < r->size && *length <= r->size - *offset));
    return known == 1;
}

static bool fetch_logical(const struct remote *r, uint64_t address, void *to, size_t length)
{
    uint64_t offset;
    size_t room;
    return locate(r, address, &offset, &room) && length <= room && fetch(r, offset, length, to);
}

/* Up to @p length bytes of an entry. @return how many are there. */
static size_t fetch_entry(const struct remote *r, uint64_t address, unsigned char *to, size_t length)
{
    size_t done = 0;
    while (done < length) {
        uint64_t offset;
        size_t room;
        if (!locate(r, address, &offset, &room))
            break;
        size_t piece = room < length - done ? room : length - done;
        if (!fetch(r, offset, piece, to + done))
            break;
        done += piece;
        address = log_advance(address, piece, r->view.segment_size);
    }
    return done;
}

static int fetch_key(const struct remote *r, const struct read_key *key, struct entry_header *header,
                     unsigned char **entry)
{
    uint64_t page_at, reference_at;
    uint32_t reference;
    int known = root_page(&r->descriptor.root, r->view.segment_size, key->hash, &page_at, &reference_at);
    if (known < 0)
        return known;
    if (known == 0) {
        if (!fetch_logical(r, reference_at, &reference, sizeof reference))
            return BELAY_ERR_PROTOCOL;
        page_at = page_reference_address(reference);
    }
    slot_word pair[2 * SLOTS_PER_BUCKET], matches[2 * SLOTS_PER_BUCKET];
    unsigned positions[2 * SLOTS_PER_BUCKET];
    if (!fetch_logical(r, bucket_pair_address(page_at, key->hash), pair, sizeof pair))
        return BELAY_ERR_PROTOCOL;
    unsigned count = bucket_pair_match(pair, key->hash, matches, positions);
    assert_true(count <= 2 * SLOTS_PER_BUCKET);
    for (unsigned i = 0; i < count; ++i) {
        size_t bound = slot_length_bound(matches[i]);
        if (bound > r->size)
            continue;
        *entry = malloc(bound + 1);
        size_t length = fetch_entry(r, slot_address(matches[i]), *entry, bound);
        if (length >= sizeof *header)
            memcpy(header, *entry, sizeof *header);
        if (length >= sizeof *header && entry_header_plausible(header, matches[i]) &&
            entry_check(*entry, length, slot_address(matches[i]), key) == BELAY_OK)
            return BELAY_OK;
        free(*entry);
    }
    return BELAY_ERR_NOT_FOUND;
}

static void open_remote(struct world *w, const void *region, struct remote *r)
{
    r->region = region;
    r->size = w->region_size;
    r->view = w->view[PRIMARY];
    r->view.base = NULL;
    memcpy(&r->descriptor, r->region + w->descriptor_offset[PRIMARY], sizeof r->descriptor);
}

static void check_fetched(struct world *w, uint32_t key)
{
    struct remote r;
    unsigned char key_memory[BELAY_KEY_MAX], *entry = NULL;
    struct read_key read_key = {key_hash(w, key), key_memory, key_bytes(w, key, key_memory)};
    struct entry_header header;
    const struct model_value *model = &w->newest[key];
    open_remote(w, w->region[PRIMARY], &r);
    int result = fetch_key(&r, &read_key, &header, &entry);
    assert_int_equal(result, model->present ? BELAY_OK : BELAY_ERR_NOT_FOUND);
    if (result != BELAY_OK)
        return;
    assert_int_equal(header.version, model->version);
    assert_int_equal(header.value_length, model->length);
    assert_true(value_is(model->seed, entry + sizeof header + read_key.length, model->length));
    free(entry);
}

static void fetched_bytes_give_what_the_model_holds(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {
        .segment_size = 4096, .segments = 30000, .keys = 100000, .seal_whole = true, .no_mirror = true};
    world_open(&w, &options, 9);
    for (uint32_t i = 0; i < 130000; ++i) {
        /* A few keys, many, then all: until the directory has outgrown the root. */
        uint32_t key = i < 30000 ? world_below(&w, i < 100 ? 20 : 12000) : i - 30000;
        if (i >= 30000 && i % 64 != 0) {
            assert_int_equal(world_put(&w, key, key % 8), BELAY_OK);
            continue;
        }
        if (world_below(&w, 4) == 0)
            world_remove(&w, key);
        else
            assert_int_equal(
                world_put(&w, key, world_below(&w, 50) ? world_below(&w, 100) : world_below(&w, 20000)),
                BELAY_OK);
        check_fetched(&w, key);
        check_fetched(&w, world_below(&w, options.keys));
        world_clean(&w, true);
        world_collect(&w);
    }
    assert_true(world_descriptor(&w, PRIMARY)->root.directory_segments > 0);
    assert_true(copy_logical_end(w.copy[PRIMARY]) > TABLE_DIRECT);
    world_close(&w);
}

/* ---- Damage ---- */

/* A number that might get through a check, or not. */
static uint64_t nasty(struct world *w)
{
    uint64_t any = world_random(w);
    switch (any % 8) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return any >> 8 & 0xff;
    case 3: return any >> 40;
    case 4: return (any >> 8 & 0xffff) << 16 | (any >> 24 & 0xffff);
    case 5: return 1ull << (any >> 8 & 63);
    default: return any;
    }
}

static void damage_word(struct world *w, unsigned char *region, uint64_t offset, uint64_t length)
{
    uint64_t at = offset + world_random(w) % (length / 4) * 4, value = nasty(w);
    if (world_below(w, 3) == 0)
        region[at] ^= (unsigned char)(1u << world_below(w, 8));
    else
        memcpy(region + at, &value, world_below(w, 2) ? 4 : at % 8 == 0 ? 8 : 4);
}

/* Damage of one kind: descriptor, anything, or the lines that reads of a key touch. */
static void damage(struct world *w, unsigned char *region, uint32_t key)
{
    uint64_t descriptor = w->descriptor_offset[PRIMARY];
    const struct copy_descriptor *d = (const void *)(region + descriptor);
    switch (world_below(w, 4)) {
    case 0: damage_word(w, region, descriptor, sizeof(struct copy_root)); break;
    case 1: damage_word(w, region, descriptor, sizeof(struct copy_descriptor)); break;
    case 2:
        damage_word(w, region, w->view[PRIMARY].first_offset,
                    w->region_size - w->view[PRIMARY].first_offset - 8);
        break;
    default: {
        uint64_t hash = key_hash(w, key), page_at, reference_at, offset, table_at;
        size_t contiguous;
        if (root_page(&d->root, w->view[PRIMARY].segment_size, hash, &page_at, &reference_at) != 1)
            break;
        uint64_t address = bucket_pair_address(page_at, hash);
        if (descriptor_translate(&w->view[PRIMARY], d, address, &offset, &contiguous, &table_at) != 1)
            break;
        const slot_word *pair = (const void *)(region + offset);
        slot_word matches[16];
        unsigned positions[16], count = bucket_pair_match(pair, hash, matches, positions);
        if (count > 0 && world_below(w, 2) &&
            descriptor_translate(&w->view[PRIMARY], d, slot_address(matches[0]), &offset, &contiguous,
                                 &table_at) == 1 &&
            contiguous >= 64) {
            damage_word(w, region, offset, 64);
        } else if (count > 0) { /* the slot, with its fingerprint as it was */
            slot_word slot = nasty(w) << 16 | slot_fingerprint(matches[0]);
            memcpy(region + offset + positions[0] * 8, &slot, 8);
        }
    }
    }
}

static void damaged_bytes_never_lead_astray(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {.segment_size = 4096,
                                    .segments = 900,
                                    .keys = 400,
                                    .key_length = 0,
                                    .no_mirror = true,
                                    .seal_whole = true};
    world_open(&w, &options, 77);
    for (uint32_t key = 0; key < options.keys; ++key)
        assert_int_equal(world_put(&w, key, world_below(&w, 10) ? world_below(&w, 200) : 9000), BELAY_OK);
    /* Exactly the region, so that the address sanitizer sees a step beyond it. */
    unsigned char *region = aligned_alloc(4096, w.region_size);
    unsigned char key_memory[BELAY_KEY_MAX];
    unsigned long results[4] = {0};
    for (unsigned round = 0; round < 400; ++round) {
        memcpy(region, w.region[PRIMARY], w.region_size);
        struct arena_view view = w.view[PRIMARY];
        view.base = region;
        for (unsigned n = 0; n < 60; ++n) {
            uint32_t key = world_below(&w, options.keys);
            struct read_key read_key = {key_hash(&w, key), key_memory, key_bytes(&w, key, key_memory)};
            damage(&w, region, key);
            size_t capacity = world_below(&w, 3) ? 300 : world_below(&w, 12000);
            unsigned char *buffer = malloc(capacity + 1);
            struct read_result read = {0};
            const struct copy_descriptor *descriptor = (const void *)(region + w.descriptor_offset[PRIMARY]);
            const slot_word *home = reader_prefetch_bucket(&view, descriptor, read_key.hash);
            reader_prefetch_entry(&view, descriptor, home, read_key.hash);
            int result = reader_get_ahead(&view, descriptor, home, &read_key, buffer, capacity, &read);
            if (result == READ_AGAIN)
                result = reader_get(&view, descriptor, &read_key, buffer, capacity, &read);
            assert_true(result == BELAY_OK || result == BELAY_ERR_NOT_FOUND ||
                        result == BELAY_ERR_TRUNCATED || result == READ_AGAIN);
            assert_true(result != BELAY_OK || read.value_length <= capacity);
            results[result == BELAY_OK              ? 0
                    : result == BELAY_ERR_NOT_FOUND ? 1
                    : result == READ_AGAIN          ? 2
                                                    : 3]++;
            free(buffer);

            struct remote r;
            struct entry_header header;
            unsigned char *entry = NULL;
            open_remote(&w, region, &r);
            if (fetch_key(&r, &read_key, &header, &entry) == BELAY_OK) {
                /* The seal covers everything: it is one of the values that were put. */
                assert_int_equal(header.version, w.newest[key].version);
                assert_true(value_is(w.newest[key].seed, entry + sizeof header + read_key.length,
                                     header.value_length));
                free(entry);
            }
        }
    }
    print_message("%lu found, %lu absent, %lu given up, %lu truncated\n", results[0], results[1], results[2],
                  results[3]);
    for (int i = 0; i < 4; ++i)
        assert_true(results[i] > 50);
    free(region);
    world_close(&w);
}

static void random_bytes_never_lead_astray(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {
        .segment_size = 4096, .segments = 30, .keys = 400, .key_length = 16, .no_mirror = true};
    world_open(&w, &options, 7);
    unsigned char *region = aligned_alloc(4096, w.region_size);
    unsigned char key_memory[BELAY_KEY_MAX], buffer[100];
    for (unsigned round = 0; round < 3000; ++round) {
        for (size_t i = 0; i + 8 <= w.region_size; i += 8) {
            uint64_t word = round % 3 ? world_random(&w) : nasty(&w);
            memcpy(region + i, &word, 8);
        }
        struct arena_view view = w.view[PRIMARY];
        view.base = region;
        for (uint32_t key = 0; key < 20; ++key) {
            struct read_key read_key = {key_hash(&w, key), key_memory, key_bytes(&w, key, key_memory)};
            struct read_result read;
            const struct copy_descriptor *descriptor =
                (const void *)(region +
                               world_below(&w, (uint32_t)(w.region_size - sizeof *descriptor)) / 8 * 8);
            reader_get(&view, descriptor, &read_key, buffer, sizeof buffer, &read);
            struct remote r = {.region = region, .size = w.region_size, .view = view};
            struct entry_header header;
            unsigned char *entry;
            memcpy(&r.descriptor, descriptor, sizeof r.descriptor);
            if (fetch_key(&r, &read_key, &header, &entry) == BELAY_OK)
                free(entry);
        }
    }
    free(region);
    world_close(&w);
}

static void views_of_bad_headers_are_refused(void **state)
{
    (void)state;
    struct world w;
    struct world_options options = {.segment_size = 4096, .segments = 30, .keys = 1, .no_mirror = true};
    world_open(&w, &options, 7);
    const struct arena_header good = *arena_header_of(w.arena[PRIMARY]);
    struct arena_view view;
    struct arena_header bad[9];
    for (int i = 0; i < 9; ++i)
        bad[i] = good;
    bad[0].magic++;
    bad[1].segment_size = 3000;
    bad[2].segment_size = 2048;
    bad[3].segment_size = 0;
    bad[4].segments++;
    bad[5].segments = 0;
    bad[6].first_offset = 0;
    bad[7].first_offset += 8;
    bad[8].first_offset = ~0xfffull;
    for (int i = 0; i < 9; ++i)
        assert_int_equal(arena_view_make(w.region[PRIMARY], w.region_size, &bad[i], &view),
                         BELAY_ERR_PROTOCOL);
    assert_int_equal(arena_view_make(w.region[PRIMARY], w.region_size - 1, &good, &view), BELAY_ERR_PROTOCOL);
    assert_int_equal(arena_view_make(w.region[PRIMARY], w.region_size, &good, &view), BELAY_OK);
    struct read_key key = {1, "k", 1};
    struct read_result read;
    const unsigned char *end = (unsigned char *)w.region[PRIMARY] + w.region_size;
    assert_int_equal(reader_get(&view, (const void *)(end - 512), &key, NULL, 0, &read), BELAY_ERR_PROTOCOL);
    assert_int_equal(reader_get(&view, (const void *)(end + 4096), &key, NULL, 0, &read), BELAY_ERR_PROTOCOL);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetched_bytes_give_what_the_model_holds),
        cmocka_unit_test(damaged_bytes_never_lead_astray),
        cmocka_unit_test(random_bytes_never_lead_astray),
        cmocka_unit_test(views_of_bad_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
