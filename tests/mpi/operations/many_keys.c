/* SPDX-License-Identifier: BSD-3-Clause */
/* put_all and get_all: a status for every key, and one bad item hinders no other. */
#include "../../support/value.h"
#include "operations.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS = 100, VALUE = 3000, FIRST = 1000 };

struct batch {
    struct key keys[ITEMS];
    belay_put_item puts[ITEMS];
    belay_get_item gets[ITEMS];
    unsigned char values[ITEMS][VALUE], buffers[ITEMS][VALUE];
};

static void fill(const struct subject *s, struct batch *batch, uint64_t round)
{
    for (unsigned i = 0; i < ITEMS; ++i) {
        size_t length = (i * 97 + round * 13) % VALUE;
        own_key(s, s->job->rank, FIRST + i, &batch->keys[i]);
        value_make(i, (struct value_origin){.sequence = round}, batch->values[i], length);
        batch->puts[i] = (belay_put_item){.key = {batch->keys[i].bytes, batch->keys[i].length},
                                          .value = {batch->values[i], length},
                                          .status = 4711};
        batch->gets[i] = (belay_get_item){.key = batch->puts[i].key,
                                          .buffer = batch->buffers[i],
                                          .capacity = VALUE,
                                          .length = 4711,
                                          .status = 4711};
    }
}

static void expect_item(const struct batch *batch, unsigned i)
{
    const belay_get_item *item = &batch->gets[i];
    CHECK(item->status == BELAY_OK && item->length == batch->puts[i].value.length &&
              memcmp(batch->buffers[i], batch->values[i], item->length) == 0,
          "item %u: status %s, %zu bytes of %zu", i, belay_strerror(item->status), item->length,
          batch->puts[i].value.length);
}

static void test_all_good(const struct subject *s, const belay_write_options *options, struct batch *batch)
{
    for (uint64_t round = 1; round <= 2; ++round) { /* new keys, then known ones */
        fill(s, batch, round);
        CHECK_OK(belay_put_all(s->cache, batch->puts, ITEMS, options));
        for (unsigned i = 0; i < ITEMS; ++i)
            CHECK(batch->puts[i].status == BELAY_OK, "item %u: %s", i, belay_strerror(batch->puts[i].status));
        CHECK_OK(belay_get_all(s->cache, batch->gets, ITEMS));
        for (unsigned i = 0; i < ITEMS; ++i)
            expect_item(batch, i);
    }
    CHECK_OK(belay_put_all(s->cache, NULL, 0, options));
    CHECK_OK(belay_get_all(s->cache, NULL, 0));
}

/* Every fifth key is not there. */
static void test_absent(const struct subject *s, const belay_write_options *options, struct batch *batch)
{
    for (unsigned i = 0; i < ITEMS; i += 5)
        CHECK_OK(belay_remove(s->cache, batch->keys[i].bytes, batch->keys[i].length, options));
    CHECK_OK(belay_get_all(s->cache, batch->gets, ITEMS));
    for (unsigned i = 0; i < ITEMS; ++i)
        if (i % 5 == 0)
            CHECK(batch->gets[i].status == BELAY_ERR_NOT_FOUND, "item %u: %d", i, batch->gets[i].status);
        else
            expect_item(batch, i);
}

static void test_bad_puts(const struct subject *s, const belay_write_options *options, struct batch *batch)
{
    fill(s, batch, 3);
    batch->puts[10].key.length = 0;
    batch->puts[20].key.length = BELAY_KEY_MAX + 1;
    batch->puts[30].key.data = NULL;
    batch->puts[40].value = (belay_bytes){NULL, 5};
    batch->puts[50].value.length = (size_t)BELAY_VALUE_MAX + 1;
    CHECK_RESULT(belay_put_all(s->cache, batch->puts, ITEMS, options), BELAY_ERR_INVALID);
    for (unsigned i = 0; i < ITEMS; ++i) {
        int expected = BELAY_OK;
        if (i == 10 || i == 30 || i == 40)
            expected = BELAY_ERR_INVALID;
        else if (i == 20 || i == 50)
            expected = BELAY_ERR_TOO_LARGE;
        CHECK(batch->puts[i].status == expected, "item %u: %s", i, belay_strerror(batch->puts[i].status));
        if (expected == BELAY_OK)
            expect_value(s, &batch->keys[i], batch->puts[i].value.data, batch->puts[i].value.length);
    }
}

static void test_bad_gets(const struct subject *s, struct batch *batch)
{
    size_t short_length = batch->puts[61].value.length;
    batch->gets[61].capacity = short_length - 1;
    batch->gets[62].key.length = 0;
    batch->gets[63].key.length = BELAY_KEY_MAX + 1;
    batch->gets[64].buffer = NULL;
    batch->gets[65].buffer = NULL;
    batch->gets[65].capacity = 0;
    CHECK_RESULT(belay_get_all(s->cache, batch->gets + 60, ITEMS - 60), BELAY_ERR_TRUNCATED);
    CHECK(batch->gets[61].status == BELAY_ERR_TRUNCATED && batch->gets[61].length == short_length,
          "%d, %zu bytes", batch->gets[61].status, batch->gets[61].length);
    CHECK(batch->gets[62].status == BELAY_ERR_INVALID, "%d", batch->gets[62].status);
    CHECK(batch->gets[65].status == (batch->puts[65].value.length ? BELAY_ERR_TRUNCATED : BELAY_OK), "%d",
          batch->gets[65].status);
    CHECK(batch->gets[63].status == BELAY_ERR_TOO_LARGE, "%d", batch->gets[63].status);
    CHECK(batch->gets[64].status == BELAY_ERR_INVALID, "%d", batch->gets[64].status);
    for (unsigned i = 66; i < ITEMS; ++i)
        expect_item(batch, i);
}

void test_many_keys(const struct subject *s, const belay_write_options *options)
{
    struct batch *batch = malloc(sizeof *batch);
    if (!batch)
        job_abort("no memory for a batch");
    at("many keys: %s", s->config.name);
    test_all_good(s, options, batch);
    test_absent(s, options, batch);
    test_bad_puts(s, options, batch);
    test_bad_gets(s, batch);
    for (unsigned i = 0; i < ITEMS; ++i) {
        CHECK_OK(belay_put(s->cache, batch->keys[i].bytes, batch->keys[i].length, NULL, 0, options));
        CHECK_OK(belay_remove(s->cache, batch->keys[i].bytes, batch->keys[i].length, options));
    }
    free(batch);
}
