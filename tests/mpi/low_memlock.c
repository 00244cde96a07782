/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An RDMA device, and a process that may lock less memory than it needs: all ranks get the same error, the one that is short
 * says its limit, the need and the fix; with a higher limit the next attempt succeeds.
 */
#include "../support/device.h"
#include "../support/job.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARENA_MIB = 32, LIMIT_KIB = 64 }; /* the kernel's default in many containers */

static const belay_config config = {.arena_size = (uint64_t)ARENA_MIB << 20,
                                    .transport = BELAY_TRANSPORT_VERBS};

/* Without CAP_IPC_LOCK the limit counts for root too. Before the device is opened: the kernel refuses one opened with
 * other rights. */
static bool drop_ipc_lock(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0)
        return false;
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    data[0].permitted &= ~(1u << CAP_IPC_LOCK);
    return syscall(SYS_capset, &header, data) == 0;
}

static void check_message(const struct job *job)
{
    const char *message = belay_last_error(), *need = strstr(message, "needs ");
    unsigned long long mib = 0;
    CHECK(strstr(message, "limit of this process is 64 KiB"), "it does not say the limit: %s", message);
    if (need)
        mib = strtoull(need + strlen("needs "), NULL, 10);
    CHECK(mib >= ARENA_MIB && mib < 8 * ARENA_MIB, "it does not say the need: %s", message);
    CHECK(strstr(message, "ulimit -l") && strstr(message, "BELAY_ARENA_SIZE"), "it does not say the fix: %s",
          message);
    report_note("rank %d: %s", job->rank, message);
}

static void expect_refusal(const struct job *job)
{
    belay_node *node = NULL;
    at("opening with a low limit");
    CHECK_RESULT(belay_open(MPI_COMM_WORLD, &config, &node), BELAY_ERR_MEMLOCK);
    if (job->rank == job->ranks - 1)
        check_message(job);
    else
        CHECK(strstr(belay_last_error(), "node"), "it does not say which node: %s", belay_last_error());
}

int main(int argc, char **argv)
{
    struct job job;
    struct rlimit before, low;
    bool dropped = drop_ipc_lock() && getrlimit(RLIMIT_MEMLOCK, &before) == 0;
    setenv("BELAY_LOG", "off", 0); /* what is logged is meant */
    job_begin(&argc, &argv, "low_memlock", 0, &job);
    if (job_max(!dropped || !device_is_there() || !device_can_be_used()))
        return job_skip(&job, "no RDMA device, or no way to lower the limit of locked memory");
    low = (struct rlimit){(rlim_t)LIMIT_KIB << 10, before.rlim_max};
    if (job.rank == job.ranks - 1)
        CHECK(setrlimit(RLIMIT_MEMLOCK, &low) == 0, "setrlimit");
    expect_refusal(&job);
    if (job_max(before.rlim_cur != RLIM_INFINITY) == 0) {
        CHECK(setrlimit(RLIMIT_MEMLOCK, &before) == 0, "setrlimit");
        job_close(job_open(&config));
    }
    return job_end(&job);
}
