# SPDX-License-Identifier: BSD-3-Clause
# Transactions: programs for mpirun.
EXTRA_DIST += tests/tx/bank/kills_job

check_PROGRAMS += tests/tx/bank/transfers
tests_tx_bank_transfers_SOURCES = tests/tx/bank/bank.c tests/tx/bank/bank.h tests/tx/bank/transfers.c
tests_tx_bank_transfers_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/bank/kills
tests_tx_bank_kills_SOURCES = tests/tx/bank/bank.c tests/tx/bank/bank.h tests/tx/bank/kills.c
tests_tx_bank_kills_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/promises
tests_tx_promises_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/buffers
tests_tx_buffers_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/histories
tests_tx_histories_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/turns
tests_tx_turns_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/full
tests_tx_full_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/tx/calls
tests_tx_calls_LDADD = libtests.la $(INTERNAL_LIBS)
