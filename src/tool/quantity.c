/* SPDX-License-Identifier: BSD-3-Clause */
#include "tool/quantity.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffixes[] = "KMGT";

bool quantity_parse_size(const char *text, uint64_t *bytes)
{
    if (strchr("0123456789.", text[0]) == NULL || text[0] == '\0')
        return false;
    if (text[strspn(text, "0123456789")] == '\0') { /* plain bytes: exact, where a double is not */
        errno = 0;
        uint64_t exact = strtoull(text, NULL, 10);
        if (errno)
            return false;
        *bytes = exact;
        return true;
    }
    char *end;
    double value = strtod(text, &end);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (!suffix || end[1] != '\0' || strspn(text, "0123456789.") != (size_t)(end - text))
        return false;
    value = ldexp(value, 10 * (int)(suffix - suffixes + 1));
    if (!(value < 18446744073709551616.0))
        return false;
    *bytes = (uint64_t)value;
    return true;
}

const char *quantity_binary(uint64_t bytes, char text[QUANTITY_TEXT])
{
    int power = 0;
    while (power < 4 && bytes > 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++power;
    }
    if (power == 0)
        snprintf(text, QUANTITY_TEXT, "%llu", (unsigned long long)bytes);
    else
        snprintf(text, QUANTITY_TEXT, "%llu%c", (unsigned long long)bytes, suffixes[power - 1]);
    return text;
}

const char *quantity_megabytes(uint64_t bytes, char text[QUANTITY_TEXT])
{
    snprintf(text, QUANTITY_TEXT, "%.1f", (double)bytes / 1e6);
    return text;
}

const char *quantity_count(uint64_t count, char text[QUANTITY_TEXT])
{
    char digits[QUANTITY_TEXT];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    int at = 0;
    for (int i = 0; i < length; ++i) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

const char *quantity_duration(uint64_t nanoseconds, char text[QUANTITY_TEXT])
{
    double value = (double)nanoseconds;
    if (value < 1e3)
        snprintf(text, QUANTITY_TEXT, "%.0f ns", value);
    else if (value < 1e6)
        snprintf(text, QUANTITY_TEXT, "%.1f us", value / 1e3);
    else if (value < 1e9)
        snprintf(text, QUANTITY_TEXT, "%.2f ms", value / 1e6);
    else
        snprintf(text, QUANTITY_TEXT, "%.2f s", value / 1e9);
    return text;
}
