/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever a configuration file contains, it is refused with its place, or every cache in it can be settled. */
#include "base/log.h"
#include "cluster/settings.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "fuzz_settings_xml: not so: %s; last error: %s\n", what, log_last_error());
    abort();
}

static void settle_cache(const settings_file *file, const char *name)
{
    struct cache_settings settings;
    require(settings_resolve_cache(&(belay_cache_config){.name = name}, file, &settings) == BELAY_OK,
            "is settled");
    require(settings_check_cache(&settings) == BELAY_OK, "is accepted by a peer");
    require(settings.origins[CACHE_MODE].line <= SETTINGS_FILE_MAX, "lies within the file");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    settings_file *file = NULL;
    setenv("BELAY_LOG", "off", 1);
    log_init(-1);
    log_clear_error();
    int result = settings_file_parse("fuzz.xml", data, size, &file);
    if (result) {
        require(result == BELAY_ERR_CONFIG || result == BELAY_ERR_NOT_SUPPORTED, "is refused for what it is");
        require(file == NULL, "gives nothing");
        require(strncmp(log_last_error(), "fuzz.xml:", 9) == 0, "the message begins with the place");
        return 0;
    }
    require(settings_file_cache_count(file) <= BELAY_CACHES_MAX, "has few caches");
    for (size_t i = 0; i < settings_file_cache_count(file); ++i)
        settle_cache(file, settings_file_cache_name(file, i));
    settings_file_free(file);
    return 0;
}
