! SPDX-License-Identifier: BSD-3-Clause
!> What the tests find: failures are counted and printed, and the test goes on.
module checks
    use belay, only: belay_last_error, belay_strerror
    implicit none
    integer :: failures = 0
    integer :: own_rank = 0

contains

    subroutine check(condition, what)
        logical, intent(in) :: condition
        character(*), intent(in) :: what
        if (condition) return
        failures = failures + 1
        print '(a, i0, 2a)', 'fortran[', own_rank, ']: FAILED: ', what
    end subroutine

    subroutine expect(result, expected, what)
        integer, intent(in) :: result, expected
        character(*), intent(in) :: what
        if (result == expected) return
        call check(.false., what // ' gave ' // belay_strerror(result) // ', expected ' // belay_strerror(expected) &
            // '; last error: ' // belay_last_error())
    end subroutine
end module
