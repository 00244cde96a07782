# SPDX-License-Identifier: BSD-3-Clause
# Peers that break the protocol: programs with the library's internals.
check_PROGRAMS += tests/hostile/messages
tests_hostile_messages_SOURCES = tests/failover/board.c tests/failover/board.h tests/hostile/messages.c
tests_hostile_messages_LDADD = libtests.la $(INTERNAL_LIBS)
