/* SPDX-License-Identifier: BSD-3-Clause */
/* Proof and figures. */
#include "api/check.h"
#include "cache/cache.h"
#include "cache/whole.h"

int belay_verify(belay_cache *cache, belay_verify_report *report)
{
    int result = check_output("belay_verify", cache, "cache");
    if (result == BELAY_OK)
        result = check_output("belay_verify", report, "report");
    return result == BELAY_OK ? whole_verify(cache, report) : result;
}

int belay_stats(belay_cache *cache, belay_cache_stats *stats)
{
    int result = check_output("belay_stats", cache, "cache");
    if (result == BELAY_OK)
        result = check_output("belay_stats", stats, "stats");
    if (result == BELAY_OK)
        whole_stats(cache, stats);
    return result;
}

int belay_latency(belay_cache *cache, belay_timed calls, belay_latencies *latencies)
{
    int result = check_output("belay_latency", cache, "cache");
    if (result == BELAY_OK)
        result = check_output("belay_latency", latencies, "latencies");
    if (result == BELAY_OK && (calls < BELAY_TIMED_GETS || calls > BELAY_TIMED_WRITES))
        result = log_quiet(BELAY_ERR_INVALID, "belay_latency: calls is %d", (int)calls);
    if (result == BELAY_OK)
        timings_sum(cache->timings, calls, latencies);
    return result;
}

uint64_t belay_latency_percentile(const belay_latencies *latencies, double percent)
{
    uint64_t seen = 0;
    if (!latencies || !(percent >= 0 && percent <= 100))
        return 0;
    double wanted = percent / 100 * (double)latencies->count;
    for (unsigned i = 0; i < BELAY_LATENCY_BUCKETS; ++i) {
        seen += latencies->buckets[i];
        if (seen == 0 || (double)seen < wanted)
            continue;
        uint64_t end = timing_bucket_end(i);
        return end < latencies->longest_ns ? end : latencies->longest_ns;
    }
    return latencies->longest_ns;
}
