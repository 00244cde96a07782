# SPDX-License-Identifier: BSD-3-Clause
# Unit tests are found by tests/run by their name, programs for mpirun are listed in tests/manifest.
EXTRA_DIST += tests/manifest
dist_noinst_SCRIPTS += tests/mpirun


# check_PROGRAMS += tests/mpi/NAME
# tests_mpi_NAME_LDADD = $(INTERNAL_LIBS)    only if it needs hidden symbols

