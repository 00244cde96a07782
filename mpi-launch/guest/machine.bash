# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# One guest as the host sees it: its directory (described in guest/start), its QEMU process, its end.
# Every guest has a time limit of its own, and dies with the runner even if that is killed.

machine_status_timeout=124
machine_status_broken=125

machine_start=${BASH_SOURCE[0]%/*}/start
declare -A machine_pids=()

# Makes machine_root, where the guests' directories go, and starts the time. Whatever ends the script also ends the
# guests and removes the directories. The shell tells of each job that a signal killed, save one that it traps.
machine_open() {
    SECONDS=0
    machine_root=$(mktemp -d "${TMPDIR:-/tmp}/softroce.XXXXXX") || return 1
    trap machine_close EXIT
    trap : USR1
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

machine_close() {
    local name
    for name in "${!machine_pids[@]}"; do
        machine_power_off "$name"
    done
    wait
    rm -rf "$machine_root"
}

# Takes the power from a guest: timeout dies of the signal, and QEMU is killed because its parent died.
machine_power_off() {
    kill -USR1 "${machine_pids[$1]}" 2>/dev/null
}

# Writes what guest/start needs into the guest's directory. machine_prepare NAME ADDRESS NETDEV [PEER...]
machine_prepare() {
    local directory=$machine_root/$1 merge=0 share number=0
    [[ /proc/self/fd/1 -ef /proc/self/fd/2 ]] && merge=1
    mkdir -p "$directory" && cp "$machine_start" "$directory/start" || return 1
    printf '%s=%q\n' guest_name "$1" guest_address "$2" guest_netdev "$3" guest_merge_output "$merge" \
        guest_peers "${*:4}" >"$directory/config"
    for share in "${option_shares[@]}"; do
        echo "share$((number++)) $share"
    done >"$directory/shares"
    touch "$directory/stdout" "$directory/stderr" "$directory/power-off"
}

# What Open MPI must be told in a guest: root may run jobs, ranks may outnumber processors, and MPI's own traffic stays
# off the RDMA device, which is Belay's here.
machine_environment=(HOME=/root PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    OMPI_MCA_pml=ob1 "OMPI_MCA_btl=self,vader,tcp")

# Makes the guest the one that runs the command, where the caller is. machine_write_command NAME
machine_write_command() {
    {
        printf 'export %q\n' "${machine_environment[@]}" "${option_environment[@]}"
        printf 'cd %q || exit 125\n' "$PWD"
        printf 'exec'
        printf ' %q' "${option_command[@]}"
        echo
    } >"$machine_root/$1/command"
}

# What QEMU's emulation makes necessary: the timer check fails on a busy host and would stop the boot, and without a
# trusted TSC the guest reads its clock from a device, which takes QEMU's global lock each time.
machine_kernel_options=(console=ttyS0 quiet panic=-1 oops=panic mitigations=off random.trust_cpu=on
    no_timer_check tsc=reliable)

# Starts QEMU in the background. machine_boot NAME [QEMU ARGUMENT...]
machine_boot() {
    local name=$1 directory=$machine_root/$1 tag path
    local arguments=(-M q35 -smp "$option_cpus" -m "$option_memory" -nodefaults -display none -no-reboot)
    shift
    # Emulated unless asked for: a guest of a virtual machine may find a /dev/kvm that only pretends to work.
    if [[ ${BELAY_GUEST_KVM-no} == yes ]]; then
        arguments+=(-accel kvm -cpu host)
    else
        arguments+=(-accel "tcg,thread=multi" -cpu max)
    fi
    arguments+=(-kernel "$kernel_image" -initrd "$kernel_initrd" -serial "file:$directory/console"
        -append "${machine_kernel_options[*]}")
    arguments+=(-fsdev "local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap"
        -device "virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot")
    while read -r tag path; do
        arguments+=(-fsdev "local,id=$tag,path=${path//,/,,},security_model=none,multidevs=remap"
            -device "virtio-9p-pci,fsdev=$tag,mount_tag=$tag")
    done < <(echo "guest $directory"; cat "$directory/shares")
    setpriv --pdeathsig KILL timeout --foreground --signal=KILL "$option_timeout" \
        setpriv --pdeathsig KILL qemu-system-x86_64 "${arguments[@]}" "$@" </dev/null >"$directory/qemu" 2>&1 &
    machine_pids[$name]=$!
}

# Passes a guest's output on while it runs; returns when the guest has ended and all is printed. machine_follow NAME
machine_follow() {
    local directory=$machine_root/$1 pid=${machine_pids[$1]} relay
    tail -f -n +1 -s 0.1 --pid="$pid" "$directory/stderr" >&2 &
    relay=$!
    tail -f -n +1 -s 0.1 --pid="$pid" "$directory/stdout"
    wait "$relay"
}

# Tells how a guest ended: returns its command's status, or says why there is none. machine_verdict NAME
machine_verdict() {
    local name=$1 directory=$machine_root/$1 qemu_status=0
    wait "${machine_pids[$name]}" || qemu_status=$?
    unset "machine_pids[$name]"
    if [[ -s $directory/status ]]; then
        return "$(<"$directory/status")"
    fi
    if grep -qx "$name" "$directory/power-off"; then
        echo "${0##*/}: guest $name lost power, as asked" >&2
        return "$machine_status_broken"
    fi
    if ((qemu_status == 137 && SECONDS >= option_timeout)); then
        machine_report "$name" "no end after $option_timeout s, stopped"
        return "$machine_status_timeout"
    fi
    machine_report "$name" "died: kernel panic, or QEMU ended (status $qemu_status)"
    return "$machine_status_broken"
}

# Says what happened to a guest, with what the guest, QEMU and the guest's kernel said. machine_report NAME WHAT
machine_report() {
    local directory=$machine_root/$1
    if [[ -s $directory/failure ]]; then
        echo "${0##*/}: guest $1: $(<"$directory/failure")" >&2
    else
        echo "${0##*/}: guest $1: $2" >&2
    fi
    cat "$directory/qemu" >&2
    if [[ -s $directory/console ]]; then
        echo "${0##*/}: guest $1: the end of its console:" >&2
        tail -n 40 "$directory/console" | tr -d '\r' >&2
    fi
}
