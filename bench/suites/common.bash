# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the suites share. Their standard output is lines of JSON, so everything else goes to standard error.
: "${SRC:?}" "${BUILD:?}" "${QUICK:?}" "${SCRATCH:?}"

# skipped SUITE NAME REASON
skipped() {
    echo "bench/run: $1: $2 is skipped: $3" >&2
    jq -cn --arg suite "$1" --arg name "$2" --arg reason "$3" '{suite: $suite, name: $name, skipped: $reason}'
}

# figure SUITE NAME VALUE UNIT [MEMBERS]: one figure; MEMBERS are further members of the object, in JSON
figure() {
    jq -cn --arg suite "$1" --arg name "$2" --argjson value "$3" --arg unit "$4" --argjson more "${5-{\}}" \
        '{suite: $suite, name: $name, value: $value, unit: $unit} + $more'
}

# What the machine is busy with besides: above 0.1 or so, figures of two processes are worth less.
machine_load() {
    figure "$1" machine_load "$(cut -d ' ' -f 1 /proc/loadavg)" "runnable threads"
}

# launch N PROGRAM [ARGS]: ranks that bind themselves, as any user, over the loopback only
launch() {
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout --kill-after=5 "${LAUNCH_LIMIT:-600}" \
        mpirun --oversubscribe --bind-to none --mca btl "self,vader,tcp" --mca btl_tcp_if_include lo \
        --mca oob_tcp_if_include lo -n "$@" </dev/null
}

# by_quick QUICK FULL: the one for this run
by_quick() {
    if $QUICK; then echo "$1"; else echo "$2"; fi
}

# How cost grows with the ranks: scale SUITE RANKS...
scale() {
    local suite=$1 ranks
    shift
    for ranks in "$@"; do
        launch "$ranks" bench/scale/scale "$suite"
    done
}

# From the least and the most ranks on: what each further rank adds, and so what 1,000 and 10,000 would cost.
extrapolate() {
    jq -cs '.[], (map(select(.ranks)) | group_by(.name | sub("_n[0-9]+$"; ""))[] | sort_by(.ranks)
        | select((.[0].name | test("_(open|open_descriptors|talked_rings|talked_queue_pairs)_n")) and length > 2)
        | .[0] as $first | .[-1] as $last
        | (($last.value - $first.value) / ($last.ranks - $first.ranks)) as $each
        | (1000, 10000) as $ranks
        | {suite: .[0].suite, name: ($first.name | sub("_n[0-9]+$"; "_n\($ranks)_computed")),
           value: ($first.value + $each * ($ranks - $first.ranks)), unit: $first.unit})'
}
