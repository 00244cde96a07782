! SPDX-License-Identifier: BSD-3-Clause
!> The calls that C answers without any Fortran between: functions of belay.h itself or, where arrays are passed, of
!! the C files beside this one. Users say `use belay`.
!!
!! Keys and values are `type(*), dimension(..)`: variables of any type, kind and rank, sections of arrays too. C gets
!! their descriptor, so no lengths are passed. (gfortran 12 hands a wrong length on when such an argument goes through
!! a Fortran procedure first, so these interfaces are the public ones.) A handle is passed by value: it is a pointer.
module belay_calls
    use belay_types
    use, intrinsic :: iso_c_binding, only: c_double, c_funptr, c_int, c_int64_t, c_ptr, c_size_t
    implicit none
    private :: c_double, c_funptr, c_int, c_int64_t, c_ptr, c_size_t

    !> Called by belay_iterate() for one entry. 0: go on.
    abstract interface
        function belay_visitor(key, value, context) bind(C) result(stop)
            import :: belay_bytes, c_int, c_ptr
            type(belay_bytes), value :: key, value
            type(c_ptr), value :: context
            integer(c_int) :: stop
        end function
    end interface

    !> Applied by belay_invoke(). The result is a BELAY_ACTION_*.
    abstract interface
        function belay_function(invocation, context) bind(C) result(action)
            import :: belay_invocation, c_int, c_ptr
            type(belay_invocation), intent(inout) :: invocation
            type(c_ptr), value :: context
            integer(c_int) :: action
        end function
    end interface

    !> Told of changes after belay_subscribe().
    abstract interface
        subroutine belay_change_handler(cache, change, context) bind(C)
            import :: belay_cache, belay_change, c_ptr
            type(belay_cache), value :: cache
            type(belay_change), intent(in) :: change
            type(c_ptr), value :: context
        end subroutine
    end interface

    !> Told of events after belay_on_event().
    abstract interface
        subroutine belay_event_handler(node, event, context) bind(C)
            import :: belay_event, belay_node, c_ptr
            type(belay_node), value :: node
            type(belay_event), intent(in) :: event
            type(c_ptr), value :: context
        end subroutine
    end interface

    ! ---- Node

    interface
        function belay_progress(node) bind(C, name='belay_progress') result(result)
            import :: belay_node, c_int
            type(belay_node), value :: node
            integer(c_int) :: result
        end function

        function belay_node_id(node) bind(C, name='belay_node_id') result(result)
            import :: belay_node, c_int
            type(belay_node), value :: node
            integer(c_int) :: result
        end function

        function belay_node_count(node) bind(C, name='belay_node_count') result(result)
            import :: belay_node, c_int
            type(belay_node), value :: node
            integer(c_int) :: result
        end function

        function belay_flush(node) bind(C, name='belay_flush') result(result)
            import :: belay_node, c_int
            type(belay_node), value :: node
            integer(c_int) :: result
        end function
    end interface

    ! ---- Caches

    interface
        function belay_size(cache, entries) bind(C, name='belay_size') result(result)
            import :: belay_cache, c_int, c_int64_t
            type(belay_cache), value :: cache
            integer(c_int64_t), intent(inout) :: entries
            integer(c_int) :: result
        end function

        function belay_clear(cache) bind(C, name='belay_clear') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int) :: result
        end function

        function belay_verify(cache, report) bind(C, name='belay_verify') result(result)
            import :: belay_cache, belay_verify_report, c_int
            type(belay_cache), value :: cache
            type(belay_verify_report), intent(inout) :: report
            integer(c_int) :: result
        end function

        function belay_stats(cache, stats) bind(C, name='belay_stats') result(result)
            import :: belay_cache, belay_cache_stats, c_int
            type(belay_cache), value :: cache
            type(belay_cache_stats), intent(inout) :: stats
            integer(c_int) :: result
        end function

        function belay_latency(cache, calls, latencies) bind(C, name='belay_latency') result(result)
            import :: belay_cache, belay_latencies, c_int
            type(belay_cache), value :: cache
            integer(c_int), value :: calls
            type(belay_latencies), intent(inout) :: latencies
            integer(c_int) :: result
        end function

        function belay_latency_percentile(latencies, percent) bind(C, name='belay_latency_percentile') &
            result(nanoseconds)
            import :: belay_latencies, c_double, c_int64_t
            type(belay_latencies), intent(in) :: latencies
            real(c_double), value :: percent
            integer(c_int64_t) :: nanoseconds
        end function
    end interface

    ! ---- One key

    interface
        function belay_put(cache, key, value, options) bind(C, name='belay_fortran_put') result(result)
            import :: belay_cache, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key, value
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_get(cache, key, buffer, value_length) bind(C, name='belay_fortran_get') result(result)
            import :: belay_cache, c_int, c_size_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            type(*), dimension(..), intent(inout) :: buffer
            integer(c_size_t), intent(inout), optional :: value_length
            integer(c_int) :: result
        end function

        function belay_get_versioned(cache, key, buffer, version, value_length) &
            bind(C, name='belay_fortran_get_versioned') result(result)
            import :: belay_cache, c_int, c_int64_t, c_size_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            type(*), dimension(..), intent(inout) :: buffer
            integer(c_int64_t), intent(inout) :: version
            integer(c_size_t), intent(inout), optional :: value_length
            integer(c_int) :: result
        end function

        function belay_remove(cache, key, options) bind(C, name='belay_fortran_remove') result(result)
            import :: belay_cache, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_contains(cache, key) bind(C, name='belay_fortran_contains') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            integer(c_int) :: result
        end function

        function belay_put_if_absent(cache, key, value, options) &
            bind(C, name='belay_fortran_put_if_absent') result(result)
            import :: belay_cache, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key, value
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_replace(cache, key, value, options) bind(C, name='belay_fortran_replace') result(result)
            import :: belay_cache, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key, value
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_get_and_put(cache, key, value, old, old_length, options) &
            bind(C, name='belay_fortran_get_and_put') result(result)
            import :: belay_cache, belay_write_options, c_int, c_size_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key, value
            type(*), dimension(..), intent(inout) :: old
            integer(c_size_t), intent(inout) :: old_length
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_compare_and_set(cache, key, expected, value, options, version) &
            bind(C, name='belay_fortran_compare_and_set') result(result)
            import :: belay_cache, belay_write_options, c_int, c_int64_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key, value
            integer(c_int64_t), value :: expected
            type(belay_write_options), intent(in), optional :: options
            integer(c_int64_t), intent(inout), optional :: version
            integer(c_int) :: result
        end function

        function belay_fetch_add(cache, key, delta, options, old) bind(C, name='belay_fortran_fetch_add') &
            result(result)
            import :: belay_cache, belay_write_options, c_int, c_int64_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            integer(c_int64_t), value :: delta
            type(belay_write_options), intent(in), optional :: options
            integer(c_int64_t), intent(inout), optional :: old
            integer(c_int) :: result
        end function

        !> function: its name, a text.
        function belay_invoke(cache, key, function, argument, buffer, result_length, options) &
            bind(C, name='belay_fortran_invoke') result(result)
            import :: belay_cache, belay_write_options, c_int, c_size_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            type(*), dimension(..), intent(in) :: function
            type(*), dimension(..), intent(in), optional :: argument
            type(*), dimension(..), intent(inout), optional :: buffer
            integer(c_size_t), intent(inout), optional :: result_length
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function
    end interface

    ! ---- Many keys

    !> The item that names these variables. They need the target attribute and must stay as long as the item is used.
    interface belay_get_item
        function belay_get_item_of(key, buffer) bind(C, name='belay_fortran_get_item') result(item)
            import :: belay_get_item
            type(*), dimension(..), intent(in) :: key
            type(*), dimension(..), intent(inout) :: buffer
            type(belay_get_item) :: item
        end function
    end interface

    interface belay_put_item
        function belay_put_item_of(key, value) bind(C, name='belay_fortran_put_item') result(item)
            import :: belay_put_item
            type(*), dimension(..), intent(in) :: key, value
            type(belay_put_item) :: item
        end function
    end interface

    interface
        function belay_get_all(cache, items) bind(C, name='belay_fortran_get_all') result(result)
            import :: belay_cache, belay_get_item, c_int
            type(belay_cache), value :: cache
            type(belay_get_item), intent(inout) :: items(:)
            integer(c_int) :: result
        end function

        function belay_put_all(cache, items, options) bind(C, name='belay_fortran_put_all') result(result)
            import :: belay_cache, belay_put_item, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(belay_put_item), intent(inout) :: items(:)
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function
    end interface

    ! ---- Loading

    interface
        function belay_loader_open(cache, loader) bind(C, name='belay_loader_open') result(result)
            import :: belay_cache, belay_loader, c_int
            type(belay_cache), value :: cache
            type(belay_loader), intent(inout) :: loader
            integer(c_int) :: result
        end function

        function belay_loader_add(loader, key, value) bind(C, name='belay_fortran_loader_add') result(result)
            import :: belay_loader, c_int
            type(belay_loader), value :: loader
            type(*), dimension(..), intent(in) :: key, value
            integer(c_int) :: result
        end function

        function belay_loader_flush(loader) bind(C, name='belay_loader_flush') result(result)
            import :: belay_loader, c_int
            type(belay_loader), value :: loader
            integer(c_int) :: result
        end function

        function belay_loader_progress(loader, progress) bind(C, name='belay_loader_progress') result(result)
            import :: belay_load_progress, belay_loader, c_int
            type(belay_loader), value :: loader
            type(belay_load_progress), intent(inout) :: progress
            integer(c_int) :: result
        end function

        function belay_loader_close(loader) bind(C, name='belay_loader_close') result(result)
            import :: belay_loader, c_int
            type(belay_loader), value :: loader
            integer(c_int) :: result
        end function
    end interface

    ! ---- Asynchronous forms

    interface
        function belay_put_nb(cache, key, value, request, options) bind(C, name='belay_fortran_put_nb') result(result)
            import :: belay_cache, belay_request, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in), asynchronous :: key, value
            type(belay_request), intent(inout) :: request
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_get_nb(cache, key, buffer, value_length, request) bind(C, name='belay_fortran_get_nb') &
            result(result)
            import :: belay_cache, belay_request, c_int, c_size_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in), asynchronous :: key
            type(*), dimension(..), intent(inout), asynchronous :: buffer
            integer(c_size_t), intent(inout), asynchronous :: value_length
            type(belay_request), intent(inout) :: request
            integer(c_int) :: result
        end function

        function belay_remove_nb(cache, key, request, options) bind(C, name='belay_fortran_remove_nb') result(result)
            import :: belay_cache, belay_request, belay_write_options, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in), asynchronous :: key
            type(belay_request), intent(inout) :: request
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_fetch_add_nb(cache, key, delta, request, options, old) &
            bind(C, name='belay_fortran_fetch_add_nb') result(result)
            import :: belay_cache, belay_request, belay_write_options, c_int, c_int64_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in), asynchronous :: key
            integer(c_int64_t), value :: delta
            type(belay_request), intent(inout) :: request
            type(belay_write_options), intent(in), optional :: options
            integer(c_int64_t), intent(inout), asynchronous, optional :: old
            integer(c_int) :: result
        end function

        function belay_invoke_nb(cache, key, function, request, argument, buffer, result_length, options) &
            bind(C, name='belay_fortran_invoke_nb') result(result)
            import :: belay_cache, belay_request, belay_write_options, c_int, c_size_t
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in), asynchronous :: key
            type(*), dimension(..), intent(in) :: function
            type(belay_request), intent(inout) :: request
            type(*), dimension(..), intent(in), asynchronous, optional :: argument
            type(*), dimension(..), intent(inout), asynchronous, optional :: buffer
            integer(c_size_t), intent(inout), asynchronous, optional :: result_length
            type(belay_write_options), intent(in), optional :: options
            integer(c_int) :: result
        end function

        function belay_unsubscribe(subscription) bind(C, name='belay_unsubscribe') result(result)
            import :: belay_subscription, c_int
            type(belay_subscription), intent(inout) :: subscription
            integer(c_int) :: result
        end function

        function belay_wait(request) bind(C, name='belay_wait') result(result)
            import :: belay_request, c_int
            type(belay_request), intent(inout) :: request
            integer(c_int) :: result
        end function

        function belay_wait_all(requests, results) bind(C, name='belay_fortran_wait_all') result(result)
            import :: belay_request, c_int
            type(belay_request), intent(inout) :: requests(:)
            integer(c_int), intent(inout), optional :: results(:)
            integer(c_int) :: result
        end function
    end interface

    ! ---- Transactions

    interface
        function belay_tx_begin(node, concurrency, isolation, timeout_ms, tx) &
            bind(C, name='belay_tx_begin') result(result)
            import :: belay_node, belay_tx, c_int
            type(belay_node), value :: node
            integer(c_int), value :: concurrency, isolation, timeout_ms
            type(belay_tx), intent(inout) :: tx
            integer(c_int) :: result
        end function

        function belay_tx_get(tx, cache, key, buffer, value_length) &
            bind(C, name='belay_fortran_tx_get') result(result)
            import :: belay_cache, belay_tx, c_int, c_size_t
            type(belay_tx), value :: tx
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            type(*), dimension(..), intent(inout) :: buffer
            integer(c_size_t), intent(inout), optional :: value_length
            integer(c_int) :: result
        end function

        function belay_tx_get_all(tx, cache, items) &
            bind(C, name='belay_fortran_tx_get_all') result(result)
            import :: belay_cache, belay_get_item, belay_tx, c_int
            type(belay_tx), value :: tx
            type(belay_cache), value :: cache
            type(belay_get_item), intent(inout) :: items(:)
            integer(c_int) :: result
        end function

        function belay_tx_put(tx, cache, key, value) &
            bind(C, name='belay_fortran_tx_put') result(result)
            import :: belay_cache, belay_tx, c_int
            type(belay_tx), value :: tx
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key, value
            integer(c_int) :: result
        end function

        function belay_tx_remove(tx, cache, key) &
            bind(C, name='belay_fortran_tx_remove') result(result)
            import :: belay_cache, belay_tx, c_int
            type(belay_tx), value :: tx
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            integer(c_int) :: result
        end function

        function belay_tx_commit(tx) &
            bind(C, name='belay_tx_commit') result(result)
            import :: belay_tx, c_int
            type(belay_tx), value :: tx
            integer(c_int) :: result
        end function

        function belay_tx_rollback(tx) &
            bind(C, name='belay_tx_rollback') result(result)
            import :: belay_tx, c_int
            type(belay_tx), value :: tx
            integer(c_int) :: result
        end function

        function belay_tx_set_rollback_only(tx) &
            bind(C, name='belay_tx_set_rollback_only') result(result)
            import :: belay_tx, c_int
            type(belay_tx), value :: tx
            integer(c_int) :: result
        end function

        function belay_tx_state(tx) &
            bind(C, name='belay_tx_state') result(result)
            import :: belay_tx, c_int
            type(belay_tx), value :: tx
            integer(c_int) :: result
        end function

        function belay_tx_close(tx) &
            bind(C, name='belay_tx_close') result(result)
            import :: belay_tx, c_int
            type(belay_tx), value :: tx
            integer(c_int) :: result
        end function
    end interface

    ! ---- Placement: partitions are counted from 0

    interface
        function belay_partition_count(cache) bind(C, name='belay_partition_count') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int) :: result
        end function

        function belay_partition_of(cache, key) bind(C, name='belay_fortran_partition_of') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            integer(c_int) :: result
        end function

        function belay_primary_of(cache, partition) bind(C, name='belay_primary_of') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int), value :: partition
            integer(c_int) :: result
        end function

        function belay_backups_of(cache, partition, nodes) bind(C, name='belay_fortran_backups_of') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int), value :: partition
            integer(c_int), intent(inout) :: nodes(:)
            integer(c_int) :: result
        end function

        function belay_is_primary(cache, key) bind(C, name='belay_fortran_is_primary') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            type(*), dimension(..), intent(in) :: key
            integer(c_int) :: result
        end function
    end interface

    ! ---- Failures

    interface
        function belay_view_number(node) bind(C, name='belay_view_number') result(result)
            import :: belay_node, c_int
            type(belay_node), value :: node
            integer(c_int) :: result
        end function

        function belay_partition_state_of(cache, partition, state) bind(C, name='belay_partition_state_of') &
            result(result)
            import :: belay_cache, belay_partition_state, c_int
            type(belay_cache), value :: cache
            integer(c_int), value :: partition
            type(belay_partition_state), intent(inout) :: state
            integer(c_int) :: result
        end function

        function belay_await_copies(cache, timeout_ms) bind(C, name='belay_await_copies') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int), value :: timeout_ms
            integer(c_int) :: result
        end function

        function belay_lost_partitions(cache, partitions) bind(C, name='belay_fortran_lost_partitions') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int), intent(inout) :: partitions(:)
            integer(c_int) :: result
        end function

        function belay_reset_lost_partitions(cache) bind(C, name='belay_reset_lost_partitions') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int) :: result
        end function
    end interface
end module
