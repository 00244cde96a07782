# SPDX-License-Identifier: BSD-3-Clause
# Programs a user would write: noinst_PROGRAMS += examples/NAME
