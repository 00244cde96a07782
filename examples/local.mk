# SPDX-License-Identifier: BSD-3-Clause
# Programs a user would write, installed as sources: each builds with pkg-config alone.
include examples/heat/local.mk
include examples/hydrogen/local.mk
