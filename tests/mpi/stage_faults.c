/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The belay command with a fault: as if another program had meddled with the file "victim" in the cache or on
 * disk, or a rank had died at a bad moment. The linker sends the command's calls of belay_put(), belay_get() and
 * belay_verify() here. BELAY_TEST_FAULT says what happens:
 *
 *   flip    the content is overwritten with one byte changed
 *   longer  the content is overwritten with a longer one
 *   lose    the content never arrives
 *   forge   content and checksum are both replaced, fitting each other
 *   touch   the file on disk changes after it was staged; $BELAY_TEST_VICTIM is its path
 *   fail    the put of the content fails at the rank that makes it, for good
 *   copies  the copies are told to differ
 *
 *   die-reading    the rank that gets the content back dies, and so does one more that does it in its place
 *   die-verifying  the rank that has the copies compared dies after it
 */
#include "belay.h"
#include "tool/stage_key.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

int __real_belay_put(belay_cache *cache, const void *key, size_t key_length, const void *value,
                     size_t value_length, const belay_write_options *options);
int __wrap_belay_put(belay_cache *cache, const void *key, size_t key_length, const void *value,
                     size_t value_length, const belay_write_options *options);
int __real_belay_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                     size_t *value_length);
int __wrap_belay_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                     size_t *value_length);
int __real_belay_verify(belay_cache *cache, belay_verify_report *report);
int __wrap_belay_verify(belay_cache *cache, belay_verify_report *report);

static const char victim[] = "victim", victim_about[] = "victim\0about";

static bool fault_is(const char *name)
{
    const char *fault = getenv("BELAY_TEST_FAULT");
    return fault && strcmp(fault, name) == 0;
}

static void touch_file(void)
{
    FILE *file = fopen(getenv("BELAY_TEST_VICTIM"), "a");
    if (!file || fputs("more", file) == EOF || fclose(file) != 0)
        perror("BELAY_TEST_VICTIM");
}

/* Put another content of @p length bytes: the value's, with the first byte changed, and zeroes behind it. */
static int put_other(belay_cache *cache, const void *value, size_t value_length, size_t length)
{
    char *other = calloc(1, length);
    if (!other)
        return BELAY_ERR_NO_MEMORY;
    memcpy(other, value, value_length);
    other[0] = (char)~other[0];
    int result = __real_belay_put(cache, victim, sizeof victim - 1, other, length, NULL);
    free(other);
    return result;
}

static int put_content(belay_cache *cache, const void *value, size_t length)
{
    if (fault_is("lose"))
        return BELAY_OK;
    if (fault_is("fail"))
        return BELAY_ERR_TIMEOUT;
    int result = __real_belay_put(cache, victim, sizeof victim - 1, value, length, NULL);
    if (result != BELAY_OK)
        return result;
    if (fault_is("touch"))
        touch_file();
    if (fault_is("flip"))
        return put_other(cache, value, length, length);
    if (fault_is("longer"))
        return put_other(cache, value, length, length + 1);
    return BELAY_OK;
}

static int put_forged(belay_cache *cache, const struct stage_about *about)
{
    static const char content[] = "not what is on disk";
    struct stage_about forged = *about;
    forged.length = sizeof content;
    XXH128_canonicalFromHash((XXH128_canonical_t *)forged.checksum, XXH3_128bits(content, sizeof content));
    int result = __real_belay_put(cache, victim, sizeof victim - 1, content, sizeof content, NULL);
    if (result != BELAY_OK)
        return result;
    return __real_belay_put(cache, victim_about, sizeof victim_about - 1, &forged, sizeof forged, NULL);
}

int __wrap_belay_put(belay_cache *cache, const void *key, size_t key_length, const void *value,
                     size_t value_length, const belay_write_options *options)
{
    if (key_length == sizeof victim - 1 && memcmp(key, victim, key_length) == 0)
        return put_content(cache, value, value_length);
    if (fault_is("forge") && key_length == sizeof victim_about - 1 &&
        memcmp(key, victim_about, key_length) == 0)
        return put_forged(cache, value);
    return __real_belay_put(cache, key, key_length, value, value_length, options);
}

/* Die, if less than so many ranks have: each leaves a file in $TMPDIR. */
static void die(int most)
{
    for (int i = 0; i < most; ++i) {
        char path[4096];
        snprintf(path, sizeof path, "%s/died.%d", getenv("TMPDIR"), i);
        if (open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0)
            raise(SIGKILL);
    }
}

int __wrap_belay_get(belay_cache *cache, const void *key, size_t key_length, void *buffer, size_t capacity,
                     size_t *value_length)
{
    if (fault_is("die-reading") && key_length == sizeof victim - 1 && memcmp(key, victim, key_length) == 0)
        die(2);
    return __real_belay_get(cache, key, key_length, buffer, capacity, value_length);
}

int __wrap_belay_verify(belay_cache *cache, belay_verify_report *report)
{
    int result = __real_belay_verify(cache, report);
    if (fault_is("die-verifying"))
        die(1);
    if (result != BELAY_OK || !fault_is("copies"))
        return result;
    report->differences = 1;
    report->listed = 1;
    report->list[0] = (belay_difference){
        .partition = 7, .node = 1, .primary_digest = 0xabc, .backup_digest = 0xdef};
    return BELAY_ERR_DIFFERS;
}
