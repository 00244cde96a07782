# SPDX-License-Identifier: BSD-3-Clause
# Benchmarks, run by bench/run. They are built with the tests, not by a plain make.
EXTRA_DIST += bench/run bench/report

bench_support = bench/support/check.h bench/support/clock.h bench/support/figure.c bench/support/figure.h \
    bench/support/pair.c bench/support/pair.h bench/support/random.h bench/support/zipf.c bench/support/zipf.h \
    src/tool/latency.c src/tool/latency.h
bench_flags = $(AM_CPPFLAGS) -I$(top_srcdir)/bench
bench_libs = libbelay.la $(MPI_LIBS) -lm

check_PROGRAMS += bench/host/host
bench_host_host_SOURCES = bench/host/bench.h bench/host/cases.c bench/host/limits.c bench/host/main.c \
    bench/host/memory.c bench/host/mpi_peers.c bench/host/operations.c bench/host/store.c $(bench_support)
bench_host_host_CPPFLAGS = $(bench_flags)
bench_host_host_LDADD = $(bench_libs)

check_PROGRAMS += bench/ycsb/ycsb
bench_ycsb_ycsb_SOURCES = bench/ycsb/ycsb.c $(bench_support)
bench_ycsb_ycsb_CPPFLAGS = $(bench_flags)
bench_ycsb_ycsb_LDADD = $(bench_libs)

check_PROGRAMS += bench/transactions/commits
bench_transactions_commits_SOURCES = bench/transactions/commits.c $(bench_support)
bench_transactions_commits_CPPFLAGS = $(bench_flags)
bench_transactions_commits_LDADD = $(bench_libs)

check_PROGRAMS += bench/transactions/smallbank
bench_transactions_smallbank_SOURCES = bench/transactions/smallbank.c $(bench_support)
bench_transactions_smallbank_CPPFLAGS = $(bench_flags)
bench_transactions_smallbank_LDADD = $(bench_libs)

# Other stores, where their client libraries are installed.
bench_peer_support = bench/peers/peer.h bench/support/clock.h bench/support/figure.c bench/support/figure.h \
    bench/support/random.h src/tool/latency.c src/tool/latency.h
if HAVE_HIREDIS
check_PROGRAMS += bench/peers/redis
bench_peers_redis_SOURCES = bench/peers/redis.c $(bench_peer_support)
bench_peers_redis_CPPFLAGS = $(bench_flags) $(HIREDIS_CFLAGS)
bench_peers_redis_LDADD = $(HIREDIS_LIBS) -lm
endif
if HAVE_LIBMEMCACHED
check_PROGRAMS += bench/peers/memcached
bench_peers_memcached_SOURCES = bench/peers/memcached.c $(bench_peer_support)
bench_peers_memcached_CPPFLAGS = $(bench_flags) $(LIBMEMCACHED_CFLAGS)
bench_peers_memcached_LDADD = $(LIBMEMCACHED_LIBS) -lm
endif

check_PROGRAMS += bench/failover/kills
bench_failover_kills_SOURCES = bench/failover/kills.c bench/failover/notes.c bench/failover/notes.h \
    bench/failover/restore.c bench/support/check.h bench/support/clock.h bench/support/random.h
bench_failover_kills_CPPFLAGS = $(bench_flags)
bench_failover_kills_LDADD = $(bench_libs)

EXTRA_DIST += bench/suites
.PHONY: bench_programs
bench_programs: $(check_PROGRAMS)

EXTRA_DIST += bench/instructions/count bench/instructions/expected
check_PROGRAMS += bench/instructions/operations
bench_instructions_operations_SOURCES = bench/instructions/operations.c bench/support/check.h \
    bench/support/pair.c bench/support/pair.h bench/support/random.h
bench_instructions_operations_CPPFLAGS = $(bench_flags)
bench_instructions_operations_LDADD = $(bench_libs)

check_PROGRAMS += bench/scale/scale
bench_scale_scale_SOURCES = bench/scale/scale.c bench/support/check.h bench/support/clock.h bench/support/pair.c \
    bench/support/pair.h bench/support/random.h
bench_scale_scale_CPPFLAGS = $(bench_flags)
bench_scale_scale_LDADD = $(bench_libs)
