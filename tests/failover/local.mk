# SPDX-License-Identifier: BSD-3-Clause
# Jobs that lose ranks; tests/manifest says how they are run.
EXTRA_DIST += tests/failover/growing_points tests/failover/job tests/failover/on_verbs tests/failover/opening_points \
    tests/failover/points tests/failover/random

check_PROGRAMS += tests/failover/under_load
tests_failover_under_load_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/hot.c \
    tests/failover/load.h tests/failover/own.c tests/failover/relaxed.c tests/failover/under_load.c
tests_failover_under_load_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/watching
tests_failover_watching_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/watching.c
tests_failover_watching_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/failover/loading
tests_failover_loading_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/loading.c
tests_failover_loading_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/loss
tests_failover_loss_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/loss.c
tests_failover_loss_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/repeated
tests_failover_repeated_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/repeated.c
tests_failover_repeated_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/opening
tests_failover_opening_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/opening.c
tests_failover_opening_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/growing
tests_failover_growing_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/growing.c
tests_failover_growing_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/expiry
tests_failover_expiry_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/expiry.c
tests_failover_expiry_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/failover/eviction
tests_failover_eviction_SOURCES = tests/failover/board.c tests/failover/board.h tests/failover/eviction.c
tests_failover_eviction_LDADD = $(TEST_LIBS)
