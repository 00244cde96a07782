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
        call expect(belay_invoke(cache, key, repeat('n', 64)), BELAY_ERR_INVALID, 'too long a name')
    end subroutine
end module
