/* SPDX-License-Identifier: BSD-3-Clause */
/* What is measured. A limit stands before what it limits. */
#include "bench.h"

#define NS_PER_GET_ALL .scale = GET_ALL_BATCH

const struct measured host_cases[] = {
    /* Gets of 64 bytes */
    {"dependent_reads_64", "ns", NULL, 0, 0, 200, 200, 0, NULL, limit_dependent_reads, NULL, NULL, 0},
    {"get_64", "ns", "dependent_reads_64", STORE(walk), 0, 200, 200, 20000, NULL, get_dependent, NULL, NULL,
     0},
    {"peer_mpi_get_64", "ns", NULL, 0, 0, 1000, 20, 0, draw_uniform, mpi_get_64, NULL, NULL, 0},
    {"get_64_uniform", "ns", "dependent_reads_64", STORE(walk), 0, 1000, 20, 20000, draw_uniform, get_drawn,
     NULL, NULL, 0},
    {"get_64_zipfian", "ns", NULL, STORE(walk), 0, 1000, 20, 20000, draw_zipfian, get_drawn, NULL, NULL, 0},
    {"overlapped_reads_64", "ns/key", NULL, 0, 0, 50, 400, 0, draw_uniform, limit_overlapped_reads, NULL,
     NULL, GET_ALL_BATCH},
    {"get_all_64", "ns/key", "overlapped_reads_64", STORE(walk), 0, 50, 400, 0, draw_uniform, get_all_drawn,
     NULL, NULL, GET_ALL_BATCH},
    {"get_all_64_zipfian", "ns/key", NULL, STORE(walk), 0, 50, 200, 0, draw_zipfian, get_all_drawn, NULL,
     NULL, GET_ALL_BATCH},
    /* Puts of 64 bytes */
    {"ping_pong", "ns", NULL, 0, 0, 500, 64, 0, limit_ping_pong_begin, limit_ping_pong, NULL, mpi_wait, 0},
    {"put_primary_sync_64_b0", "ns", "ping_pong", STORE(plain), BELAY_PRIMARY_SYNC, 10, 400, 20000,
     draw_uniform, put_drawn, NULL, NULL, 0},
    {"put_primary_sync_64_b1", "ns", "ping_pong", STORE(mirrored), BELAY_PRIMARY_SYNC, 10, 400, 20000,
     draw_uniform, put_drawn, NULL, NULL, 0},
    {"put_full_sync_64_b1", "ns", "ping_pong", STORE(mirrored), BELAY_FULL_SYNC, 10, 400, 20000, draw_uniform,
     put_drawn, NULL, NULL, 0},
    {"put_full_sync_64_b1_zipfian", "ns", "ping_pong", STORE(mirrored), BELAY_FULL_SYNC, 10, 400, 20000,
     draw_zipfian, put_drawn, NULL, NULL, 0},
    {"peer_mpi_send_recv_64", "ns", NULL, 0, 0, 10, 400, 0, mpi_echo_begin, mpi_send_recv_64, NULL, mpi_wait,
     0},
    {"peer_mpi_put_64", "ns", NULL, 0, 0, 1000, 20, 0, draw_uniform, mpi_put_64, NULL, NULL, 0},
    {"copy_three_times_64", "ns", NULL, 0, 0, 20000, 20, 0, draw_uniform, limit_copy_three_times_64, NULL,
     NULL, 0},
    {"put_full_async_64_b1", "ns", "copy_three_times_64", STORE(mirrored), BELAY_FULL_ASYNC, 20000, 10, 20000,
     draw_uniform, put_drawn, flush, NULL, 0},
    /* 1 KiB */
    {"get_1k_uniform", "ns", NULL, STORE(kilo), 0, 500, 10, 5000, draw_uniform, get_drawn, NULL, NULL, 0},
    {"get_1k_zipfian", "ns", NULL, STORE(kilo), 0, 500, 10, 5000, draw_zipfian, get_drawn, NULL, NULL, 0},
    {"put_full_sync_1k_b1", "ns", NULL, STORE(kilo), BELAY_FULL_SYNC, 500, 10, 5000, draw_uniform, put_drawn,
     NULL, NULL, 0},
    {"put_full_async_1k_b1", "ns", NULL, STORE(kilo), BELAY_FULL_ASYNC, 2000, 10, 5000, draw_uniform,
     put_drawn, flush, NULL, 0},
    /* 64 KiB */
    {"copy_from_peer_64k", "ns", NULL, 0, 0, 100, 20, 0, NULL, limit_copy_from_peer_64k, NULL, NULL, 0},
    {"get_64k", "ns", "copy_from_peer_64k", STORE(large), 0, 10, 200, 1000, draw_uniform, get_drawn, NULL,
     NULL, 0},
    {"get_64k_zipfian", "ns", "copy_from_peer_64k", STORE(large), 0, 10, 100, 1000, draw_zipfian, get_drawn,
     NULL, NULL, 0},
    {"peer_mpi_get_64k", "ns", NULL, 0, 0, 100, 10, 0, draw_uniform, mpi_get_64k, NULL, NULL, 0},
    {"copy_twice_64k", "ns", NULL, 0, 0, 100, 20, 0, NULL, limit_copy_twice_64k, NULL, NULL, 0},
    {"put_full_sync_64k_b1", "ns", "copy_twice_64k", STORE(large), BELAY_FULL_SYNC, 5, 200, 1000,
     draw_uniform, put_drawn, NULL, NULL, 0},
    /* 1 MiB */
    {"copy_from_peer_1m", "ns", NULL, 0, 0, 5, 10, 0, NULL, limit_copy_from_peer_1m, NULL, NULL, 0},
    {"get_1m", "ns", "copy_from_peer_1m", STORE(huge), 0, 5, 10, 50, draw_uniform, get_drawn, NULL, NULL, 0},
    {"copy_twice_1m", "ns", NULL, 0, 0, 5, 10, 0, NULL, limit_copy_twice_1m, NULL, NULL, 0},
    {"put_full_sync_1m_b1", "ns", "copy_twice_1m", STORE(huge), BELAY_FULL_SYNC, 1, 50, 50, draw_uniform,
     put_drawn, NULL, NULL, 0},
    {0}};

/* Their limits are measured by perftest. */
const struct measured verbs_cases[] = {
    {"get_64_cold", "ns", NULL, STORE(walk), 0, 50, 4, 300, draw_uniform, get_drawn, NULL, NULL, 0},
    {"get_64_warm", "ns", NULL, STORE(walk), 0, 50, 4, 300, draw_few, get_drawn, NULL, NULL, 0},
    {"get_all_64", "ns/key", NULL, STORE(walk), 0, 5, 4, 0, draw_uniform, get_all_drawn, NULL, NULL,
     GET_ALL_BATCH},
    {"put_primary_sync_64_b0", "ns", NULL, STORE(plain), BELAY_PRIMARY_SYNC, 50, 4, 300, draw_uniform,
     put_drawn, NULL, NULL, 0},
    {"put_primary_sync_64_b1", "ns", NULL, STORE(mirrored), BELAY_PRIMARY_SYNC, 50, 4, 300, draw_uniform,
     put_drawn, NULL, NULL, 0},
    {"put_full_sync_64_b1", "ns", NULL, STORE(mirrored), BELAY_FULL_SYNC, 50, 4, 300, draw_uniform, put_drawn,
     NULL, NULL, 0},
    {"put_full_sync_64_b2", "ns", NULL, STORE(twice), BELAY_FULL_SYNC, 50, 4, 300, draw_uniform, put_drawn,
     NULL, NULL, 0},
    {"put_full_async_64_b1", "ns", NULL, STORE(mirrored), BELAY_FULL_ASYNC, 500, 4, 300, draw_uniform,
     put_drawn, flush, NULL, 0},
    {"get_64k", "ns", NULL, STORE(large), 0, 5, 4, 20, draw_uniform, get_drawn, NULL, NULL, 0},
    {"put_full_sync_64k_b1", "ns", NULL, STORE(large), BELAY_FULL_SYNC, 5, 4, 20, draw_uniform, put_drawn,
     NULL, NULL, 0},
    {0}};
