! SPDX-License-Identifier: BSD-3-Clause
!> Functions in Fortran that are applied at the primary.
module test_functions
    use belay
    use checks
    use, intrinsic :: iso_c_binding, only: c_f_pointer, c_int, c_loc, c_ptr, c_size_t
    implicit none
    private
    public :: run_functions

    integer, target :: offset = 100
    integer, target :: told = 0

contains

    !> Add the argument to a number; an absent one counts as what the context points to. The result is the old one.
    function add(invocation, context) bind(C) result(action)
        type(belay_invocation), intent(inout) :: invocation
        type(c_ptr), value :: context
        integer(c_int) :: action
        integer, pointer :: number, old, summand, first
        call c_f_pointer(invocation%value, number)
        call c_f_pointer(invocation%result, old)
        call c_f_pointer(invocation%argument%data, summand)
        call c_f_pointer(context, first)
        if (invocation%value_length == BELAY_NO_VALUE) number = first
        old = number
        number = number + summand
        invocation%value_length = storage_size(number) / 8
        invocation%result_length = storage_size(old) / 8
        action = BELAY_ACTION_SET
    end function

    function forget(invocation, context) bind(C) result(action)
        type(belay_invocation), intent(inout) :: invocation
        type(c_ptr), value :: context
        integer(c_int) :: action
        associate (unused => context, length => invocation%result_length)
            length = 0
        end associate
        action = BELAY_ACTION_REMOVE
    end function

    !> The context points to a number that becomes the value of what was put last.
    subroutine take(cache, change, context) bind(C)
        type(belay_cache), value :: cache
        type(belay_change), intent(in) :: change
        type(c_ptr), value :: context
        integer, pointer :: last, value
        call c_f_pointer(context, last)
        if (change%kind /= BELAY_CHANGE_PUT) return
        call c_f_pointer(change%value%data, value)
        last = value
        call check(belay_partition_count(cache) > change%partition, 'the partition of a change')
    end subroutine

    subroutine run_subscription(cache)
        type(belay_cache), intent(in) :: cache
        type(belay_subscription) :: subscription
        integer :: length
        character(len=16) :: key
        write (key, '(a, i0)') 'told ', own_rank
        call expect(belay_subscribe(cache, trim(key), take, subscription, c_loc(told)), BELAY_OK, 'subscribe')
        call expect(belay_put(cache, trim(key), 77), BELAY_OK, 'put')
        do while (last_told() /= 77)
            call expect(belay_get(cache, trim(key), length), BELAY_OK, 'get')
        end do
        call expect(belay_unsubscribe(subscription), BELAY_OK, 'unsubscribe')
        call expect(belay_unsubscribe(subscription), BELAY_ERR_INVALID, 'unsubscribe again')
        call expect(belay_remove(cache, trim(key)), BELAY_OK, 'remove')
    end subroutine

    function last_told() result(last)
        integer :: last
        integer, volatile, pointer :: seen
        seen => told
        last = seen
    end function

    subroutine run_functions(node, cache, barrier)
        type(belay_node), intent(in) :: node
        type(belay_cache), intent(in) :: cache
        interface
            subroutine barrier()
            end subroutine
        end interface
        type(belay_request) :: request
        integer, asynchronous :: old, key(2), summand
        integer(c_size_t), asynchronous :: length
        call expect(belay_function_register(node, 'add', add, c_loc(offset)), BELAY_OK, 'function_register')
        call expect(belay_function_register(node, 'add', add), BELAY_ERR_EXISTS, 'function_register again')
        call expect(belay_function_register(node, 'forget', forget), BELAY_OK, 'function_register')
        call barrier()
        key = [own_rank, 500]
        summand = 7
        call expect(belay_invoke(cache, key, 'add', 5, old, length), BELAY_OK, 'invoke')
        call check(old == 100 .and. length == 4, 'an absent number is the context''s')
        call expect(belay_invoke_nb(cache, key, 'add', request, summand, old, length), BELAY_OK, 'invoke_nb')
        call expect(belay_wait(request), BELAY_OK, 'wait')
        call check(old == 105 .and. length == 4, 'invoke_nb gave the old number')
        call expect(belay_invoke(cache, key, 'add', 0, options=belay_write_options(BELAY_FULL_SYNC)), &
            BELAY_ERR_TRUNCATED, 'invoke without a buffer')
        call expect(belay_get(cache, key, old), BELAY_OK, 'get')
        call check(old == 112, 'the sum')
        call expect(belay_invoke(cache, key, 'forget'), BELAY_OK, 'invoke with nothing')
        call expect(belay_contains(cache, key), BELAY_ERR_NOT_FOUND, 'removed by a function')
        call expect(belay_invoke(cache, key, 'unknown'), BELAY_ERR_NO_FUNCTION, 'an unknown function')
        call run_subscription(cache)
        call expect(belay_invoke(cache, key, repeat('n', 64)), BELAY_ERR_INVALID, 'too long a name')
    end subroutine
end module
