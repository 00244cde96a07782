/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/process.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct child {
    struct process process;
    int pidfd;
};

static void *rest(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* The other process: with a second thread; if it @p leaves, only the shell is left of the first one. */
static int be_child(int ready, bool leaves)
{
    pthread_t thread;
    struct process self;
    if (process_self(&self) != 0 || pthread_create(&thread, NULL, rest, NULL) != 0 ||
        write(ready, &self, sizeof self) != sizeof self)
        return 1;
    close(ready);
    if (leaves)
        pthread_exit(NULL);
    rest(NULL);
    return 0;
}

static struct child begin(const char *what)
{
    int ready[2];
    char byte, number[16];
    struct child child;
    assert_int_equal(pipe(ready), 0);
    snprintf(number, sizeof number, "%d", ready[1]);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "child", what, number, NULL);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &child.process, sizeof child.process), sizeof child.process);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    assert_int_equal(process_watch(&child.process, &child.pidfd), 0);
    return child;
}

static bool is_over(const struct child *child)
{
    return process_is_over(child->pidfd, child->process.pid);
}

static void await_end(const struct child *child)
{
    for (int i = 0; i < 10000 && !is_over(child); ++i)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    assert_true(is_over(child));
}

static void end(struct child *child)
{
    process_kill(child->pidfd);
    await_end(child);
    waitpid(child->process.pid, NULL, 0);
    assert_true(process_ended(child->pidfd));
    assert_true(is_over(child)); /* when there is nothing left of it, too */
    close(child->pidfd);
}

static void a_process_that_rests_is_not_over(void **state)
{
    (void)state;
    struct child child = begin("rests");
    assert_false(is_over(&child));
    assert_false(process_ended(child.pidfd));
    end(&child);
}

static void nor_is_one_whose_first_thread_has_ended(void **state)
{
    (void)state;
    struct child child = begin("leaves");
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    assert_false(is_over(&child));
    assert_false(is_over(&child)); /* it was not killed by being asked for */
    end(&child);
}

static void a_stopped_one_is_over_when_it_is_killed(void **state)
{
    (void)state;
    struct child child = begin("rests");
    kill(child.process.pid, SIGSTOP);
    assert_false(is_over(&child));
    end(&child);
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return be_child(atoi(argv[2]), strcmp(argv[1], "leaves") == 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_rests_is_not_over),
        cmocka_unit_test(nor_is_one_whose_first_thread_has_ended),
        cmocka_unit_test(a_stopped_one_is_over_when_it_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
