/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes, durations and counts as people write and read them. */
#ifndef BELAY_TOOL_QUANTITY_H
#define BELAY_TOOL_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

enum { QUANTITY_TEXT = 32 }; /* room for any text made here */

/* "0", "4096", "64K", "1.5G": bytes, with a suffix K, M, G or T for powers of 1024. */
bool quantity_parse_size(const char *text, uint64_t *bytes);

/* All return @p text. */
const char *quantity_binary(uint64_t bytes,
                            char text[QUANTITY_TEXT]); /* "64K", readable by quantity_parse_size() */
const char *quantity_megabytes(uint64_t bytes, char text[QUANTITY_TEXT]); /* "116.0", in units of 10^6 */
const char *quantity_count(uint64_t count, char text[QUANTITY_TEXT]);     /* "8,182" */
const char *quantity_duration(uint64_t nanoseconds,
                              char text[QUANTITY_TEXT]); /* "740 ns", "12.3 us", "1.20 s" */

#endif
