# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The options that softroce-guest and softroce-guests share. The caller sets the defaults below anew where its own differ.

option_memory=4G
option_cpus=2
option_timeout=300
option_shares=()
option_environment=()
option_command=()

options_help() {
    cat <<END
  --memory SIZE      memory of a guest, as QEMU takes it (default $option_memory)
  --cpus N           processors of a guest (default $option_cpus)
  --timeout SECONDS  end the run after so long, boot included (default $option_timeout)
  --share DIR        let the guest write to this directory of the host; it has the same path there. May be repeated
  --env NAME=VALUE   set a variable in the command's environment. May be repeated
  --help             print this text
END
}

# Ends the script: the caller made a mistake.
options_reject() {
    echo "${0##*/}: $1 (see --help)" >&2
    exit 2
}

options_check_number() {
    [[ $2 =~ ^[1-9][0-9]*$ ]] || options_reject "$1 wants a whole number above 0, not '$2'"
}

# Takes one of the shared options off the command line: option_taken is then the number of words it had, or 0.
options_take() {
    local option=$1 value=${2-}
    option_taken=2
    case $option in
    --memory | --cpus | --timeout | --share | --env)
        (($# >= 2)) || options_reject "$option wants a value"
        ;;&
    --memory)
        [[ $value =~ ^[1-9][0-9]*[MG]$ ]] || options_reject "--memory wants a size such as 1500M or 4G, not '$value'"
        option_memory=$value
        ;;
    --cpus)
        options_check_number "$option" "$value"
        option_cpus=$value
        ;;
    --timeout)
        options_check_number "$option" "$value"
        option_timeout=$value
        ;;
    --share)
        [[ -d $value ]] || options_reject "--share: '$value' is no directory"
        option_shares+=("$(realpath -- "$value")")
        ;;
    --env)
        [[ $value =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || options_reject "--env wants NAME=VALUE, not '$value'"
        option_environment+=("$value")
        ;;
    *)
        option_taken=0
        ;;
    esac
}

# The rest of the command line is the command.
options_take_command() {
    (($# > 0)) || options_reject "no command given"
    option_command=("$@")
}
