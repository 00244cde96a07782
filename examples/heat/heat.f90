! SPDX-License-Identifier: BSD-3-Clause
!> The heat equation on a plate, with its field kept in a Belay cache: the twin of heat.c, whose top tells the story.
!! Here the blocks are of columns, which are contiguous in Fortran.
!!
!!     mpif90 heat.f90 $(pkg-config --cflags --libs belay-fortran) -o heat && mpirun -n 4 ./heat
module plate
    use belay
    use mpi_f08
    use, intrinsic :: iso_fortran_env, only: error_unit, real64
    implicit none
    integer, parameter :: rows = 96, columns = 96, steps = 400, halfway = steps / 2

    !> One block of columns, with a column of each neighbour around it.
    type :: block_type
        integer :: first = 0, columns = 0                           !< of the plate; the first is column 0
        integer :: left = MPI_PROC_NULL, right = MPI_PROC_NULL      !< ranks
        real(real64), allocatable :: now(:, :), next(:, :)          !< columns 1 to `columns` are the block's own
    end type

contains

    subroutine check(result, what)
        integer, intent(in) :: result
        character(*), intent(in) :: what
        if (result == BELAY_OK) return
        write (error_unit, '(6a)') 'heat: ', what, ': ', belay_strerror(result), ' ', belay_last_error()
        call MPI_Abort(MPI_COMM_WORLD, 1)
    end subroutine

    !> Rank r has block (r + shift) mod ranks.
    function block_of(rank, ranks, shift) result(own)
        integer, intent(in) :: rank, ranks, shift
        type(block_type) :: own
        integer :: number
        number = mod(rank + shift, ranks)
        own%first = columns * number / ranks
        own%columns = columns * (number + 1) / ranks - own%first
        if (number > 0) own%left = mod(rank + ranks - 1, ranks)
        if (number < ranks - 1) own%right = mod(rank + 1, ranks)
        allocate (own%now(0:rows - 1, 0:own%columns + 1), own%next(0:rows - 1, 0:own%columns + 1), source=0.0_real64)
    end function

    !> A hot spot in a cold plate whose edges stay cold.
    subroutine heat_up(own)
        type(block_type), intent(inout) :: own
        integer :: i, j
        do j = 1, own%columns
            do i = 0, rows - 1
                if ((i - rows / 4)**2 + (own%first + j - 1 - columns / 3)**2 < 100) own%now(i, j) = 1000
            end do
        end do
    end subroutine

    subroutine exchange_halos(own)
        type(block_type), intent(inout) :: own
        associate (last => own%columns)
            call MPI_Sendrecv(own%now(:, 1), rows, MPI_REAL8, own%left, 0, own%now(:, last + 1), rows, MPI_REAL8, &
                own%right, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE)
            call MPI_Sendrecv(own%now(:, last), rows, MPI_REAL8, own%right, 1, own%now(:, 0), rows, MPI_REAL8, &
                own%left, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE)
        end associate
    end subroutine

    subroutine step(own)
        type(block_type), intent(inout) :: own
        integer :: i, j
        call exchange_halos(own)
        do j = 1, own%columns
            do i = 1, rows - 2
                own%next(i, j) = own%now(i, j) + 0.2_real64 * (own%now(i, j - 1) + own%now(i, j + 1) &
                    + own%now(i - 1, j) + own%now(i + 1, j) - 4 * own%now(i, j))
            end do
        end do
        own%now(:, 1:own%columns) = own%next(:, 1:own%columns)
    end subroutine

    !> The key of a column at one time: both numbers. Its value: the column.
    subroutine save(own, time, cache)
        type(block_type), intent(in) :: own
        integer, intent(in) :: time
        type(belay_cache), intent(in) :: cache
        integer :: j
        do j = 1, own%columns
            call check(belay_put(cache, [time, own%first + j], own%now(:, j)), 'saving a column')
        end do
    end subroutine

    subroutine load(own, time, cache)
        type(block_type), intent(inout) :: own
        integer, intent(in) :: time
        type(belay_cache), intent(in) :: cache
        integer :: j
        do j = 1, own%columns
            call check(belay_get(cache, [time, own%first + j], own%now(:, j)), 'loading a column')
        end do
    end subroutine

    !> How many columns are not as those saved.
    function compare(own, time, cache) result(different)
        type(block_type), intent(in) :: own
        integer, intent(in) :: time
        type(belay_cache), intent(in) :: cache
        real(real64) :: saved(0:rows - 1)
        integer :: different, j
        different = 0
        do j = 1, own%columns
            call check(belay_get(cache, [time, own%first + j], saved), 'loading a column')
            if (any(abs(saved - own%now(:, j)) > 0)) different = different + 1
        end do
    end function

    function total_of(own) result(total)
        type(block_type), intent(in) :: own
        real(real64) :: total
        call MPI_Allreduce(sum(own%now(:, 1:own%columns)), total, 1, MPI_REAL8, MPI_SUM, MPI_COMM_WORLD)
    end function
end module

program heat
    use plate
    implicit none
    type(belay_node) :: node
    type(belay_cache) :: cache
    type(block_type) :: own
    real(real64) :: total
    integer :: rank, ranks, time, different

    call MPI_Init()
    call MPI_Comm_rank(MPI_COMM_WORLD, rank)
    call MPI_Comm_size(MPI_COMM_WORLD, ranks)
    if (ranks > columns) call check(BELAY_ERR_INVALID, 'more ranks than columns')
    call check(belay_open(MPI_COMM_WORLD, node), 'opening the node')
    call check(belay_cache_open(node, belay_cache_config(name='plate', backups=1, &
        write_synchronization_mode=BELAY_FULL_SYNC), cache), 'opening the cache')

    own = block_of(rank, ranks, 0)
    call heat_up(own)
    do time = 0, steps - 1
        if (time == halfway) call save(own, time, cache)
        call step(own)
    end do
    call save(own, steps, cache)
    total = total_of(own)
    call MPI_Barrier(MPI_COMM_WORLD) ! all columns are saved

    own = block_of(rank, ranks, 1)
    call load(own, halfway, cache)
    do time = halfway, steps - 1
        call step(own)
    end do
    different = compare(own, steps, cache)

    call MPI_Allreduce(MPI_IN_PLACE, different, 1, MPI_INTEGER, MPI_SUM, MPI_COMM_WORLD)
    if (rank == 0) print '(a, f0.6, 4(a, i0), a)', 'heat: ', total, ' in all after ', steps, &
        ' steps; from the cache''s columns of step ', halfway, ' on, ', different, ' of ', columns, ' columns differ'
    call check(belay_close(node), 'closing the node')
    call MPI_Finalize()
    if (different > 0) stop 1
end program
