# SPDX-License-Identifier: BSD-3-Clause
# Tests of src/copy.
copy_world = tests/unit/copy_world.c tests/unit/copy_world.h

check_PROGRAMS += tests/unit/test_arena
tests_unit_test_arena_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_bytes
tests_unit_test_copy_bytes_SOURCES = tests/unit/test_copy_bytes.c $(copy_world)
tests_unit_test_copy_bytes_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_crash
tests_unit_test_copy_crash_SOURCES = tests/unit/test_copy_crash.c $(copy_world)
tests_unit_test_copy_crash_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_ending
tests_unit_test_copy_ending_SOURCES = tests/unit/test_copy_ending.c $(copy_world)
tests_unit_test_copy_ending_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_model
tests_unit_test_copy_model_SOURCES = tests/unit/test_copy_model.c $(copy_world)
tests_unit_test_copy_model_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_readers
tests_unit_test_copy_readers_SOURCES = tests/unit/test_copy_readers.c $(copy_world)
tests_unit_test_copy_readers_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_copy_room
tests_unit_test_copy_room_SOURCES = tests/unit/test_copy_room.c $(copy_world)
tests_unit_test_copy_room_LDADD = $(UNIT_LIBS)
