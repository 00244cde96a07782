# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# The device by itself: perftest between two processes of this host.

# The GID index of an IPv4 address in RoCE version 2; 0 if there is none to be found.
gid_index() {
    local device=$1 index type
    for index in {0..15}; do
        type=$(cat "/sys/class/infiniband/$device/ports/1/gid_attrs/types/$index" 2>/dev/null) || continue
        if [[ $type == "RoCE v2" && $(cat "/sys/class/infiniband/$device/ports/1/gids/$index") == 0000:*:ffff:* ]]; then
            echo "$index"
            return
        fi
    done
    echo 0
}

# perftest COLUMN PROGRAM [OPTION...]: what it prints in that column of its last line of figures
perftest() {
    local column=$1 device port options server
    device=$(basename "$(echo /sys/class/infiniband/* | cut -d ' ' -f 1)")
    port=$((18000 + RANDOM % 2000))
    options=(-d "$device" -x "$(gid_index "$device")" -p "$port" -F "${@:3}")
    timeout 60 "$2" "${options[@]}" >/dev/null 2>&1 &
    server=$!
    sleep 1
    timeout 60 "$2" "${options[@]}" localhost 2>&1 | awk -v column="$column" '
        /^ *[0-9]+ +[0-9]+ +[0-9.]+/ { figure = $column } END { print figure + 0; exit figure == "" }'
    wait "$server" || true
}

# perftest_limits ITERATIONS: a JSON object, all in ns. Latencies are the typical ones; a completed write is one that
# waits for its completion before the next begins.
perftest_limits() {
    local n=$1 read send write completed rate read_64k write_64k
    read=$(perftest 5 ib_read_lat -s 64 -n "$n")
    send=$(perftest 5 ib_send_lat -s 64 -n "$n")
    write=$(perftest 5 ib_write_lat -s 64 -n "$n")
    completed=$(perftest 5 ib_write_bw -s 128 -n "$n" -t 1)
    rate=$(perftest 5 ib_write_bw -s 128 -n "$((3 * n))")
    read_64k=$(perftest 4 ib_read_bw -s 65536 -n "$n")
    write_64k=$(perftest 4 ib_write_bw -s 65536 -n "$n")
    # Microseconds, millions of messages per second, and MiB per second.
    jq -cn --argjson read "$read" --argjson send "$send" --argjson write "$write" --argjson completed "$completed" \
        --argjson rate "$rate" --argjson read_64k "$read_64k" --argjson write_64k "$write_64k" '
        {read: (1000 * $read), send: (1000 * $send), write: (1000 * $write), completed_write: (1000 / $completed),
         message: (1000 / $rate), read_64k: (1e9 / 16 / $read_64k), write_64k: (1e9 / 16 / $write_64k)}'
}

perftest_figures() {
    jq -c 'to_entries[] | {suite: "softroce", name: "perftest_\(.key)", value: .value, unit: "ns"}' <<<"$1"
}
