! SPDX-License-Identifier: BSD-3-Clause
!> Variables of every kind as keys and values: their bytes arrive, no more and no fewer, sections without their gaps.
module test_values
    use belay
    use checks
    use, intrinsic :: iso_fortran_env, only: int8, int16, int32, int64, real32, real64
    use, intrinsic :: iso_c_binding, only: c_size_t
    implicit none
    private
    public :: run_values

    type :: particle
        real(real64) :: position(3) = 0
        integer(int32) :: kind = 0
        character(len=5) :: name = ''
        logical :: alive = .false.
    end type

contains

    subroutine run_values(cache)
        type(belay_cache), intent(in) :: cache
        call scalars(cache)
        call texts(cache)
        call arrays(cache)
        call sections(cache)
        call structures(cache)
        call assumed(cache, [1_int32, 2_int32, 3_int32], 3)
    end subroutine

    subroutine scalars(cache)
        type(belay_cache), intent(in) :: cache
        integer(int8) :: i8
        integer(int16) :: i16
        integer(int64) :: i64
        real(real32) :: r32
        complex(real64) :: z
        logical :: flag
        integer(c_size_t) :: length
        call expect(belay_put(cache, [own_rank, 1], 7_int8), BELAY_OK, 'put int8')
        call expect(belay_get(cache, [own_rank, 1], i8, length), BELAY_OK, 'get int8')
        call check(i8 == 7 .and. length == 1, 'an int8 came back')
        call expect(belay_put(cache, [own_rank, 1], -300_int16), BELAY_OK, 'put int16')
        call expect(belay_get(cache, [own_rank, 1], i16, length), BELAY_OK, 'get int16')
        call check(i16 == -300 .and. length == 2, 'an int16 came back')
        call expect(belay_put(cache, [own_rank, 1], huge(1_int64)), BELAY_OK, 'put int64')
        call expect(belay_get(cache, [own_rank, 1], i64, length), BELAY_OK, 'get int64')
        call check(i64 == huge(1_int64) .and. length == 8, 'an int64 came back')
        call expect(belay_put(cache, [own_rank, 1], 1.5_real32), BELAY_OK, 'put real32')
        call expect(belay_get(cache, [own_rank, 1], r32), BELAY_OK, 'get real32 without a length')
        call check(abs(r32 - 1.5_real32) <= 0, 'a real32 came back')
        call expect(belay_put(cache, [own_rank, 1], (1.0_real64, -2.0_real64)), BELAY_OK, 'put complex')
        call expect(belay_get(cache, [own_rank, 1], z, length), BELAY_OK, 'get complex')
        call check(abs(z - (1.0_real64, -2.0_real64)) <= 0 .and. length == 16, 'a complex came back')
        call expect(belay_put(cache, [own_rank, 1], .true.), BELAY_OK, 'put logical')
        flag = .false.
        call expect(belay_get(cache, [own_rank, 1], flag), BELAY_OK, 'get logical')
        call check(flag, 'a logical came back')
        i8 = 99
        call expect(belay_get(cache, [own_rank, 1], i8, length), BELAY_ERR_TRUNCATED, 'get into less')
        call check(length == 4, 'the length of a value that does not fit is told')
    end subroutine

    subroutine texts(cache)
        type(belay_cache), intent(in) :: cache
        character(len=12) :: fixed
        character(len=3) :: words(4)
        character(:), allocatable :: text
        integer(c_size_t) :: length
        text = 'a text of ' // achar(48 + own_rank)
        call expect(belay_put(cache, text, 'hydrogen'), BELAY_OK, 'put a literal by an allocatable key')
        fixed = '............'
        call expect(belay_get(cache, 'a text of ' // achar(48 + own_rank), fixed, length), BELAY_OK, 'get a text')
        call check(length == 8 .and. fixed == 'hydrogen....', 'a literal came back: ' // fixed)
        call expect(belay_contains(cache, text // ' '), BELAY_ERR_NOT_FOUND, 'blanks at the end of a key count')
        call expect(belay_put(cache, text, trim('oxygen  ') // '!'), BELAY_OK, 'put an expression')
        call expect(belay_get(cache, text, fixed, length), BELAY_OK, 'get it')
        call check(length == 7 .and. fixed(1:7) == 'oxygen!', 'an expression came back: ' // fixed)
        call expect(belay_put(cache, text, ['one', 'two', 'six', 'ten']), BELAY_OK, 'put an array of texts')
        call expect(belay_get(cache, text, words, length), BELAY_OK, 'get an array of texts')
        call check(length == 12 .and. words(2) == 'two' .and. words(4) == 'ten', 'an array of texts came back')
        call dummy_text(cache, text)
        call expect(belay_put(cache, text, ''), BELAY_OK, 'put an empty text')
        call expect(belay_get(cache, text, fixed, length), BELAY_OK, 'get an empty value')
        call check(length == 0, 'an empty value has no length')
        call expect(belay_put(cache, '', 1), BELAY_ERR_INVALID, 'put by an empty key')
    end subroutine

    subroutine dummy_text(cache, text)
        type(belay_cache), intent(in) :: cache
        character(*), intent(in) :: text
        character(len=4) :: part
        integer(c_size_t) :: length
        call expect(belay_put(cache, text, text(3:6)), BELAY_OK, 'put a substring by an assumed-length key')
        call expect(belay_get(cache, text, part, length), BELAY_OK, 'get a substring')
        call check(length == 4 .and. part == 'text', 'a substring came back: ' // part)
    end subroutine

    subroutine arrays(cache)
        type(belay_cache), intent(in) :: cache
        real(real64), allocatable :: field(:, :, :), other(:, :, :)
        integer, pointer :: numbers(:)
        integer(c_size_t) :: length
        integer :: i
        allocate (field(5, 4, 3), other(5, 4, 3), numbers(-2:2))
        field = reshape([(real(i, real64), i = 1, 60)], shape(field))
        other = 0
        call expect(belay_put(cache, [own_rank, 2], field), BELAY_OK, 'put a field of rank 3')
        call expect(belay_get(cache, [own_rank, 2], other, length), BELAY_OK, 'get a field of rank 3')
        call check(length == 480 .and. all(abs(field - other) <= 0), 'a field of rank 3 came back')
        numbers = [1, 2, 3, 4, 5]
        call expect(belay_put(cache, numbers, numbers(:-1)), BELAY_OK, 'put by a pointer')
        numbers(-2:-1) = 0
        call expect(belay_get(cache, [1, 2, 3, 4, 5], numbers), BELAY_OK, 'get into a pointer')
        call check(all(numbers == [1, 2, 3, 4, 5]), 'a pointer array came back')
        deallocate (field, numbers)
        allocate (field(0, 4, 3))
        call expect(belay_put(cache, [own_rank, 2], field), BELAY_OK, 'put an array without elements')
        call expect(belay_get(cache, [own_rank, 2], other, length), BELAY_OK, 'get it')
        call check(length == 0, 'an array without elements has no length')
    end subroutine

    subroutine sections(cache)
        type(belay_cache), intent(in) :: cache
        integer(int32) :: grid(6, 4), row(6), i
        real(real32) :: pair(2)
        complex :: z(2)
        integer(c_size_t) :: length
        character(len=4) :: words(3)
        grid = reshape([(int(i, int32), i = 1, 24)], shape(grid))
        call expect(belay_put(cache, [own_rank, 3], grid(2, :)), BELAY_OK, 'put a row')
        row = 0
        call expect(belay_get(cache, [own_rank, 3], row, length), BELAY_OK, 'get a row')
        call check(length == 16 .and. all(row(1:4) == [2, 8, 14, 20]), 'a row came without its gaps')
        grid = 0
        call expect(belay_get(cache, [own_rank, 3], grid(6:5:-1, 1:4:2), length), BELAY_OK, 'get into a section')
        call check(grid(6, 1) == 2 .and. grid(5, 1) == 8 .and. grid(6, 3) == 14 .and. grid(5, 3) == 20 .and. &
            sum(grid) == 44, 'the elements of a section that runs backwards were set, and no others')
        grid = reshape([(int(i, int32), i = 1, 24)], shape(grid))
        call expect(belay_put(cache, grid(1:6:5, 1), 5), BELAY_OK, 'put by a section')
        call expect(belay_contains(cache, [1_int32, 6_int32]), BELAY_OK, 'a key that is a section')
        z = [(1.0, 2.0), (3.0, 4.0)]
        call expect(belay_put(cache, [own_rank, 3], z%im), BELAY_OK, 'put the imaginary parts')
        call expect(belay_get(cache, [own_rank, 3], pair, length), BELAY_OK, 'get them')
        call check(length == 8 .and. all(abs(pair - [2.0, 4.0]) <= 0), 'the imaginary parts came back')
        words = ['abcd', 'efgh', 'ijkl']
        call expect(belay_put(cache, [own_rank, 3], words(3:1:-1)(2:3)), BELAY_OK, 'put substrings of an array')
        words = '....'
        call expect(belay_get(cache, [own_rank, 3], words(1), length), BELAY_ERR_TRUNCATED, 'get into less')
        call expect(belay_get(cache, [own_rank, 3], words(:)(1:2), length), BELAY_OK, 'get substrings')
        call check(words(1) == 'jk..' .and. words(2) == 'fg..' .and. words(3) == 'bc..', 'substrings came back')
    end subroutine

    subroutine structures(cache)
        type(belay_cache), intent(in) :: cache
        type(particle) :: one, many(3)
        integer(int32) :: kinds(3)
        one = particle([1.0_real64, 2.0_real64, 3.0_real64], 4, 'water', .true.)
        call expect(belay_put(cache, [own_rank, 4], one), BELAY_OK, 'put a structure')
        call expect(belay_get(cache, [own_rank, 4], many(2)), BELAY_OK, 'get a structure')
        call check(many(2)%name == 'water' .and. many(2)%alive .and. abs(many(2)%position(3) - 3) <= 0, &
            'a structure came back')
        many%kind = [7, 8, 9]
        call expect(belay_put(cache, [own_rank, 4], many%kind), BELAY_OK, 'put a component of an array')
        call expect(belay_get(cache, [own_rank, 4], kinds), BELAY_OK, 'get it')
        call check(all(kinds == [7, 8, 9]), 'a component of an array came back')
    end subroutine

    subroutine assumed(cache, numbers, count)
        type(belay_cache), intent(in) :: cache
        integer(int32), intent(in) :: numbers(*)
        integer, intent(in) :: count
        integer(int32) :: back(3)
        call expect(belay_put(cache, [own_rank, 5], numbers(1:count)), BELAY_OK, 'put a section of assumed size')
        call expect(belay_get(cache, [own_rank, 5], back), BELAY_OK, 'get it')
        call check(all(back == [1, 2, 3]), 'a section of an assumed-size array came back')
    end subroutine
end module
