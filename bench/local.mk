# SPDX-License-Identifier: BSD-3-Clause
# Benchmarks: noinst_PROGRAMS += bench/NAME
