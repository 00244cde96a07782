# SPDX-License-Identifier: BSD-3-Clause
# Transactions: programs for mpirun.
check_PROGRAMS += tests/tx/bank
tests_tx_bank_LDADD = $(TEST_LIBS)
