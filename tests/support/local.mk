# SPDX-License-Identifier: BSD-3-Clause
# What the test programs share: linked whole or in part, never installed.
check_LTLIBRARIES += libtests.la
libtests_la_SOURCES = tests/support/device.c tests/support/device.h tests/support/gather.c tests/support/gather.h tests/support/history.c tests/support/history.h \
    tests/support/job.c tests/support/job.h tests/support/key.c tests/support/key.h \
    tests/support/linearizability.c tests/support/linearizability.h tests/support/model.c tests/support/model.h \
    tests/support/random.h tests/support/report.c tests/support/report.h tests/support/serializability.c \
    tests/support/serializability.h tests/support/value.c tests/support/value.h \
    tests/support/watchdog.c tests/support/watchdog.h

# A test that uses the library as a user does.
TEST_LIBS = libtests.la libbelay.la $(XXHASH_LIBS) $(MPI_LIBS)
