# SPDX-License-Identifier: BSD-3-Clause
# The belay command with faults put in, for tests/script/stage.
check_PROGRAMS += tests/mpi/stage_faults
tests_mpi_stage_faults_SOURCES = tests/mpi/stage_faults.c $(tool_sources)
tests_mpi_stage_faults_LDADD = $(tool_libs)
tests_mpi_stage_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=belay_put,--wrap=belay_get,--wrap=belay_verify
