/* SPDX-License-Identifier: BSD-3-Clause */
/* memcached over a unix socket. Usage: memcached SOCKET ENTRIES MILLISECONDS: figures as lines of JSON. */
#include "peer.h"

#include <libmemcached/memcached.h>

struct store {
    memcached_st *connection;
    uint64_t random, entries;
    char value[VALUE_SIZE];
};

static void check(struct store *s, const char *what, memcached_return_t result)
{
    if (result != MEMCACHED_SUCCESS && result != MEMCACHED_BUFFERED)
        fail(what, memcached_strerror(s->connection, result));
}

static void draw_key(struct store *s, char key[KEY_SIZE + 1])
{
    key_make(random_below(&s->random, s->entries), key);
}

static void put(struct store *s, const char *key)
{
    check(s, "memcached set", memcached_set(s->connection, key, KEY_SIZE, s->value, VALUE_SIZE, 0, 0));
}

static void buffer(struct store *s, bool on)
{
    check(s, "memcached", memcached_behavior_set(s->connection, MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, on));
    check(s, "memcached", memcached_behavior_set(s->connection, MEMCACHED_BEHAVIOR_NOREPLY, on));
}

/* The client has changed its connection since: what it sent on the old one is taken in order, but maybe later. */
static void wait_for_last(struct store *s)
{
    enum { TRIES = 5000 };
    char key[KEY_SIZE + 1];
    memcached_return_t result = MEMCACHED_NOTFOUND;
    key_make(s->entries - 1, key);
    for (int i = 0; i < TRIES && result == MEMCACHED_NOTFOUND; ++i) {
        size_t length;
        uint32_t flags;
        free(memcached_get(s->connection, key, KEY_SIZE, &length, &flags, &result));
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    check(s, "memcached load", result);
}

static void load(struct store *s)
{
    char key[KEY_SIZE + 1];
    buffer(s, true);
    for (uint64_t i = 0; i < s->entries; ++i) {
        key_make(i, key);
        put(s, key);
    }
    memcached_flush_buffers(s->connection);
    buffer(s, false);
    wait_for_last(s);
}

static void set(void *context)
{
    struct store *s = context;
    char key[KEY_SIZE + 1];
    draw_key(s, key);
    put(s, key);
}

static void get(void *context)
{
    struct store *s = context;
    char key[KEY_SIZE + 1];
    size_t length;
    uint32_t flags;
    memcached_return_t result;
    draw_key(s, key);
    char *value = memcached_get(s->connection, key, KEY_SIZE, &length, &flags, &result);
    check(s, "memcached get", result);
    free(value);
}

static void get_many(void *context)
{
    struct store *s = context;
    static memcached_result_st result;
    static bool made;
    char keys[BATCH][KEY_SIZE + 1];
    const char *words[BATCH];
    size_t lengths[BATCH];
    memcached_return_t status;
    for (int i = 0; i < BATCH; ++i) {
        draw_key(s, keys[i]);
        words[i] = keys[i];
        lengths[i] = KEY_SIZE;
    }
    if (!made)
        memcached_result_create(s->connection, &result);
    made = true;
    check(s, "memcached mget", memcached_mget(s->connection, words, lengths, BATCH));
    int found = 0;
    while (memcached_fetch_result(s->connection, &result, &status))
        ++found;
    if (found == 0)
        fail("memcached mget", "no values");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("Usage", "memcached SOCKET ENTRIES MILLISECONDS");
    struct store s = {
        .connection = memcached_create(NULL), .random = 1, .entries = strtoull(argv[2], NULL, 10)};
    uint64_t nanoseconds = strtoull(argv[3], NULL, 10) * 1000000;
    memset(s.value, 'v', VALUE_SIZE);
    if (!s.connection)
        fail("memcached", "no memory");
    check(&s, argv[1], memcached_server_add_unix_socket(s.connection, argv[1]));
    load(&s);
    measure("peer_memcached_get_64", "ns", get, &s, 1, nanoseconds);
    measure("peer_memcached_set_64", "ns", set, &s, 1, nanoseconds);
    measure("peer_memcached_get_64_many", "ns/key", get_many, &s, BATCH, nanoseconds);
    memcached_free(s.connection);
    return 0;
}
