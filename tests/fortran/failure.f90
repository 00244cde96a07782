! SPDX-License-Identifier: BSD-3-Clause
!> The last rank is killed. The others are told by their event handlers, and find every value at its backup.
!!
!! Of no use is MPI once a rank is dead: each survivor prints a line, which tests/fortran/failure_job counts.
module failure_events
    use belay
    use, intrinsic :: iso_c_binding, only: c_f_pointer, c_int, c_ptr
    implicit none

    type :: told
        integer(c_int) :: node = -1
        integer(c_int) :: view = -1
    end type

contains

    subroutine handle(node, event, context) bind(C)
        type(belay_node), value :: node
        type(belay_event), intent(in) :: event
        type(c_ptr), value :: context
        type(told), pointer, volatile :: seen
        call c_f_pointer(context, seen)
        if (event%kind == BELAY_EVENT_NODE_LEFT) seen%node = event%node
        if (event%kind == BELAY_EVENT_VIEW_CHANGED) seen%view = belay_view_number(node)
    end subroutine
end module

program failure
    use belay
    use checks
    use failure_events
    use mpi
    use, intrinsic :: iso_c_binding, only: c_int, c_loc
    implicit none
    interface
        function c_raise(signal) bind(C, name='raise') result(result)
            import :: c_int
            integer(c_int), value :: signal
            integer(c_int) :: result
        end function
        function c_usleep(microseconds) bind(C, name='usleep') result(result)
            import :: c_int
            integer(c_int), value :: microseconds
            integer(c_int) :: result
        end function
        subroutine c_exit(status) bind(C, name='_exit')
            import :: c_int
            integer(c_int), value :: status
        end subroutine
    end interface
    integer, parameter :: sigkill = 9, keys = 50
    type(belay_node) :: node
    type(belay_cache) :: cache
    type(told), target, volatile :: seen
    integer :: ranks, error, i, rank, value, result
    call MPI_Init(error)
    call MPI_Comm_rank(MPI_COMM_WORLD, own_rank, error)
    call MPI_Comm_size(MPI_COMM_WORLD, ranks, error)
    call expect(belay_open(MPI_COMM_WORLD, node), BELAY_OK, 'open')
    call expect(belay_on_event(node, handle, c_loc(seen)), BELAY_OK, 'on_event')
    call expect(belay_cache_open(node, belay_cache_config(name='failure', backups=1, partitions=16, &
        write_synchronization_mode=BELAY_FULL_SYNC), cache), BELAY_OK, 'cache_open')
    do i = 1, keys
        call expect(belay_put(cache, [own_rank, i], 1000 * own_rank + i), BELAY_OK, 'put')
    end do
    call MPI_Barrier(MPI_COMM_WORLD, error) ! the last use of MPI
    if (own_rank == ranks - 1) result = c_raise(sigkill)
    do i = 1, 3000
        if (seen%node >= 0 .and. seen%view > 1) exit
        result = c_usleep(10000)
    end do
    call check(seen%node == ranks - 1, 'the handler was told which node left')
    call check(seen%view > 1, 'the handler was told of the new view')
    do rank = 0, ranks - 1
        do i = 1, keys
            value = -1
            result = belay_get(cache, [rank, i], value)
            call check(result == BELAY_OK .and. value == 1000 * rank + i, 'a value outlives its node')
        end do
    end do
    call expect(belay_await_copies(cache, 20000), BELAY_OK, 'await_copies')
    call expect(belay_on_event(node), BELAY_OK, 'on_event without a handler')
    call expect(belay_close(node), BELAY_OK, 'close')
    if (failures == 0) print '(a, i0, a)', 'failure[', own_rank, ']: passed'
    flush (6)
    call c_exit(merge(0, 1, failures == 0))
end program
