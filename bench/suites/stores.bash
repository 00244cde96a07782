# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Other stores of one host, over a unix socket: what a user would take instead. The server has a core of its own, the client
# another; they end with the suite.

servers=()

stop_servers() {
    ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null || true
    wait "${servers[@]}" 2>/dev/null || true
    servers=()
}

# on CORE COMMAND...: become that command on that core, modulo those there are; so $! of one in the background is its own
on() {
    exec taskset -c "$(($1 % $(nproc)))" "${@:2}"
}

# Does a socket come up?
wait_for_socket() {
    for _ in {1..100}; do
        [[ ! -S $1 ]] || return 0
        sleep 0.05
    done
    return 1
}

free_port() {
    local port
    while port=$((20000 + RANDOM % 20000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# redis CORE NAME [OPTION...]: a server with its socket at $SCRATCH/NAME.sock
start_redis() {
    on "$1" redis-server --unixsocket "$SCRATCH/$2.sock" --dir "$SCRATCH" --dbfilename "$2.rdb" --save '' \
        --appendonly no --daemonize no --loglevel warning "${@:3}" >"$SCRATCH/$2.log" 2>&1 </dev/null &
    servers+=($!)
    wait_for_socket "$SCRATCH/$2.sock"
}

replica_ready() {
    for _ in {1..200}; do
        ! redis-cli -s "$SCRATCH/replica.sock" info replication | grep -q master_link_status:up || return 0
        sleep 0.1
    done
    return 1
}

measure_redis() {
    local entries=$1 milliseconds=$2 port
    start_redis 1 redis --port 0
    (on 0 bench/peers/redis "$SCRATCH/redis.sock" "$entries" "$milliseconds")
    stop_servers
    port=$(free_port)
    start_redis 1 primary --port "$port" --bind 127.0.0.1
    start_redis 0 replica --port 0 --replicaof 127.0.0.1 "$port"
    if replica_ready; then
        (on 0 bench/peers/redis "$SCRATCH/primary.sock" "$entries" "$milliseconds" replicated)
    else
        skipped host peer_redis_set_wait1_64 "the replica did not connect"
    fi
    stop_servers
}

measure_memcached() {
    local options=()
    ((EUID != 0)) || options=(-u root)
    on 1 memcached -s "$SCRATCH/memcached.sock" -m 1024 -t 1 "${options[@]}" >/dev/null 2>&1 </dev/null &
    servers+=($!)
    wait_for_socket "$SCRATCH/memcached.sock"
    (on 0 bench/peers/memcached "$SCRATCH/memcached.sock" "$1" "$2")
    stop_servers
}

stores() {
    local entries milliseconds
    entries=$(by_quick 50000 1000000)
    milliseconds=$(by_quick 50 300)
    trap stop_servers EXIT
    if [[ ! -x bench/peers/redis ]]; then
        skipped host peer_redis "its client library was not there when Belay was built (libhiredis-dev)"
    elif ! command -v redis-server >/dev/null; then
        skipped host peer_redis "redis-server is not installed"
    else
        measure_redis "$entries" "$milliseconds"
    fi
    if [[ ! -x bench/peers/memcached ]]; then
        skipped host peer_memcached "its client library was not there when Belay was built (libmemcached-dev)"
    elif ! command -v memcached >/dev/null; then
        skipped host peer_memcached "memcached is not installed"
    else
        measure_memcached "$entries" "$milliseconds"
    fi
}
