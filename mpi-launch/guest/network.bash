# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The network between several guests: a bridge with a tap each, in a network namespace that lives and dies with the
# runner, so nothing leaves it and nothing is left of it. Needs no root where users may make namespaces.

network_prefix=10.77.0
network_status_skip=77

# Goes on as the same script inside a new network namespace; returns once inside. network_enter SCRIPT ARGUMENT...
network_enter() {
    local unshare=(unshare --net)
    [[ -z ${BELAY_IN_NAMESPACE-} ]] || return 0
    ((EUID == 0)) || unshare+=(--user --map-root-user)
    if ! "${unshare[@]}" ip tuntap add probe mode tap 2>/dev/null; then
        echo "${0##*/}: skipped: no network namespace with a tap device here (kernel without them, or not allowed)" >&2
        exit "$network_status_skip"
    fi
    BELAY_IN_NAMESPACE=1 exec "${unshare[@]}" -- "$@"
}

# The bridge and the taps tap1 to tapN. network_create N
network_create() {
    local number
    ip link add bridge type bridge && ip link set bridge mtu 9000 up || return 1
    for ((number = 1; number <= $1; number++)); do
        ip tuntap add "tap$number" mode tap && ip link set "tap$number" master bridge mtu 9000 up || return 1
    done
}

# Sets network_arguments to QEMU's for guest number N. A host MTU makes the guest's device take large frames.
network_of_guest() {
    network_arguments=(-netdev "tap,id=net,ifname=tap$1,script=no,downscript=no"
        -device "virtio-net-pci,netdev=net,mac=$(printf '52:54:00:77:00:%02x' "$1"),host_mtu=9000")
}

# Guest number N sends and gets nothing any more; its own link seems up. network_cut N
network_cut() {
    ip link set "tap$1" nomaster
}

# The hosts file of all guests. network_hosts N
network_hosts() {
    local number
    echo '127.0.0.1 localhost'
    for ((number = 1; number <= $1; number++)); do
        echo "$network_prefix.$number vm$number"
    done
}
