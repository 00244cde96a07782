# SPDX-License-Identifier: BSD-3-Clause
# Tests of src/copy.
copy_world = tests/unit/copy_world.c tests/unit/copy_world.h

check_PROGRAMS += tests/unit/test_copy_model
tests_unit_test_copy_model_SOURCES = tests/unit/test_copy_model.c $(copy_world)
tests_unit_test_copy_model_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_room
tests_unit_test_copy_room_SOURCES = tests/unit/test_copy_room.c $(copy_world)
tests_unit_test_copy_room_LDADD = $(UNIT_LIBS)
