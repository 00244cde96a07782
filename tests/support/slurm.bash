# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A Slurm of a test's own: munged, slurmctld, and a slurmd per node, all nodes on this machine. Everything lies below one
# folder, on ports of this process's range. To be sourced; needs root. slurm_stop ends what slurm_start began.

slurm_folder='' slurm_processes=()

# slurm_missing: what keeps a Slurm from running here, as text; nothing if all is there
slurm_missing() {
    local program
    ((EUID == 0)) || echo "slurmd needs root"
    for program in munged slurmctld slurmd sbatch srun sinfo; do
        command -v $program >/dev/null || echo "no $program (mpi-launch/packages install slurm)"
    done
}

slurm_configure() {
    local name port=$((20000 + $$ % 500 * 20))
    {
        cat <<END
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$slurm_folder/munge.socket
StateSaveLocation=$slurm_folder/state
SlurmdSpoolDir=$slurm_folder/spool-%n
SlurmctldPidFile=$slurm_folder/slurmctld.pid
SlurmdPidFile=$slurm_folder/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
END
        for name in "$@"; do
            echo "NodeName=$name NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((++port)) CPUs=4"
        done
        echo "PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
    } >"$slurm_folder/slurm.conf"
}

# slurm_daemon NAME COMMAND...: in the background, its output in a file of that name
slurm_daemon() {
    "${@:2}" >"$slurm_folder/$1.log" 2>&1 &
    slurm_processes+=($!)
}

# slurm_until SECONDS COMMAND...: repeat the command until it succeeds
slurm_until() {
    local end=$((SECONDS + $1))
    until "${@:2}" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

# slurm_start FOLDER NODE...: returns when all nodes are idle
slurm_start() {
    local name
    slurm_folder=$1
    mkdir -p "$slurm_folder"/state
    chmod 755 "$slurm_folder"
    shift
    slurm_configure "$@"
    export SLURM_CONF=$slurm_folder/slurm.conf
    (umask 077 && head -c 1024 /dev/urandom >"$slurm_folder/munge.key")
    slurm_daemon munged munged --force --foreground --key-file="$slurm_folder/munge.key" \
        --socket="$slurm_folder/munge.socket" --pid-file="$slurm_folder/munged.pid" \
        --log-file="$slurm_folder/munged.out" --seed-file="$slurm_folder/munge.seed"
    slurm_until 10 test -S "$slurm_folder/munge.socket" || return
    slurm_daemon slurmctld slurmctld -D
    for name in "$@"; do
        slurm_daemon "slurmd-$name" slurmd -D -N "$name"
    done
    for name in "$@"; do
        slurm_until 30 slurm_idle "$name" || return
    done
}

slurm_idle() {
    [[ $(sinfo --noheader --nodes="$1" --format=%t) == idle ]]
}

# Jobs first, whose processes are in sessions of their own. munged last: the others need it to end in peace.
slurm_stop() {
    local i
    timeout 5 scancel --quiet --user=root 2>/dev/null || true
    for ((i = ${#slurm_processes[@]} - 1; i >= 0; --i)); do
        kill "${slurm_processes[i]}" 2>/dev/null || true
    done
    wait "${slurm_processes[@]}" 2>/dev/null || true
    slurm_processes=()
}
