/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One rank writes while all others rest: nothing that comes later may be needed to bring a write to its end. Keys and values of the
 * sizes where something changes (longer than an inline write, than a message, than a segment), each write but a FULL_SYNC one
 * followed by another of the same partition, as it is the next one that waits.
 */
#include "../support/job.h"
#include "../support/value.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { VALUE_LONGEST = 200 * 1000, KEY_LONGEST = 1000 };

static const size_t key_lengths[] = {8, 100, KEY_LONGEST};
static const size_t value_lengths[] = {0, 1000, 16384, VALUE_LONGEST};

static void write_key(belay_cache *cache, const unsigned char *key, size_t key_length, size_t value_length,
                      const belay_write_options *options, unsigned char *value)
{
    static uint64_t sequence;
    size_t length = 0;
    at("mode %d, key of %zu bytes, value of %zu", options->sync, key_length, value_length);
    for (int time = 0; time < 2; ++time) {
        value_make(key_length, (struct value_origin){.sequence = ++sequence}, value, value_length);
        CHECK_OK(belay_put(cache, key, key_length, value, value_length, options));
    }
    CHECK_OK(belay_get(cache, key, key_length, value, VALUE_LONGEST, &length));
    CHECK(length == value_length, "%zu bytes of %zu", length, value_length);
    CHECK_OK(belay_remove(cache, key, key_length, options));
    CHECK_OK(belay_put(cache, key, key_length, value, value_length, options));
}

static void write_all(belay_node *node, belay_cache *cache)
{
    static const belay_write_options modes[] = {
        {.sync = BELAY_PRIMARY_SYNC}, {.sync = BELAY_FULL_ASYNC}, {.sync = BELAY_FULL_SYNC}};
    unsigned char key[KEY_LONGEST] = {0}, *value = malloc(VALUE_LONGEST);
    if (!value)
        job_abort("no memory for a value");
    for (size_t mode = 0; mode < COUNT(modes); ++mode) {
        for (size_t k = 0; k < COUNT(key_lengths); ++k)
            for (size_t v = 0; v < COUNT(value_lengths); ++v) {
                key[0] = (unsigned char)v; /* so that they differ, and come to different partitions */
                write_key(cache, key, key_lengths[k], value_lengths[v], &modes[mode], value);
            }
        at("mode %d: flush", modes[mode].sync);
        CHECK_OK(belay_flush(node));
        at("mode %d: clear", modes[mode].sync);
        CHECK_OK(belay_clear(cache));
    }
    free(value);
}

int main(int argc, char **argv)
{
    struct job job;
    job_begin(&argc, &argv, "lone_writes", 0, &job);
    belay_node *node = job_open(&(belay_config){.arena_size = 64ull << 20});
    belay_cache *cache = job_cache(node,
                                   &(belay_cache_config){.name = "lone", .backups = 1, .partitions = 4});
    for (int writer = 0; writer < job.ranks; ++writer) {
        if (job.rank == writer)
            write_all(node, cache);
        job_barrier();
    }
    job_verify(node, cache, "in the end");
    job_close(node);
    return job_end(&job);
}
