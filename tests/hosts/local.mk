# SPDX-License-Identifier: BSD-3-Clause
# Jobs on several hosts, which are guests; tests/manifest says how they are run.
EXTRA_DIST += tests/hosts/two

check_PROGRAMS += tests/hosts/apart
tests_hosts_apart_LDADD = $(TEST_LIBS)
