! SPDX-License-Identifier: BSD-3-Clause
!> Operations on one key with their conditions and outputs, on many keys, and the asynchronous forms.
module test_keys
    use belay
    use checks
    use, intrinsic :: iso_c_binding, only: c_f_pointer, c_int, c_int64_t, c_loc, c_ptr, c_size_t
    implicit none
    private
    public :: run_keys

contains

    subroutine run_keys(node, cache)
        type(belay_node), intent(in) :: node
        type(belay_cache), intent(in) :: cache
        call conditions(cache)
        call versions(cache)
        call sums(cache)
        call many(cache)
        call loaded(cache)
        call begun(node, cache)
        call places(node, cache)
    end subroutine

    subroutine loaded(cache)
        type(belay_cache), intent(in) :: cache
        type(belay_loader) :: loader
        type(belay_load_progress) :: progress
        integer :: i, value
        call expect(belay_loader_open(cache, loader), BELAY_OK, 'loader_open')
        do i = 1, 200
            call expect(belay_loader_add(loader, [own_rank, 300, i], 5 * i), BELAY_OK, 'loader_add')
        end do
        call expect(belay_loader_flush(loader), BELAY_OK, 'loader_flush')
        call expect(belay_loader_progress(loader, progress), BELAY_OK, 'loader_progress')
        call check(progress%added == 200 .and. progress%done_bytes == 200 * 16, 'progress counts')
        call expect(belay_loader_close(loader), BELAY_OK, 'loader_close')
        do i = 1, 200
            call expect(belay_get(cache, [own_rank, 300, i], value), BELAY_OK, 'get what was loaded')
            call check(value == 5 * i, 'the value loaded')
            call expect(belay_remove(cache, [own_rank, 300, i]), BELAY_OK, 'remove what was loaded')
        end do
    end subroutine

    subroutine conditions(cache)
        type(belay_cache), intent(in) :: cache
        integer :: key(2), old(2), value
        integer(c_size_t) :: length
        key = [own_rank, 100]
        call expect(belay_replace(cache, key, 1), BELAY_ERR_NOT_FOUND, 'replace nothing')
        call expect(belay_put_if_absent(cache, key, 1), BELAY_OK, 'put_if_absent')
        call expect(belay_put_if_absent(cache, key, 2), BELAY_ERR_EXISTS, 'put_if_absent again')
        call expect(belay_replace(cache, key, 3, belay_write_options(BELAY_FULL_SYNC)), BELAY_OK, 'replace')
        old = -1
        call expect(belay_get_and_put(cache, key, 4, old, length), BELAY_OK, 'get_and_put')
        call check(old(1) == 3 .and. old(2) == -1 .and. length == 4, 'get_and_put gave the old value')
        call expect(belay_get(cache, key, value), BELAY_OK, 'get')
        call check(value == 4, 'get_and_put set the new value')
        call expect(belay_contains(cache, key), BELAY_OK, 'contains')
        call expect(belay_remove(cache, key, belay_write_options(BELAY_FULL_SYNC)), BELAY_OK, 'remove')
        call expect(belay_remove(cache, key, belay_write_options(BELAY_FULL_SYNC)), BELAY_ERR_NOT_FOUND, 'remove again')
        call expect(belay_contains(cache, key), BELAY_ERR_NOT_FOUND, 'contains nothing')
        call expect(belay_get_and_put(cache, key, 5, old, length), BELAY_OK, 'get_and_put of nothing')
        call check(length == BELAY_NO_VALUE, 'get_and_put says that there was no value')
        call expect(belay_put(cache, key, 6, belay_write_options(sync=77)), BELAY_ERR_INVALID, 'a mode that is none')
        call expect(belay_put(cache, key, 6, belay_write_options(BELAY_FULL_SYNC, BELAY_TIME_TO_LIVE_MAX_MS + 1)), &
            BELAY_ERR_INVALID, 'a time to live that is too long')
        call expect(belay_put(cache, key, 6, belay_write_options(BELAY_FULL_SYNC, 1)), BELAY_OK, 'put for a moment')
        do while (belay_contains(cache, key) == BELAY_OK)
        end do
        call expect(belay_contains(cache, key), BELAY_ERR_NOT_FOUND, 'the moment is over')
        call expect(belay_put(cache, key, 6, belay_write_options(BELAY_FULL_SYNC, BELAY_NEVER_EXPIRES)), BELAY_OK, &
            'put for ever')
        call expect(belay_remove(cache, key, belay_write_options(BELAY_FULL_SYNC)), BELAY_OK, 'remove what stays')
    end subroutine

    subroutine versions(cache)
        type(belay_cache), intent(in) :: cache
        integer :: key(2), value
        integer(c_int64_t) :: version, newer
        integer(c_size_t) :: length
        key = [own_rank, 101]
        call expect(belay_compare_and_set(cache, key, 0_c_int64_t, 1), BELAY_OK, 'compare_and_set of nothing')
        call expect(belay_get_versioned(cache, key, value, version), BELAY_OK, 'get_versioned')
        call check(value == 1, 'get_versioned gave the value')
        call expect(belay_compare_and_set(cache, key, version, 2, version=newer), BELAY_OK, 'compare_and_set')
        call check(newer > version, 'compare_and_set gave the new version')
        call expect(belay_compare_and_set(cache, key, version, 3), BELAY_ERR_CONFLICT, 'compare_and_set, too late')
        call expect(belay_get_versioned(cache, key, value, version, length), BELAY_OK, 'get_versioned')
        call check(value == 2 .and. version == newer .and. length == 4, 'get_versioned gave all')
    end subroutine

    subroutine sums(cache)
        type(belay_cache), intent(in) :: cache
        integer :: key(2)
        integer(c_int64_t) :: old
        key = [own_rank, 102]
        call expect(belay_fetch_add(cache, key, 5_c_int64_t), BELAY_OK, 'fetch_add to nothing')
        call expect(belay_fetch_add(cache, key, -7_c_int64_t, old=old), BELAY_OK, 'fetch_add')
        call check(old == 5, 'fetch_add gave the old value')
        call expect(belay_put(cache, key, 1), BELAY_OK, 'put four bytes')
        call expect(belay_fetch_add(cache, key, 1_c_int64_t), BELAY_ERR_TYPE, 'fetch_add to four bytes')
    end subroutine

    subroutine many(cache)
        type(belay_cache), intent(in) :: cache
        integer, parameter :: count = 40
        integer, target :: keys(3, count), values(count)
        type(belay_put_item) :: puts(count)
        type(belay_get_item) :: gets(2 * count)
        integer :: i
        do i = 1, count
            keys(:, i) = [own_rank, 103, i]
            values(i) = i * i
            puts(i) = belay_put_item(keys(:, i), values(i))
        end do
        call expect(belay_put_all(cache, puts), BELAY_OK, 'put_all')
        call check(all(puts%status == BELAY_OK), 'every put of put_all')
        values = 0
        do i = 1, count
            gets(2 * i) = belay_get_item(keys(:, i), values(i))
        end do
        call expect(belay_get_all(cache, gets(2::2)), BELAY_OK, 'get_all by every other item')
        call check(all(gets(2::2)%status == BELAY_OK) .and. all(gets(2::2)%length == 4), 'every get of get_all')
        call check(all(values == [(i * i, i = 1, count)]), 'get_all gave the values')
        gets(1) = belay_get_item(keys(1, 1:3), values(1))
        call check(belay_get_all(cache, gets(1:1)) == BELAY_ERR_INVALID, 'an item cannot name what has gaps')
    end subroutine

    subroutine begun(node, cache)
        type(belay_node), intent(in) :: node
        type(belay_cache), intent(in) :: cache
        integer, parameter :: count = 10
        integer, asynchronous :: keys(2, count), values(count), back
        integer(c_size_t), asynchronous :: length
        integer(c_int64_t), asynchronous :: old
        integer :: results(2 * count), i
        type(belay_request) :: requests(count), one
        logical :: done
        do i = 1, count
            keys(:, i) = [own_rank, 200 + i]
            values(i) = -i
            call expect(belay_put_nb(cache, keys(:, i), values(i), requests(i)), BELAY_OK, 'put_nb')
        end do
        results = 1
        call expect(belay_wait_all(requests, results(::2)), BELAY_OK, 'wait_all')
        call check(all(results(1::2) == BELAY_OK) .and. all(results(2::2) == 1), 'wait_all gave the results')
        back = 0
        call expect(belay_get_nb(cache, keys(:, 3), back, length, one), BELAY_OK, 'get_nb')
        done = .false.
        do while (.not. done)
            call expect(belay_test(one, done), BELAY_OK, 'test')
        end do
        call expect(belay_wait(one), BELAY_OK, 'wait')
        call check(back == -3 .and. length == 4, 'get_nb gave the value')
        call expect(belay_fetch_add_nb(cache, keys(:, 1), 1_c_int64_t, one, old=old), BELAY_OK, 'fetch_add_nb')
        call expect(belay_wait(one), BELAY_ERR_TYPE, 'wait gives the result of the operation')
        call expect(belay_remove_nb(cache, keys(:, 3), one), BELAY_OK, 'remove_nb')
        call expect(belay_wait(one), BELAY_OK, 'wait')
        call expect(belay_flush(node), BELAY_OK, 'flush')
        call expect(belay_contains(cache, keys(:, 3)), BELAY_ERR_NOT_FOUND, 'remove_nb removed')
        call check(belay_put_nb(cache, keys(1, :), 1, one) == BELAY_ERR_INVALID, 'put_nb refuses what has gaps')
    end subroutine

    subroutine places(node, cache)
        type(belay_node), intent(in) :: node
        type(belay_cache), intent(in) :: cache
        integer :: key(2), partition, nodes(8), backups, primary, i
        do i = 1, 20
            key = [i, 104]
            partition = belay_partition_of(cache, key)
            call check(partition >= 0 .and. partition < belay_partition_count(cache), 'partition_of')
            primary = belay_primary_of(cache, partition)
            nodes = -1
            backups = belay_backups_of(cache, partition, nodes(2::2))
            call check(backups == min(1, belay_node_count(node) - 1), 'the number of backups')
            call check(all(nodes(1::2) == -1) .and. (backups == 0 .or. nodes(2) /= primary), 'backups_of')
            call check((belay_is_primary(cache, key) == 1) .eqv. (primary == belay_node_id(node)), 'is_primary')
        end do
        call expect(belay_primary_of(cache, -1), BELAY_ERR_INVALID, 'primary_of no partition')
    end subroutine
end module
