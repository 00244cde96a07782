# SPDX-License-Identifier: BSD-3-Clause
# Programs for mpirun, against the public interface alone; tests/manifest says how they are run.
EXTRA_DIST += tests/mpi/peer_dies_job tests/mpi/system_calls

check_PROGRAMS += tests/mpi/attached
tests_mpi_attached_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/bad_input
tests_mpi_bad_input_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/full_arena
tests_mpi_full_arena_LDADD = $(TEST_LIBS)

# allocations.c replaces malloc in the whole program: so not in libtests.la.
check_PROGRAMS += tests/mpi/get_costs_nothing
tests_mpi_get_costs_nothing_SOURCES = tests/mpi/get_costs_nothing.c tests/support/allocations.c \
    tests/support/allocations.h
tests_mpi_get_costs_nothing_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/huge_value
tests_mpi_huge_value_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/lifecycle
tests_mpi_lifecycle_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/linearizability
tests_mpi_linearizability_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/flush_late
tests_mpi_flush_late_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/other_copies
tests_mpi_other_copies_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/lone_writes
tests_mpi_lone_writes_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/low_memlock
tests_mpi_low_memlock_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/operations/operations
tests_mpi_operations_operations_SOURCES = tests/mpi/operations/arguments.c tests/mpi/operations/functions.c tests/mpi/operations/iteration.c \
    tests/mpi/operations/loading.c tests/mpi/operations/many_keys.c tests/mpi/operations/one_key.c tests/mpi/operations/operations.c \
    tests/mpi/operations/operations.h tests/mpi/operations/placement.c tests/mpi/operations/requests.c \
    tests/mpi/operations/sharing.c tests/mpi/operations/sizes.c tests/mpi/operations/stats.c
tests_mpi_operations_operations_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/peer_dies
tests_mpi_peer_dies_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/program_order
tests_mpi_program_order_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/random_model
tests_mpi_random_model_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/threads
tests_mpi_threads_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/mpi/torn_reads
tests_mpi_torn_reads_LDADD = $(TEST_LIBS)
