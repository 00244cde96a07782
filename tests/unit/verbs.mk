# SPDX-License-Identifier: BSD-3-Clause
# Tests of the verbs transport. Without an RDMA device they skip; the group softroce gives them one.
check_PROGRAMS += tests/unit/test_fabric_verbs
tests_unit_test_fabric_verbs_SOURCES = tests/unit/test_fabric_verbs.c tests/unit/verbs_nodes.h
tests_unit_test_fabric_verbs_LDADD = $(UNIT_LIBS)
