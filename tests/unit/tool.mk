# SPDX-License-Identifier: BSD-3-Clause
# Tests of src/tool, each linked with the files that it is about.
check_PROGRAMS += tests/unit/test_latency
tests_unit_test_latency_SOURCES = tests/unit/test_latency.c src/tool/latency.c src/tool/latency.h
tests_unit_test_latency_LDADD = $(CMOCKA_LIBS) -lm

check_PROGRAMS += tests/unit/test_quantity
tests_unit_test_quantity_SOURCES = tests/unit/test_quantity.c src/tool/launcher.c src/tool/launcher.h \
    src/tool/message.c src/tool/message.h \
    src/tool/quantity.c src/tool/quantity.h
tests_unit_test_quantity_LDADD = $(CMOCKA_LIBS) -lm

check_PROGRAMS += tests/unit/test_stage_tree
tests_unit_test_stage_tree_SOURCES = tests/unit/test_stage_tree.c src/tool/launcher.c src/tool/launcher.h \
    src/tool/message.c src/tool/message.h \
    src/tool/stage_key.c src/tool/stage_key.h src/tool/stage_tree.c src/tool/stage_tree.h \
    src/tool/stage_walk.c src/tool/stage_walk.h
tests_unit_test_stage_tree_LDADD = $(CMOCKA_LIBS) $(MPI_LIBS)
