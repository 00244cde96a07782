# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Processes of one host: limits, operations, bare MPI, YCSB, and other stores beside them.
# shellcheck source=bench/suites/stores.bash
source "$SUITES/stores.bash"

# Mode, backups, processes, and a name when it is the one that stands for all.
ycsb_job() {
    local workloads records milliseconds
    workloads=$(by_quick AC ABCDF)
    records=$(by_quick 20000 200000)
    milliseconds=$(by_quick 300 1000)
    launch "$3" bench/ycsb/ycsb "$1" "$2" "$records" "$milliseconds" "$workloads" "_n$3_$1_b$2"
}

ycsb() {
    local mode processes backups
    for processes in 2 4; do
        for mode in full_sync primary_sync full_async; do
            for backups in 0 1 2; do
                if $QUICK && [[ $processes,$mode,$backups != 2,full_sync,1 ]]; then
                    continue
                elif ((backups >= processes)); then
                    continue
                fi
                ycsb_job "$mode" "$backups" "$processes"
            done
        done
    done
}

# ycsb_a and the like stand for one of the jobs: 2 processes, FULL_SYNC, one backup.
name_representative() {
    jq -c '., if .name | test("^ycsb_.*_n2_full_sync_b1$") then .name |= sub("_n2.*"; "") else empty end'
}

# What one costs by itself, and what they cost when they meet.
transactions() {
    launch 2 bench/transactions/commits host "$(by_quick 1 5)"
    launch 4 bench/transactions/smallbank host full_sync "$(by_quick 10000 100000)" "$(by_quick 150 1500)"
}

suite_run() {
    local options=(--runs "$(by_quick 3 15)")
    $QUICK && options+=(--quick)
    cd "$BUILD" || return
    machine_load host
    launch 2 bench/host/host "${options[@]}"
    transactions
    ycsb | name_representative
    scale host $(by_quick "3 4" "2 3 4 6 8 12 16") | extrapolate
    stores
}
