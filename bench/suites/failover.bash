# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Jobs of four ranks of which two are killed, one after the other, while all write with FULL_SYNC: what was lost, how long the
# writes to a dead primary stood still, and how fast copies were restored. On shared memory, and over verbs on this machine's RDMA
# device or in a guest with Soft-RoCE. BELAY_BENCH_TRANSPORTS names them, if not both are wanted; and "power", which is not among them
# by itself: hosts that lose power, in three guests of which each wants a processor.
# shellcheck source=bench/suites/perftest.bash
source "$SUITES/perftest.bash"

# kill_jobs TRANSPORT JOBS MIB FILE: the lines of all jobs. What mpirun says of a job that lost a rank is of no use.
kill_jobs() {
    local job whole
    : >"$4"
    for ((job = 0; job < $2; ++job)); do
        BELAY_TRANSPORT=$1 BELAY_BENCH_NOTES=$SCRATCH/notes BELAY_LOG=error LAUNCH_LIMIT=120 \
            launch 4 --mca orte_enable_recovery 1 bench/failover/kills "$3" 2>"$SCRATCH/kills.log" >"$SCRATCH/kills" || true
        whole=$(grep -c lost_acknowledged_writes "$SCRATCH/kills" || true)
        if ((whole != 1)); then
            cat "$SCRATCH/kills.log" >&2
            echo "bench/run: failover: a job over $1 did not come to its end" >&2
            return 1
        fi
        cat "$SCRATCH/kills" >>"$4"
    done
}

# summarize TRANSPORT FILE LIMIT_NAME LIMIT: the figures of all kills; the limit in bytes per second, or null
summarize() {
    jq -cs --arg transport "$1" --arg limit_name "$3" --argjson limit "$4" '
        def percentile(p): sort | .[((length * p | ceil) - 1)];
        def figure(name; value; unit): {suite: "failover", name: name, transport: $transport, value: value, unit: unit};
        map(select(has("pause_ms"))) as $kills | map(select(has("differing_copies"))) as $jobs |
        ($kills | map(8 * .restored_bytes / .restore_seconds / 1e9) | percentile(0.5)) as $restored |
        (8 / 1e9 * ($limit // ($jobs | map(.bare_copy_bytes_per_second) | percentile(0.5)))) as $bare |
        figure("kills"; $kills | length; "kills"),
        figure("lost_acknowledged_writes"; $jobs | map(.lost_acknowledged_writes) | add; "writes"),
        figure("differing_copies"; $jobs | map(.differing_copies) | add; "segments"),
        figure("pause_ms_p50"; $kills | map(.pause_ms) | percentile(0.5); "ms"),
        figure("pause_ms_p99"; $kills | map(.pause_ms) | percentile(0.99); "ms"),
        figure("detect_ms_p50"; $kills | map(.detect_ms) | percentile(0.5); "ms"),
        figure("agree_ms_p50"; $kills | map(.agree_ms) | percentile(0.5); "ms"),
        figure("promote_ms_p50"; $kills | map(.promote_ms) | percentile(0.5); "ms"),
        (figure("restore_gbps"; $restored; "Gbit/s") +
            {limit_name: $limit_name, limit: $bare, ratio: ($restored / $bare)})' "$2"
}

shm() {
    cd "$BUILD" || return
    kill_jobs shm "$(by_quick 2 15)" 64 "$SCRATCH/shm.kills" || return
    summarize shm "$SCRATCH/shm.kills" "memcpy into fresh shared memory" null
}

# Where there is a device.
verbs_here() {
    local limit
    cd "$BUILD" || return
    limit=$(perftest 4 ib_write_bw -s 65536 -n "$(by_quick 300 1000)") || return
    kill_jobs verbs "$(by_quick 1 15)" 16 "$SCRATCH/verbs.kills" || return
    summarize verbs "$SCRATCH/verbs.kills" ib_write_bw "$(jq -n --argjson limit "$limit" '$limit * 1048576')"
}

verbs_in_guest() {
    local script="source '$SUITES/common.bash'; source '$SUITES/failover.bash'; verbs_here"
    "$SRC/mpi-launch/softroce-guest" --timeout "$(by_quick 300 1200)" --share "$SCRATCH" --env SRC="$SRC" \
        --env BUILD="$BUILD" --env SUITES="$SUITES" --env QUICK="$QUICK" --env SCRATCH="$SCRATCH" -- \
        bash -euo pipefail -c "($script) >'$SCRATCH/failover.lines'" >&2
    cat "$SCRATCH/failover.lines"
}

verbs() {
    if ls /sys/class/infiniband/* >/dev/null 2>&1; then
        verbs_here
    else
        verbs_in_guest
    fi
}

# longest_write: of all survivors of the last job, in ms; nothing unless all have told
longest_write() {
    grep -ohE 'the longest write took [0-9]+ ms' "$SCRATCH/power.log" | awk '
        $5 > longest { longest = $5 } END { if (NR == 2) print longest }'
}

# BELAY_BENCH_POWER_LOSSES jobs. That nothing is lost or differs is checked by the job: it fails otherwise.
power() {
    local losses=${BELAY_BENCH_POWER_LOSSES:-$(by_quick 1 5)} pauses=() pause status
    make --quiet -C "$BUILD" tests/hosts/outage >&2
    while ((${#pauses[@]} < losses)); do
        rm -rf "$SCRATCH/power" && mkdir "$SCRATCH/power"
        status=0
        (cd "$BUILD" && TESTS=$SRC/tests TMPDIR=$SCRATCH/power "$SRC/tests/hosts/outage_job" power) >"$SCRATCH/power.log" 2>&1 || status=$?
        if ((status == 77)); then
            skipped failover power_loss_pause_ms_p50 "$(tail -n 1 "$SCRATCH/power.log")"
            return
        fi
        pause=$(longest_write)
        if ((status != 0)) || [[ -z $pause ]]; then
            cat "$SCRATCH/power.log" >&2
            echo "bench/run: failover: a job whose host lost power did not come to its end" >&2
            return 1
        fi
        pauses+=("$pause")
    done
    printf '%s\n' "${pauses[@]}" | jq -cs '
        def figure(name; value; unit): {suite: "failover", name: name, transport: "verbs", value: value, unit: unit};
        figure("power_losses"; length; "losses"), figure("power_loss_pause_ms_p50"; sort | .[((length / 2 | ceil) - 1)]; "ms")'
}

suite_run() {
    local transport
    machine_load failover
    for transport in ${BELAY_BENCH_TRANSPORTS:-shm verbs}; do
        "$transport"
    done
}
