/* SPDX-License-Identifier: BSD-3-Clause */
#include "value.h"

#include "random.h"

#include <string.h>
#include <xxhash.h>

/* First bytes of a described value. The checksum is of the other fields and of the rest of the value. */
struct value_head {
    uint64_t checksum, key, length, sequence;
    uint32_t writer, unused;
};
_Static_assert(sizeof(struct value_head) == VALUE_DESCRIBED, "the shortest described value is its head");

static uint64_t checksum_of(const struct value_head *head, const void *body, size_t length)
{
    struct value_head fields = *head;
    fields.checksum = 0;
    return XXH3_64bits_withSeed(body, length, XXH3_64bits(&fields, sizeof fields));
}

static void fill_body(unsigned char *body, size_t length, struct random_source source)
{
    for (; length >= sizeof(uint64_t); body += sizeof(uint64_t), length -= sizeof(uint64_t)) {
        uint64_t word = random_next(&source);
        memcpy(body, &word, sizeof word);
    }
    uint64_t word = random_next(&source);
    memcpy(body, &word, length);
}

static struct random_source short_source(uint64_t key, size_t length)
{
    return random_stream(key, length, 1);
}

void value_make(uint64_t key, struct value_origin origin, void *value, size_t length)
{
    if (length < VALUE_DESCRIBED) {
        fill_body(value, length, short_source(key, length));
        return;
    }
    struct value_head head = {
        .key = key, .length = length, .sequence = origin.sequence, .writer = origin.writer};
    unsigned char *body = (unsigned char *)value + sizeof head;
    fill_body(body, length - sizeof head, random_stream(key, origin.writer, origin.sequence));
    head.checksum = checksum_of(&head, body, length - sizeof head);
    memcpy(value, &head, sizeof head);
}

const char *value_fault(uint64_t key, const void *value, size_t length, struct value_origin *origin)
{
    if (length < VALUE_DESCRIBED) {
        unsigned char expected[VALUE_DESCRIBED];
        fill_body(expected, length, short_source(key, length));
        return memcmp(expected, value, length) == 0 ? NULL : "a short value of another key or length";
    }
    struct value_head head;
    memcpy(&head, value, sizeof head);
    if (head.checksum != checksum_of(&head, (const unsigned char *)value + sizeof head, length - sizeof head))
        return "a torn value: its checksum is wrong";
    if (head.key != key)
        return "a whole value of another key";
    if (head.length != length)
        return "a whole value of another length";
    if (origin)
        *origin = (struct value_origin){.sequence = head.sequence, .writer = head.writer};
    return NULL;
}
