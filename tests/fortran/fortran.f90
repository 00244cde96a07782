! SPDX-License-Identifier: BSD-3-Clause
!> The Fortran module as a job: nodes by both kinds of communicators, then the tests of the other files.
program fortran
    use belay
    use checks
    use test_functions
    use test_keys
    use test_values
    use test_whole
    use mpi_f08
    implicit none
    type(belay_node) :: node, other
    type(belay_cache) :: cache
    integer :: all_failures
    call MPI_Init()
    call MPI_Comm_rank(MPI_COMM_WORLD, own_rank)
    call run_texts()

    call run_node_settings(MPI_COMM_SELF%MPI_VAL)
    call expect(belay_open(MPI_COMM_SELF%MPI_VAL, other, belay_config(role=BELAY_ROLE_SERVER, arena_size=8388608)), &
        BELAY_OK, 'open by an integer')
    call check(belay_node_count(other) == 1 .and. belay_node_id(other) == 0, 'a node of its own')
    call check(belay_progress(other) >= 0, 'progress')
    call expect(belay_close(other), BELAY_OK, 'close it')

    call expect(belay_open(MPI_COMM_WORLD, node), BELAY_OK, 'open by a type')
    call check(belay_node_id(node) == own_rank, 'the id of a node is its rank')
    call run_settings(node)
    call expect(belay_cache_open(node, belay_cache_config(name='fortran', backups=1, partitions=16, &
        write_synchronization_mode=BELAY_PRIMARY_SYNC), cache), BELAY_OK, 'cache_open')
    call run_values(cache)
    call run_keys(node, cache)
    call run_functions(node, cache, barrier)
    call run_whole(node, cache, barrier)
    call run_health(node, cache)
    call barrier()
    call expect(belay_cache_close(cache), BELAY_OK, 'cache_close')
    call expect(belay_close(node), BELAY_OK, 'close')

    call MPI_Allreduce(failures, all_failures, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD)
    if (own_rank == 0) print '(a, i0, a)', 'fortran: ', all_failures, ' failures'
    call MPI_Finalize()
    if (all_failures > 0) stop 1

contains

    subroutine barrier()
        call MPI_Barrier(MPI_COMM_WORLD)
    end subroutine
end program
