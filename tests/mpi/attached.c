/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that attaches to a service of servers (see tests/script/serve):
 *
 *   attached FILE FIRST END          opens a cache, finds there what others have put, keys 0 ... FIRST - 1, and puts the
 *                                    keys FIRST ... END - 1
 *   attached FILE FIRST END stay     and does not leave until it is killed
 *
 * ATTACHED_CACHE names the cache. One value is a text that can be found in memory.
 */
#include <belay.h>

#include "../support/report.h"
#include "../support/value.h"
#include "../support/watchdog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VALUE = 200 };
static const char mark[] = "a value that the test of serve looks for";

static void put_keys(belay_cache *cache, uint64_t first, uint64_t end)
{
    unsigned char value[VALUE];
    for (uint64_t key = first; key < end; ++key) {
        value_make(key, (struct value_origin){1, 1}, value, VALUE);
        CHECK_OK(belay_put(cache, &key, sizeof key, value, VALUE, NULL));
    }
}

static void check_keys(belay_cache *cache, uint64_t end)
{
    unsigned char value[VALUE];
    for (uint64_t key = 0; key < end; ++key) {
        size_t length = 0;
        if (!CHECK_OK(belay_get(cache, &key, sizeof key, value, VALUE, &length)))
            continue;
        const char *fault = value_fault(key, value, length, NULL);
        CHECK(!fault && length == VALUE, "key %d: %s", (int)key, fault ? fault : "another length");
    }
}

int main(int argc, char **argv)
{
    static const belay_config settings = {.role = BELAY_ROLE_CLIENT, .arena_size = 16u << 20};
    const char *name = getenv("ATTACHED_CACHE");
    const belay_cache_config config = {.name = name ? name : "of-a-job",
                                       .backups = 1,
                                       .write_synchronization_mode = BELAY_FULL_SYNC,
                                       .partitions = 32};
    belay_node *node;
    belay_cache *cache;
    report_init("attached", 0);
    if (argc < 4)
        return 2;
    watchdog_start("attached", 0, 30);
    if (!CHECK_OK(belay_join(argv[1], &settings, &node)))
        return 1;
    if (CHECK_OK(belay_cache_open(node, &config, &cache))) {
        uint64_t first = strtoull(argv[2], NULL, 10), end = strtoull(argv[3], NULL, 10);
        check_keys(cache, first);
        put_keys(cache, first, end);
        if (first == 0 && end > 0)
            CHECK_OK(belay_put(cache, "mark", 4, mark, sizeof mark, NULL));
        printf("%d found, %d put\n", (int)first, (int)(end - first));
        fflush(stdout);
    }
    if (argc > 4)
        pause();
    CHECK_OK(belay_close(node));
    return report_failures() != 0;
}
