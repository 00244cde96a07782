# SPDX-License-Identifier: BSD-3-Clause
# Jobs on several hosts, which are guests; tests/manifest says how they are run.
EXTRA_DIST += tests/hosts/outage_job tests/hosts/two

check_PROGRAMS += tests/hosts/apart
tests_hosts_apart_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/hosts/outage
tests_hosts_outage_SOURCES = tests/hosts/outage.c tests/failover/board.c tests/failover/board.h tests/failover/hot.c \
    tests/failover/load.h tests/failover/own.c tests/failover/relaxed.c
tests_hosts_outage_LDADD = $(TEST_LIBS)
