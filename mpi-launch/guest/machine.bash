# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One guest as the host sees it: its directory (described in guest/start), its QEMU process, its end.
# Every guest has a time limit of its own, and dies with the runner even if that is killed.

machine_status_timeout=124
machine_status_broken=125

machine_start=${BASH_SOURCE[0]%/*}/start

# Writes what guest/start needs into the guest's directory. machine_prepare DIRECTORY NAME ADDRESS NETDEV [PEER...]
machine_prepare() {
    local directory=$1 merge=0 share number=0
    [[ /proc/self/fd/1 -ef /proc/self/fd/2 ]] && merge=1
    mkdir -p "$directory" && cp "$machine_start" "$directory/start" || return 1
    printf '%s=%q\n' guest_name "$2" guest_address "$3" guest_netdev "$4" guest_merge_output "$merge" \
        guest_peers "${*:5}" >"$directory/config"
    for share in "${option_shares[@]}"; do
        echo "share$((number++)) $share"
    done >"$directory/shares"
    touch "$directory/stdout" "$directory/stderr"
}

# What Open MPI must be told in a guest: root may run jobs, ranks may outnumber processors, and MPI's own traffic stays
# off the RDMA device, which is Belay's here.
machine_environment=(HOME=/root PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader,tcp)

# The command runs where the caller is.
machine_write_command() {
    {
        printf 'export %q\n' "${machine_environment[@]}" "${option_environment[@]}"
        printf 'cd %q || exit 125\n' "$PWD"
        printf 'exec'
        printf ' %q' "${option_command[@]}"
        echo
    } >"$1/command"
}

# Starts QEMU in the background and sets machine_pid. machine_boot DIRECTORY [QEMU ARGUMENT...]
machine_boot() {
    local directory=$1 tag path
    local arguments=(-M q35 -smp "$option_cpus" -m "$option_memory" -nodefaults -display none -no-reboot)
    shift
    if [[ -r /dev/kvm && -w /dev/kvm ]]; then
        arguments+=(-accel kvm -cpu host)
    else
        arguments+=(-accel "tcg,thread=multi" -cpu max)
    fi
    arguments+=(-kernel "$kernel_image" -initrd "$kernel_initrd" -serial "file:$directory/console"
        -append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off random.trust_cpu=on")
    arguments+=(-fsdev "local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap"
        -device "virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot")
    while read -r tag path; do
        arguments+=(-fsdev "local,id=$tag,path=${path//,/,,},security_model=none,multidevs=remap"
            -device "virtio-9p-pci,fsdev=$tag,mount_tag=$tag")
    done < <(echo "guest $directory"; cat "$directory/shares")
    setpriv --pdeathsig KILL timeout --kill-after=5 "$option_timeout" \
        setpriv --pdeathsig KILL qemu-system-x86_64 "${arguments[@]}" "$@" </dev/null >"$directory/qemu" 2>&1 &
    machine_pid=$!
}

# Passes a guest's output on while it runs; returns when the guest has ended and all is printed.
machine_follow() {
    local directory=$1 pid=$2 relay
    tail -f -n +1 -s 0.1 --pid="$pid" "$directory/stderr" >&2 &
    relay=$!
    tail -f -n +1 -s 0.1 --pid="$pid" "$directory/stdout"
    wait "$relay"
}

# Tells how a guest ended: returns its command's status, or says why there is none. machine_verdict DIRECTORY QEMU-STATUS
machine_verdict() {
    local directory=$1 qemu_status=$2 name=${0##*/}
    if [[ -s $directory/status ]]; then
        return "$(<"$directory/status")"
    fi
    if ((qemu_status == 124 || qemu_status == 137)); then
        echo "$name: no end after $option_timeout s, guest stopped" >&2
        machine_show_console "$directory"
        return "$machine_status_timeout"
    fi
    if [[ -s $directory/failure ]]; then
        echo "$name: $(<"$directory/failure")" >&2
    else
        echo "$name: the guest died (kernel panic, or QEMU ended with status $qemu_status)" >&2
    fi
    cat "$directory/qemu" >&2
    machine_show_console "$directory"
    return "$machine_status_broken"
}

machine_show_console() {
    [[ -s $1/console ]] || return 0
    echo "${0##*/}: the end of the guest's console:" >&2
    tail -n 40 "$1/console" | tr -d '\r' >&2
}
