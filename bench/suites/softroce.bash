# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
suite_run() {
    skipped softroce softroce "not supported yet"
    return 3
}
