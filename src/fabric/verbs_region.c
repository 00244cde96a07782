/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device pins what is registered with it, and the kernel counts that against the locked-memory limit of the process, except
 * for processes with CAP_IPC_LOCK. The limit is checked before anything is pinned, because the device's own error does
 * not tell "over the limit" from "out of memory".
 */
#include "base/log.h"
#include "belay.h"
#include "fabric/verbs.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const size_t mebibyte = (size_t)1 << 20;

/* The capability is looked up, and counts, in the initial user namespace only: in another one this may say yes in
 * error. Registering then fails, and over_limit() tells why. */
static bool is_exempt(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_IPC_LOCK));
}

static bool over_limit(size_t need, size_t *limit)
{
    struct rlimit locked;
    if (getrlimit(RLIMIT_MEMLOCK, &locked) != 0 || locked.rlim_cur == RLIM_INFINITY ||
        need <= locked.rlim_cur)
        return false;
    *limit = locked.rlim_cur;
    return true;
}

static int memlock_error(size_t need, size_t limit)
{
    return log_error(
        BELAY_ERR_MEMLOCK,
        "the locked-memory limit of this process is %zu KiB, and the RDMA device needs %zu MiB: raise it "
        "(ulimit -l unlimited, or a memlock line in /etc/security/limits.conf and, for jobs, in the "
        "scheduler's settings), or set a smaller BELAY_ARENA_SIZE",
        limit / 1024, (need + mebibyte - 1) / mebibyte);
}

int verbs_check_memlock(size_t need)
{
    size_t limit;
    return over_limit(need, &limit) && !is_exempt() ? memlock_error(need, limit) : BELAY_OK;
}

int verbs_register(struct ibv_pd *domain, void *memory, size_t size, bool remote, const char *what,
                   struct ibv_mr **out)
{
    int access = IBV_ACCESS_LOCAL_WRITE | (remote ? IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE : 0);
    struct ibv_mr *region = ibv_reg_mr(domain, memory, size, access);
    size_t limit;
    if (region) {
        *out = region;
        return BELAY_OK;
    }
    int reason = errno;
    if (reason == ENOMEM && over_limit(size, &limit))
        return memlock_error(size, limit);
    return log_error(reason == ENOMEM ? BELAY_ERR_NO_MEMORY : BELAY_ERR_SYSTEM,
                     "registering %zu KiB for %s with the RDMA device: %s", size / 1024, what,
                     strerror(reason));
}
