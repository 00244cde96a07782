# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Over verbs, on this machine's RDMA device or in a guest with Soft-RoCE: limits by perftest, then the operations, in one boot.
# shellcheck source=bench/suites/perftest.bash
source "$SUITES/perftest.bash"

# The limit of each name; cost of messages and bytes as perftest has just measured them.
limits_filter='
    def limit(name; value): .limit_name = name | .limit = value | .ratio = (.value / value);
    if .name == "get_64_warm" then limit("ib_read_lat"; $l.read)
    elif .name == "get_64_cold" then limit("2 x ib_read_lat"; 2 * $l.read)
    elif .name | test("^put_primary_sync_64_b") then limit("round trip of ib_send_lat"; 2 * $l.send)
    elif .name | test("^put_full_sync_64_b") then
        limit("round trip of ib_send_lat + a completed write"; 2 * $l.send + $l.completed_write)
    elif .name == "put_full_async_64_b1" then limit("2 x a message of ib_write_bw"; 2 * $l.message)
    elif .name == "get_64k" then limit("ib_read_bw"; $l.read_64k)
    elif .name == "put_full_sync_64k_b1" then limit("2 x ib_write_bw"; 2 * $l.write_64k)
    else . end'

# What a transaction needs: a READ for each key; a round trip for each lock and for each phase; in a phase the completed writes to the
# backup that are waited for, of a record that is to be prepared in any mode, of the changes with FULL_SYNC; and where nothing is
# locked and all is promised, each mark and each version once more.
transactions_filter='
    def count(condition): if condition then 1 else 0 end;
    if .name | test("^tx_(read|one|two)_") then
        (.name | {reads: test("^tx_read_"), two: test("^tx_two_"), one: test("^tx_one_"), full: test("_full_sync_"),
                  locks: test("pessimistic"), keeps: (test("read_committed") | not), all: test("serializable")}) as $t
        | (2 * count($t.locks and $t.keeps) + 2 * count($t.locks and ($t.reads | not)) + count($t.one) + 2 * count($t.two)) as $trips
        | (count($t.two) + count($t.full)) as $writes
        | (2 + 4 * count($t.reads and $t.all and ($t.locks | not))) as $reads
        | .limit_name = "\($reads) x ib_read_lat, \($trips) round trips of ib_send_lat, \($writes) completed writes"
        | .limit = $reads * $l.read + $trips * 2 * $l.send + $writes * $l.completed_write
        | .ratio = (.value / .limit)
    else . end'

# Where there is a device: everything, as lines of JSON.
softroce_here() {
    local limits options=(--verbs --runs "$(by_quick 2 7)" --entries "$(by_quick 20000 100000)")
    $QUICK && options+=(--quick)
    cd "$BUILD" || return
    limits=$(perftest_limits "$(by_quick 300 1000)") || return
    perftest_figures "$limits"
    BELAY_TRANSPORT=verbs launch 3 bench/host/host "${options[@]}" | jq -c --argjson l "$limits" "$limits_filter"
    BELAY_TRANSPORT=verbs launch 3 bench/transactions/commits softroce "$(by_quick 1 3)" | jq -c --argjson l "$limits" "$transactions_filter"
    # shellcheck disable=SC2046 # words
    BELAY_TRANSPORT=verbs scale softroce $(by_quick "2" "2 3 4 6 8") | extrapolate
    BELAY_TRANSPORT=verbs launch 4 bench/transactions/smallbank softroce full_sync 2000 "$(by_quick 300 1500)"
}

softroce_in_guest() {
    local script="source '$SUITES/common.bash'; source '$SUITES/softroce.bash'; softroce_here"
    "$SRC/mpi-launch/softroce-guest" --timeout "$(by_quick 400 1800)" --share "$SCRATCH" --env SRC="$SRC" \
        --env BUILD="$BUILD" --env SUITES="$SUITES" --env QUICK="$QUICK" --env SCRATCH="$SCRATCH" -- \
        bash -euo pipefail -c "($script) >'$SCRATCH/softroce.lines'" >&2
    cat "$SCRATCH/softroce.lines"
}

suite_run() {
    machine_load softroce
    if ls /sys/class/infiniband/* >/dev/null 2>&1; then
        softroce_here
    else
        softroce_in_guest
    fi
}
