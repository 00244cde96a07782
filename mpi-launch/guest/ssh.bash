# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Root of one guest logs in to the others with a key made for this run, which is every guest's host key as well. The
# files go to /root/.ssh of each guest.

# ssh_create DIRECTORY GUEST...
ssh_create() {
    local directory=$1
    shift
    mkdir -p "$directory" && ssh-keygen -q -t ed25519 -N '' -C belay -f "$directory/id_ed25519" || return 1
    cp "$directory/id_ed25519.pub" "$directory/authorized_keys"
    printf '%s %s\n' "$(IFS=, && echo "$*")" "$(<"$directory/id_ed25519.pub")" >"$directory/known_hosts"
    ssh_client_configuration >"$directory/config"
    ssh_server_configuration >"$directory/sshd_config"
    printf '%s\n' "${machine_environment[@]}" "${option_environment[@]}" >"$directory/environment"
}

# The plain elliptic-curve exchange is the cheapest on an emulated processor.
ssh_client_configuration() {
    cat <<END
BatchMode yes
CheckHostIP no
KexAlgorithms curve25519-sha256
LogLevel ERROR
END
}

ssh_server_configuration() {
    cat <<END
HostKey /root/.ssh/id_ed25519
AuthorizedKeysFile /root/.ssh/authorized_keys
PermitRootLogin prohibit-password
PermitUserEnvironment yes
StrictModes no
UsePAM no
MaxStartups 100
END
}
