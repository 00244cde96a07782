# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# From the death of a primary to the first operation that its backup answers. Failover is not there yet.

suite_run() {
    skipped failover failover "not supported: this version has no failover"
    return 3
}
