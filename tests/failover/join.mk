# SPDX-License-Identifier: BSD-3-Clause
# Processes that join a running job.
EXTRA_DIST += tests/failover/join_job

check_PROGRAMS += tests/failover/join
tests_failover_join_LDADD = $(TEST_LIBS)
