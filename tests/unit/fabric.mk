# SPDX-License-Identifier: BSD-3-Clause
check_PROGRAMS += tests/unit/test_ring tests/unit/test_fabric_shm tests/unit/test_fabric_sleep

tests_unit_test_ring_LDADD = $(UNIT_LIBS)

tests_unit_test_fabric_shm_SOURCES = tests/unit/test_fabric_shm.c tests/unit/fabric_node.h
tests_unit_test_fabric_shm_LDADD = $(UNIT_LIBS)

tests_unit_test_fabric_sleep_SOURCES = tests/unit/test_fabric_sleep.c tests/unit/fabric_node.h
tests_unit_test_fabric_sleep_LDADD = $(UNIT_LIBS)
