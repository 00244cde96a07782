/* SPDX-License-Identifier: BSD-3-Clause */
/* One value of the largest size there is, 1 GiB, put by one rank and read by another. */
#include "../support/job.h"
#include "../support/value.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_SIZE (1500ull << 20)

/* Bytes of memory that the host could give now. */
static uint64_t available_memory(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    unsigned long long kilobytes = 0;
    char line[128];
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

static void run(const struct job *job, belay_cache *cache)
{
    unsigned char *value = malloc(BELAY_VALUE_MAX);
    size_t length = 0;
    if (!value)
        job_abort("no memory for a value of 1 GiB");
    at("putting 1 GiB");
    if (job->rank == 0) {
        value_make(1, (struct value_origin){.sequence = 1}, value, BELAY_VALUE_MAX);
        CHECK_OK(belay_put(cache, "huge", 4, value, BELAY_VALUE_MAX, NULL));
    }
    job_barrier();
    at("getting 1 GiB");
    if (job->rank == job->ranks - 1) {
        CHECK_OK(belay_get(cache, "huge", 4, value, BELAY_VALUE_MAX, &length));
        const char *fault = length == BELAY_VALUE_MAX ? value_fault(1, value, length, NULL)
                                                      : "another length";
        CHECK(!fault, "%zu bytes: %s", length, fault);
        CHECK_OK(belay_remove(cache, "huge", 4, NULL));
    }
    free(value);
    job_barrier();
}

int main(int argc, char **argv)
{
    struct job job;
    job_begin(&argc, &argv, "huge_value", 0, &job);
    uint64_t needed = (uint64_t)job.ranks * (ARENA_SIZE + BELAY_VALUE_MAX) + (2ull << 30);
    uint64_t available = job_min(available_memory());
    if (available < needed)
        return job_skip(&job, "%llu MiB of memory are available, %llu are needed",
                        (unsigned long long)(available >> 20), (unsigned long long)(needed >> 20));
    belay_node *node = job_open(&(belay_config){.arena_size = ARENA_SIZE, .operation_timeout_ms = 120000});
    belay_cache *cache = job_cache(node, &(belay_cache_config){.name = "huge",
                                                               .backups = 1,
                                                               .write_synchronization_mode = BELAY_FULL_SYNC,
                                                               .partitions = 1});
    run(&job, cache);
    job_verify(node, cache, "after 1 GiB");
    job_close(node);
    return job_end(&job);
}
