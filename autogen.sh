#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Makes ./configure from a git checkout. A release tarball has it already.
set -e
cd "$(dirname "$0")"
for tool in autoreconf libtoolize pkg-config; do
    command -v $tool >/dev/null || {
        echo "autogen.sh: $tool is missing; on Debian: apt-get install autoconf automake libtool pkg-config" >&2
        exit 1
    }
done
exec autoreconf --install --warnings=all,no-obsolete "$@"
