# SPDX-License-Identifier: BSD-3-Clause
# Unit tests are found by tests/run by their name, all others are listed in tests/manifest.
EXTRA_DIST += tests/run tests/manifest tests/mpirun tests/lint tests/script tests/suppressions tests/model

include tests/support/local.mk

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_log
tests_unit_test_log_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_placement
tests_unit_test_placement_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_settings
tests_unit_test_settings_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_settings_xml
tests_unit_test_settings_xml_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_spin
tests_unit_test_spin_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_process
tests_unit_test_process_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_linearizability
tests_unit_test_linearizability_LDADD = libtests.la $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_serializability
tests_unit_test_serializability_LDADD = libtests.la $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/test_values
tests_unit_test_values_LDADD = libtests.la $(XXHASH_LIBS) $(CMOCKA_LIBS)

include tests/unit/copy.mk
include tests/unit/fabric.mk
include tests/unit/verbs.mk
include tests/unit/tool.mk
endif

include tests/fuzz/local.mk
include tests/fortran/local.mk
include tests/mpi/stage.mk
include tests/failover/join.mk
include tests/failover/local.mk
include tests/hostile/local.mk
include tests/hosts/local.mk
include tests/mpi/local.mk
include tests/tx/local.mk

.PHONY: check_programs
check_programs: $(check_PROGRAMS)

CHECK_OPTIONS = --only unit --only mpi --only script
check-local: check_programs
	$(srcdir)/tests/run --built . $(CHECK_OPTIONS)

clean-local:
	rm -rf tests.log
