/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/spin.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { THREADS = 6, ROUNDS = 20000 };

static spin_lock lock;
static long sum; /* plain: only the lock orders the threads */

static void *add(void *argument)
{
    (void)argument;
    for (int round = 0; round < ROUNDS; ++round) {
        spin_acquire(&lock);
        sum = sum + 1;
        spin_release(&lock);
    }
    return NULL;
}

static void more_threads_than_cores_lose_no_update(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; ++i)
        assert_int_equal(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < THREADS; ++i)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum, (long)THREADS * ROUNDS);
}

static void try_fails_while_held(void **state)
{
    (void)state;
    assert_true(spin_try(&lock));
    assert_false(spin_try(&lock));
    spin_release(&lock);
    assert_true(spin_try(&lock));
    spin_release(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_threads_than_cores_lose_no_update),
        cmocka_unit_test(try_fails_while_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
