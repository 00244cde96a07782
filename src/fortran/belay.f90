! SPDX-License-Identifier: BSD-3-Clause
!> Belay for Fortran: everything of belay.h by its C name, as functions that give BELAY_OK or a negative BELAY_ERR_*.
!! doc/fortran.md has the rules; belay.h has the contracts.
!!
!! Here are the calls that need some Fortran: texts, logicals, defaults and both kinds of communicators.
module belay
    use belay_types
    use belay_calls
    use mpi_f08, only: MPI_Comm
    use, intrinsic :: iso_c_binding, only: c_associated, c_char, c_f_pointer, c_funloc, c_funptr, c_int, c_int64_t, c_loc, &
        c_null_char, c_null_funptr, c_null_ptr, c_ptr, c_size_t
    implicit none
    private :: MPI_Comm, c_associated, c_char, c_f_pointer, c_funloc, c_funptr, c_int, c_int64_t, c_loc, c_null_char, &
        c_null_funptr, c_null_ptr, c_ptr, c_size_t
    private :: open_integer, open_type, pass, text_of

    !> belay_open(communicator, node [, config]): communicator is an integer (mpif.h, mpi) or a type(MPI_Comm) (mpi_f08).
    interface belay_open
        module procedure open_integer, open_type
    end interface

    ! ---- As in C

    type, bind(C), private :: c_config
        integer(c_int) :: role, transport, progress
        integer(c_size_t) :: arena_size, segment_size
        integer(c_int) :: operation_timeout_ms, failure_timeout_ms, progress_core
        type(c_ptr) :: device, address_file
        integer(c_int) :: join_room
        type(c_ptr) :: config_file
    end type

    ! The settings in that form, with the texts that it points to.
    type, private :: passed_config
        character(len=65, kind=c_char) :: device
        character(len=1025, kind=c_char) :: address_file, config_file
        type(c_config) :: fields
    end type

    type, bind(C), private :: c_cache_config
        type(c_ptr) :: name
        integer(c_int) :: cache_mode, backups, write_synchronization_mode, atomicity_mode, partition_loss_policy, &
            partitions, read_from_backup
        integer(c_size_t) :: near_cache_size
        integer(c_int) :: expiry_policy
        integer(c_int64_t) :: time_to_live_ms
        integer(c_int) :: eviction_policy
    end type

    interface
        function c_open(communicator, config, node) bind(C, name='belay_fortran_open') result(result)
            import :: belay_node, c_config, c_int
            integer(c_int), intent(in) :: communicator
            type(c_config), intent(in) :: config
            type(belay_node), intent(inout) :: node
            integer(c_int) :: result
        end function

        function c_join(address_file, config, node) bind(C, name='belay_join') result(result)
            import :: belay_node, c_char, c_config, c_int
            character(kind=c_char), intent(in) :: address_file(*)
            type(c_config), intent(in) :: config
            type(belay_node), intent(inout) :: node
            integer(c_int) :: result
        end function

        function c_close(node) bind(C, name='belay_close') result(result)
            import :: belay_node, c_int
            type(belay_node), value :: node
            integer(c_int) :: result
        end function

        function c_cache_close(cache) bind(C, name='belay_cache_close') result(result)
            import :: belay_cache, c_int
            type(belay_cache), value :: cache
            integer(c_int) :: result
        end function

        function c_cache_open(node, config, cache) bind(C, name='belay_cache_open') result(result)
            import :: belay_cache, belay_node, c_cache_config, c_int
            type(belay_node), value :: node
            type(c_cache_config), intent(in) :: config
            type(belay_cache), intent(inout) :: cache
            integer(c_int) :: result
        end function

        function c_iterate(cache, local_only, visit, context) bind(C, name='belay_iterate') result(result)
            import :: belay_cache, c_funptr, c_int, c_ptr
            type(belay_cache), value :: cache
            integer(c_int), value :: local_only
            type(c_funptr), value :: visit
            type(c_ptr), value :: context
            integer(c_int) :: result
        end function

        function c_on_event(node, handler, context) bind(C, name='belay_on_event') result(result)
            import :: belay_node, c_funptr, c_int, c_ptr
            type(belay_node), value :: node
            type(c_funptr), value :: handler
            type(c_ptr), value :: context
            integer(c_int) :: result
        end function

        function c_function_register(node, name, function, context) bind(C, name='belay_function_register') &
            result(result)
            import :: belay_node, c_char, c_funptr, c_int, c_ptr
            type(belay_node), value :: node
            character(kind=c_char), intent(in) :: name(*)
            type(c_funptr), value :: function
            type(c_ptr), value :: context
            integer(c_int) :: result
        end function

        function c_subscribe(cache, prefix, prefix_length, handler, context, subscription) &
            bind(C, name='belay_subscribe') result(result)
            import :: belay_cache, belay_subscription, c_char, c_funptr, c_int, c_ptr, c_size_t
            type(belay_cache), value :: cache
            character(kind=c_char), intent(in) :: prefix(*)
            integer(c_size_t), value :: prefix_length
            type(c_funptr), value :: handler
            type(c_ptr), value :: context
            type(belay_subscription), intent(inout) :: subscription
            integer(c_int) :: result
        end function

        function c_test(request, completed) bind(C, name='belay_test') result(result)
            import :: belay_request, c_int
            type(belay_request), value :: request
            integer(c_int), intent(inout) :: completed
            integer(c_int) :: result
        end function

        function c_strerror(result) bind(C, name='belay_strerror') result(text)
            import :: c_int, c_ptr
            integer(c_int), value :: result
            type(c_ptr) :: text
        end function

        function c_last_error() bind(C, name='belay_last_error') result(text)
            import :: c_ptr
            type(c_ptr) :: text
        end function

        function c_version() bind(C, name='belay_version') result(text)
            import :: c_ptr
            type(c_ptr) :: text
        end function

        pure function c_strlen(text) bind(C, name='strlen') result(length)
            import :: c_ptr, c_size_t
            type(c_ptr), value :: text
            integer(c_size_t) :: length
        end function
    end interface
    private :: c_open, c_join, c_close, c_cache_open, c_cache_close, c_iterate, c_on_event, c_test, c_strerror, &
        c_function_register, c_subscribe,         c_last_error, c_version, c_strlen

contains

    !> What went wrong: the constant text of a result.
    function belay_strerror(result) result(text)
        integer(c_int), intent(in) :: result
        character(:), allocatable :: text
        text = text_of(c_strerror(result))
    end function

    !> The message of the last failed call of this thread; '' if none.
    function belay_last_error() result(text)
        character(:), allocatable :: text
        text = text_of(c_last_error())
    end function

    function belay_version() result(text)
        character(:), allocatable :: text
        text = text_of(c_version())
    end function

    function open_type(communicator, node, config) result(result)
        type(MPI_Comm), intent(in) :: communicator
        type(belay_node), intent(inout) :: node
        type(belay_config), intent(in), optional :: config
        integer(c_int) :: result
        result = open_integer(communicator%MPI_VAL, node, config)
    end function

    function open_integer(communicator, node, config) result(result)
        integer, intent(in) :: communicator
        type(belay_node), intent(inout) :: node
        type(belay_config), intent(in), optional :: config
        integer(c_int) :: result
        type(passed_config), target :: passed
        call pass(passed, config)
        result = c_open(communicator, passed%fields, node)
    end function

    !> Become a node of a job that runs already, by the address file that it wrote.
    function belay_join(address_file, node, config) result(result)
        character(len=*), intent(in) :: address_file
        type(belay_node), intent(inout) :: node
        type(belay_config), intent(in), optional :: config
        integer(c_int) :: result
        type(passed_config), target :: passed
        call pass(passed, config)
        result = c_join(trim(address_file) // c_null_char, passed%fields, node)
    end function

    subroutine pass(passed, config)
        type(passed_config), intent(out), target :: passed
        type(belay_config), intent(in), optional :: config
        type(belay_config) :: given
        if (present(config)) given = config
        passed%device = trim(given%device) // c_null_char
        passed%address_file = trim(given%address_file) // c_null_char
        passed%config_file = trim(given%config_file) // c_null_char
        passed%fields = c_config(given%role, given%transport, given%progress, given%arena_size, given%segment_size, &
            given%operation_timeout_ms, given%failure_timeout_ms, given%progress_core, c_null_ptr, c_null_ptr, &
            given%join_room, c_null_ptr)
        if (given%device /= '') passed%fields%device = c_loc(passed%device)
        if (given%address_file /= '') passed%fields%address_file = c_loc(passed%address_file)
        if (given%config_file /= '') passed%fields%config_file = c_loc(passed%config_file)
    end subroutine

    function belay_cache_open(node, config, cache) result(result)
        type(belay_node), intent(in) :: node
        type(belay_cache_config), intent(in) :: config
        type(belay_cache), intent(inout) :: cache
        integer(c_int) :: result
        character(len=len(config%name) + 1, kind=c_char), target :: name
        name = trim(config%name) // c_null_char
        result = c_cache_open(node, c_cache_config(c_loc(name), config%cache_mode, config%backups, &
            config%write_synchronization_mode, config%atomicity_mode, config%partition_loss_policy, &
            config%partitions, config%read_from_backup, config%near_cache_size, config%expiry_policy, &
            config%time_to_live_ms, config%eviction_policy), cache)
    end function

    !> Leaves the handle as if it had never been set.
    function belay_close(node) result(result)
        type(belay_node), intent(inout) :: node
        integer(c_int) :: result
        type(belay_node) :: closed
        closed = node
        node = belay_node()
        result = c_close(closed)
    end function

    !> Leaves the handle as if it had never been set.
    function belay_cache_close(cache) result(result)
        type(belay_cache), intent(inout) :: cache
        integer(c_int) :: result
        type(belay_cache) :: closed
        closed = cache
        cache = belay_cache()
        result = c_cache_close(closed)
    end function

    !> context: c_loc() of whatever the visitor shall see.
    function belay_iterate(cache, local_only, visit, context) result(result)
        type(belay_cache), intent(in) :: cache
        logical, intent(in) :: local_only
        procedure(belay_visitor) :: visit
        type(c_ptr), intent(in), optional :: context
        integer(c_int) :: result
        type(c_ptr) :: passed
        passed = c_null_ptr
        if (present(context)) passed = context
        result = c_iterate(cache, merge(1_c_int, 0_c_int, local_only), c_funloc(visit), passed)
    end function

    !> Without a handler: be told no more. context: as for belay_iterate(); what it points to must stay.
    function belay_on_event(node, handler, context) result(result)
        type(belay_node), intent(in) :: node
        procedure(belay_event_handler), optional :: handler
        type(c_ptr), intent(in), optional :: context
        integer(c_int) :: result
        type(c_funptr) :: passed_handler
        type(c_ptr) :: passed
        passed_handler = c_null_funptr
        if (present(handler)) passed_handler = c_funloc(handler)
        passed = c_null_ptr
        if (present(context)) passed = context
        result = c_on_event(node, passed_handler, passed)
    end function

    !> context: as for belay_iterate(); what it points to must stay.
    function belay_function_register(node, name, function, context) result(result)
        type(belay_node), intent(in) :: node
        character(len=*), intent(in) :: name
        procedure(belay_function) :: function
        type(c_ptr), intent(in), optional :: context
        integer(c_int) :: result
        type(c_ptr) :: passed
        passed = c_null_ptr
        if (present(context)) passed = context
        result = c_function_register(node, name // c_null_char, c_funloc(function), passed)
    end function

    !> prefix: a text, whose characters all count. context: as for belay_iterate(); what it points to must stay.
    function belay_subscribe(cache, prefix, handler, subscription, context) result(result)
        type(belay_cache), intent(in) :: cache
        character(len=*), intent(in) :: prefix
        procedure(belay_change_handler) :: handler
        type(belay_subscription), intent(inout) :: subscription
        type(c_ptr), intent(in), optional :: context
        integer(c_int) :: result
        type(c_ptr) :: passed
        passed = c_null_ptr
        if (present(context)) passed = context
        result = c_subscribe(cache, prefix, len(prefix, c_size_t), c_funloc(handler), passed, subscription)
    end function

    function belay_test(request, completed) result(result)
        type(belay_request), intent(in) :: request
        logical, intent(inout) :: completed
        integer(c_int) :: result
        integer(c_int) :: answer
        answer = 0
        result = c_test(request, answer)
        if (result == BELAY_OK) completed = answer /= 0
    end function

    function text_of(pointer) result(text)
        type(c_ptr), intent(in) :: pointer
        character(:), allocatable :: text
        character(kind=c_char), pointer :: characters(:)
        integer :: i
        call c_f_pointer(pointer, characters, [c_strlen(pointer)])
        allocate (character(len=size(characters)) :: text)
        do i = 1, size(characters)
            text(i:i) = characters(i)
        end do
    end function
end module
