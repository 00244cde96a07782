/* SPDX-License-Identifier: BSD-3-Clause */
/* Redis over a unix socket. Usage: redis SOCKET ENTRIES MILLISECONDS [replicated]: figures as lines of JSON. */
#include "peer.h"

#include <hiredis/hiredis.h>

struct redis {
    redisContext *connection;
    uint64_t random, entries;
    char value[VALUE_SIZE];
};

static redisReply *check(struct redis *r, void *reply)
{
    redisReply *answer = reply;
    if (!answer)
        fail("redis", r->connection->errstr);
    if (answer->type == REDIS_REPLY_ERROR)
        fail("redis", answer->str);
    return answer;
}

static void draw_key(struct redis *r, char key[KEY_SIZE + 1])
{
    key_make(random_below(&r->random, r->entries), key);
}

static void take_reply(struct redis *r)
{
    void *reply = NULL;
    if (redisGetReply(r->connection, &reply) != REDIS_OK)
        fail("redis", r->connection->errstr);
    freeReplyObject(check(r, reply));
}

static void load(struct redis *r)
{
    char key[KEY_SIZE + 1];
    for (uint64_t done = 0; done < r->entries; done += LOADED_AT_ONCE) {
        for (uint64_t i = 0; i < LOADED_AT_ONCE; ++i) {
            key_make(done + i, key);
            redisAppendCommand(r->connection, "SET %b %b", key, (size_t)KEY_SIZE, r->value,
                               (size_t)VALUE_SIZE);
        }
        for (int i = 0; i < LOADED_AT_ONCE; ++i)
            take_reply(r);
    }
}

static void get(void *context)
{
    struct redis *r = context;
    char key[KEY_SIZE + 1];
    draw_key(r, key);
    redisReply *reply = check(r, redisCommand(r->connection, "GET %b", key, (size_t)KEY_SIZE));
    if (reply->len != VALUE_SIZE)
        fail("redis GET", "no value");
    freeReplyObject(reply);
}

static void set(void *context)
{
    struct redis *r = context;
    char key[KEY_SIZE + 1];
    draw_key(r, key);
    freeReplyObject(check(
        r, redisCommand(r->connection, "SET %b %b", key, (size_t)KEY_SIZE, r->value, (size_t)VALUE_SIZE)));
}

static void get_pipelined(void *context)
{
    struct redis *r = context;
    char key[KEY_SIZE + 1];
    for (int i = 0; i < BATCH; ++i) {
        draw_key(r, key);
        redisAppendCommand(r->connection, "GET %b", key, (size_t)KEY_SIZE);
    }
    for (int i = 0; i < BATCH; ++i)
        take_reply(r);
}

static void set_pipelined(void *context)
{
    struct redis *r = context;
    char key[KEY_SIZE + 1];
    for (int i = 0; i < BATCH; ++i) {
        draw_key(r, key);
        redisAppendCommand(r->connection, "SET %b %b", key, (size_t)KEY_SIZE, r->value, (size_t)VALUE_SIZE);
    }
    for (int i = 0; i < BATCH; ++i)
        take_reply(r);
}

static void mget(void *context)
{
    struct redis *r = context;
    char keys[BATCH][KEY_SIZE + 1];
    const char *words[BATCH + 1] = {"MGET"};
    size_t lengths[BATCH + 1] = {4};
    for (int i = 0; i < BATCH; ++i) {
        draw_key(r, keys[i]);
        words[i + 1] = keys[i];
        lengths[i + 1] = KEY_SIZE;
    }
    freeReplyObject(check(r, redisCommandArgv(r->connection, BATCH + 1, words, lengths)));
}

/* Both commands at once: one round trip to the primary, and one to the replica. */
static void set_wait(void *context)
{
    struct redis *r = context;
    char key[KEY_SIZE + 1];
    void *reply = NULL;
    draw_key(r, key);
    redisAppendCommand(r->connection, "SET %b %b", key, (size_t)KEY_SIZE, r->value, (size_t)VALUE_SIZE);
    redisAppendCommand(r->connection, "WAIT 1 10000");
    take_reply(r);
    if (redisGetReply(r->connection, &reply) != REDIS_OK)
        fail("redis", r->connection->errstr);
    redisReply *waited = check(r, reply);
    if (waited->integer < 1)
        fail("redis WAIT", "no replica has it");
    freeReplyObject(waited);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("Usage", "redis SOCKET ENTRIES MILLISECONDS [replicated]");
    struct redis r = {.random = 1, .entries = strtoull(argv[2], NULL, 10)};
    uint64_t nanoseconds = strtoull(argv[3], NULL, 10) * 1000000;
    memset(r.value, 'v', VALUE_SIZE);
    r.connection = redisConnectUnix(argv[1]);
    if (!r.connection || r.connection->err)
        fail(argv[1], r.connection ? r.connection->errstr : "no memory");
    load(&r);
    if (argc > 4) {
        measure("peer_redis_set_wait1_64", "ns", set_wait, &r, 1, nanoseconds);
    } else {
        measure("peer_redis_get_64", "ns", get, &r, 1, nanoseconds);
        measure("peer_redis_set_64", "ns", set, &r, 1, nanoseconds);
        measure("peer_redis_get_64_pipelined", "ns/key", get_pipelined, &r, BATCH, nanoseconds);
        measure("peer_redis_set_64_pipelined", "ns/key", set_pipelined, &r, BATCH, nanoseconds);
        measure("peer_redis_mget_64", "ns/key", mget, &r, BATCH, nanoseconds);
    }
    redisFree(r.connection);
    return 0;
}
