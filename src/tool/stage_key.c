/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/stage_key.h"

#include <stdio.h>
#include <string.h>

static void make(struct stage_key *key, const char *name, size_t length, const char *word, uint32_t part)
{
    memcpy(key->bytes, name, length);
    key->length = length;
    if (!*word && part == 0)
        return;
    key->bytes[length] = '\0';
    char *suffix = key->bytes + length + 1;
    if (part == 0)
        key->length += 1 + (size_t)snprintf(suffix, STAGE_SUFFIX_MAX, "%s", word);
    else
        key->length += 1 + (size_t)snprintf(suffix, STAGE_SUFFIX_MAX, "%s%u", word, part);
}

void stage_key_content(struct stage_key *key, const char *name, size_t length, uint32_t part)
{
    make(key, name, length, "", part);
}

void stage_key_about(struct stage_key *key, const char *name, size_t length, uint32_t part)
{
    make(key, name, length, "about", part);
}
