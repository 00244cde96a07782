! SPDX-License-Identifier: BSD-3-Clause
!> Whole caches: counted, visited, verified, cleared; their settings and those of nodes; texts.
module test_whole
    use belay
    use checks
    use, intrinsic :: iso_c_binding, only: c_f_pointer, c_int, c_int64_t, c_loc, c_ptr
    implicit none
    private
    public :: run_health, run_node_settings, run_settings, run_texts, run_whole

    type :: visits
        integer :: entries = 0, sum = 0, stop_after = huge(1)
    end type

contains

    subroutine run_texts()
        call check(index(belay_strerror(BELAY_ERR_NO_SPACE), 'BELAY_ERR_NO_SPACE') == 1, 'strerror')
        call check(index(belay_version(), '.') > 0, 'version: ' // belay_version())
    end subroutine

    !> What is wrong is refused, by the name that Fortran's users gave it.
    subroutine run_node_settings(alone)
        integer, intent(in) :: alone
        type(belay_node) :: node
        character(:), allocatable :: text
        text = repeat('y', 100)
        call refused(belay_open(alone, node, belay_config(role=7)), 'role')
        call refused(belay_open(alone, node, belay_config(transport=7)), 'transport')
        call refused(belay_open(alone, node, belay_config(progress=7)), 'progress')
        call refused(belay_open(alone, node, belay_config(arena_size=1)), 'arena_size')
        call refused(belay_open(alone, node, belay_config(segment_size=65537)), 'segment_size')
        call refused(belay_open(alone, node, belay_config(operation_timeout_ms=-1)), 'operation_timeout_ms')
        call refused(belay_open(alone, node, belay_config(failure_timeout_ms=-1)), 'failure_timeout_ms')
        call refused(belay_open(alone, node, belay_config(progress_core=-1)), 'progress_core')
        call refused(belay_open(alone, node, belay_config(device=text)), 'device')
        call refused(belay_open(alone, node, belay_config(join_room=-1, address_file='/nowhere/' // text)), 'join_room')
        call refused(belay_open(alone, node, belay_config(config_file='/nowhere/' // text)), 'config_file')
        call check(index(belay_last_error(), '/nowhere/yyy') > 0, 'its name is in: ' // belay_last_error())
        call check(belay_join('/nowhere/' // text, node) /= BELAY_OK, 'joining by a file that is not there')
        call check(index(belay_last_error(), '/nowhere/yyy') > 0, 'its name is in: ' // belay_last_error())
        call check(belay_close(node) == BELAY_OK, 'closing what was never opened')
    end subroutine

    subroutine run_settings(node)
        type(belay_node), intent(in) :: node
        type(belay_cache) :: cache
        character(:), allocatable :: text
        text = repeat('x', 200)
        call refused(belay_cache_open(node, belay_cache_config(name='wrong', partitions=3), cache), 'partitions')
        call refused(belay_cache_open(node, belay_cache_config(name='wrong', cache_mode=7), cache), 'cache_mode')
        call refused(belay_cache_open(node, belay_cache_config(name='wrong', backups=99), cache), 'backups')
        call refused(belay_cache_open(node, belay_cache_config(name='wrong', write_synchronization_mode=9), cache), &
            'write_synchronization_mode')
        call refused(belay_cache_open(node, belay_cache_config(name='wrong', atomicity_mode=9), cache), 'atomicity_mode')
        call refused(belay_cache_open(node, belay_cache_config(name='wrong', partition_loss_policy=9), cache), &
            'partition_loss_policy')
        call refused(belay_cache_open(node, belay_cache_config(name=text), cache), 'name')
        call check(belay_cache_close(cache) == BELAY_OK, 'closing what was never opened')
    end subroutine

    subroutine refused(result, field)
        integer, intent(in) :: result
        character(*), intent(in) :: field
        call check(result == BELAY_ERR_CONFIG .or. result == BELAY_ERR_INVALID, field // ': ' // belay_strerror(result))
        call check(index(belay_last_error(), field) > 0, field // ' is named by: ' // belay_last_error())
    end subroutine

    subroutine run_whole(node, cache, barrier)
        type(belay_node), intent(in) :: node
        type(belay_cache), intent(in) :: cache
        interface
            subroutine barrier()
            end subroutine
        end interface
        integer, parameter :: each = 30
        integer(c_int64_t) :: entries
        type(visits), target :: seen
        type(belay_verify_report) :: report
        type(belay_cache_stats) :: stats
        type(belay_latencies) :: latencies
        integer :: i
        call barrier()
        if (own_rank == 0) call expect(belay_clear(cache), BELAY_OK, 'clear')
        call barrier()
        do i = 1, each
            call expect(belay_put(cache, [own_rank, i], i), BELAY_OK, 'put')
        end do
        call expect(belay_flush(node), BELAY_OK, 'flush')
        call barrier()
        entries = -1
        call expect(belay_size(cache, entries), BELAY_OK, 'size')
        call check(entries == each * belay_node_count(node), 'size counts every entry')
        call expect(belay_iterate(cache, .false., visit, c_loc(seen)), BELAY_OK, 'iterate')
        call check(seen%entries == entries .and. seen%sum == belay_node_count(node) * each * (each + 1) / 2, &
            'iterate shows every entry')
        seen = visits(stop_after=3)
        call expect(belay_iterate(cache, .false., visit, c_loc(seen)), 42, 'iterate until the visitor stops it')
        call check(seen%entries == 3, 'iterate stops')
        call expect(belay_iterate(cache, .true., visit_nothing), BELAY_OK, 'iterate here, without a context')
        call barrier()
        call expect(belay_verify(cache, report), BELAY_OK, 'verify')
        call check(report%entries == entries .and. report%differences == 0 .and. report%damaged == 0 .and. &
            report%copies > 0, 'verify reports')
        call expect(belay_stats(cache, stats), BELAY_OK, 'stats')
        call check(stats%puts >= each .and. stats%bytes_held > 0, 'stats counts')
        call expect(belay_latency(cache, BELAY_TIMED_WRITES, latencies), BELAY_OK, 'latency')
        call check(latencies%count >= 1 .and. sum(latencies%buckets) == latencies%count, 'latency counts')
        call check(belay_latency_percentile(latencies, 100d0) == latencies%longest_ns, 'percentile')
        call expect(belay_latency(cache, 0, latencies), BELAY_ERR_INVALID, 'latency of nothing')
        call barrier()
    end subroutine

    !> Of a job in which nothing fails; tests/fortran/failure.f90 is another.
    subroutine run_health(node, cache)
        type(belay_node), intent(in) :: node
        type(belay_cache), intent(in) :: cache
        type(belay_partition_state) :: state
        integer :: lost(8)
        call check(belay_view_number(node) == 1, 'the first view')
        call expect(belay_await_copies(cache, 10000), BELAY_OK, 'await_copies')
        call expect(belay_partition_state_of(cache, 3, state), BELAY_OK, 'partition_state_of')
        call check(state%primary == belay_primary_of(cache, 3) .and. state%lost == 0 .and. state%copies_restoring == 0 &
            .and. state%copies_complete == min(2, belay_node_count(node)) .and. state%copies_wanted == &
            state%copies_complete, 'the state of a partition')
        call expect(belay_partition_state_of(cache, 99, state), BELAY_ERR_INVALID, 'the state of no partition')
        call check(belay_lost_partitions(cache, lost(::2)) == 0, 'nothing is lost')
        call expect(belay_reset_lost_partitions(cache), BELAY_OK, 'reset_lost_partitions')
    end subroutine

    function visit(key, value, context) bind(C) result(stop)
        type(belay_bytes), value :: key, value
        type(c_ptr), value :: context
        integer(c_int) :: stop
        type(visits), pointer :: seen
        integer, pointer :: number, place(:)
        call c_f_pointer(context, seen)
        call c_f_pointer(key%data, place, [2])
        call c_f_pointer(value%data, number)
        call check(key%length == 8 .and. value%length == 4 .and. place(2) == number, 'an entry is as it was put')
        seen%entries = seen%entries + 1
        seen%sum = seen%sum + number
        stop = merge(42, 0, seen%entries == seen%stop_after)
    end function

    function visit_nothing(key, value, context) bind(C) result(stop)
        type(belay_bytes), value :: key, value
        type(c_ptr), value :: context
        integer(c_int) :: stop
        stop = merge(0, 1, key%length > 0 .and. value%length > 0 .and. .not. c_associated_any(context))
    end function

    logical function c_associated_any(pointer)
        use, intrinsic :: iso_c_binding, only: c_associated
        type(c_ptr), intent(in) :: pointer
        c_associated_any = c_associated(pointer)
    end function
end module
